"""--systemd-cgroup: the container's cgroup is a transient scope that systemd makes.

A scope is made of processes, so it is started once the init exists (ATTACH), and the limits follow. On
v1 systemd makes the directory of its own hierarchy and of the controllers that it accounts by; the rest,
and the way into them, is as without systemd.
"""

from __future__ import annotations

from ociruntime.core.cgroup.systemd import (
    late_properties,
    limit_properties,
    own_user_manager,
    slice_path,
    unit_of,
)
from ociruntime.core.errors import ConfigError, HostError
from ociruntime.core.plan.cgroup import delegated_to, join_v1, make_cgroups, v1_device_writes
from ociruntime.core.plan.draft import ATTACH, LIMITS
from ociruntime.core.plan.resources import resource_writes
from ociruntime.core.plan.survival import see_survival
from ociruntime.core.steps.cgroup import EnableControllers, FilterDevices, GiveCgroup
from ociruntime.core.steps.cgroup_systemd import SetUnit, StartScope

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.cgroup.device_rules import Rule
    from ociruntime.core.cgroup.systemd import Property
    from ociruntime.core.plan.draft import Draft
    from ociruntime.core.spec.types import Resources

ANNOTATION = "org.systemd.property."
OWN = "name=systemd"


def contribute_systemd(draft: Draft, wanted: str, resources: Resources) -> None:
    """The scope, its properties, and the same limits as files."""
    host = draft.host
    key = "" if host.cgroup == "v2" else OWN
    if key not in host.cgroup_mounts:
        raise HostError(
            "systemd does not manage the cgroups of this host",
            code="cgroup-systemd", hint="run without --systemd-cgroup",
        )  # fmt: skip
    user = host.euid != 0 or host.in_userns
    above, unit = unit_of(wanted, draft.id, user=user)
    manager = own_user_manager(host.cgroup_self.get(key, ""), host.euid) if user else ""
    path = manager + slice_path(above) + "/" + unit
    paths = {controller: mount + path for controller, mount in host.cgroup_mounts.items()}
    created: list[str] = []
    draft.cgroup = {
        "driver": "systemd", "version": host.cgroup, "paths": paths, "created": created, "unit": unit, "user": user,
    }  # fmt: skip
    ours = {controller: path for controller, path in paths.items() if controller not in ("", OWN)}
    make_cgroups(draft, ours, created, "/linux/cgroupsPath" if wanted else "")
    draft.add(
        ATTACH,
        StartScope(
            origin="/linux/cgroupsPath" if wanted else "",
            unit=unit,
            above=above,
            container_id=draft.id,
            properties=(*limit_properties(host.cgroup, resources), *annotated(draft)),
            rules=_rules(draft, resources),
            user=user,
            key=key,
        ),
    )
    if not host.in_userns and not host.euid:
        draft.cgroup["devices"] = resources.get("devices") or []
    _limits(draft, paths, resources, unit=unit, user=user)
    join_v1(draft, ours)


def _rules(draft: Draft, resources: Resources) -> tuple[Rule, ...]:
    """The device rules, where anybody may set them."""
    listed = resources.get("devices") or []
    if not listed or draft.host.in_userns or draft.host.euid:
        return ()
    from ociruntime.core.cgroup.device_rules import effective_rules

    return effective_rules(listed)


def _limits(draft: Draft, paths: dict[str, str], resources: Resources, *, unit: str, user: bool) -> None:
    rules = _rules(draft, resources)
    if rules and draft.host.cgroup == "v2":
        draft.add(ATTACH, FilterDevices(origin="/linux/resources/devices", path=paths[""], rules=rules))
    elif rules:
        for step in v1_device_writes(paths, resources["devices"]):
            draft.add(ATTACH, step)
    if draft.host.cgroup == "v2" and _beyond_systemd(resources):
        draft.add(ATTACH, EnableControllers(root=draft.host.cgroup_mounts[""], path=paths[""]))
    late = late_properties(draft.host.cgroup, resources)
    if late:
        draft.add(LIMITS, SetUnit(origin="/linux/resources", unit=unit, properties=tuple(late), user=user))
    writes = resource_writes(draft.host.cgroup, paths, resources)
    if draft.host.cgroup == "v2":
        # Of what systemd has set: it removes the scope of an init that was killed, and all files with it
        see_survival(draft, writes)
    for step in writes:
        draft.add(LIMITS if step.late else ATTACH, step)
    owner = delegated_to(draft) if draft.host.cgroup == "v2" else 0
    if owner and not draft.host.euid:
        draft.add(ATTACH, GiveCgroup(origin="/mounts", path=paths[""], uid=owner))


def _beyond_systemd(resources: Resources) -> bool:
    """Whether a limit needs a controller that systemd does not know, and so does not enable on the way down."""
    known = ("cgroup", "cpu", "cpuset", "io", "memory", "pids")
    files = resources.get("unified") or {}
    return bool(
        resources.get("hugepageLimits")
        or resources.get("rdma")
        or any(file.partition(".")[0] not in known for file in files)
    )


def annotated(draft: Draft) -> list[Property]:
    """Properties from annotations org.systemd.property.NAME, values as gvariant-text, as runc and crun take them."""
    found = []
    for name, text in (draft.spec.get("annotations") or {}).items():
        if not name.startswith(ANNOTATION):
            continue
        key = name[len(ANNOTATION) :]
        if not key.isalnum() or not key[:1].isupper():
            raise ConfigError(
                f'"{key}" is no property of systemd', code="systemd-property", origin=f"/annotations/{name}"
            )
        value = variant(text)
        if value is None:
            raise ConfigError(
                f"annotation {name} has a value that is not understood: {text}",
                code="systemd-property", origin=f"/annotations/{name}",
                hint="examples: true, 'text', uint64 5000000, ['a', 'b']",
            )  # fmt: skip
        found.append((key, value))
    return found


NUMBERS = {"byte": "y", "int16": "n", "uint16": "q", "int32": "i", "uint32": "u", "int64": "x", "uint64": "t"}


def variant(text: str) -> tuple[str, object] | None:
    """A value of gvariant-text: boolean, quoted string, number with or without its type, list of strings. Else None."""
    text = text.strip()
    if text in ("true", "false"):
        return "b", text == "true"
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return "s", text[1:-1]
    if text[:1] == "[" and text[-1:] == "]":
        items = [variant(item) for item in text[1:-1].split(",")] if text[1:-1].strip() else []
        strings = [item[1] for item in items if item and item[0] == "s"]
        return ("as", strings) if len(strings) == len(items) else None
    kind, _, number = text.rpartition(" ")
    digits = number[1:] if number[:1] == "-" else number
    if digits.isdigit() and (not kind or kind.strip() in NUMBERS):
        return NUMBERS.get(kind.strip(), "i"), int(number)
    return None
