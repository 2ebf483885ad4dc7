"""/linux/cgroupsPath and /linux/resources: where the container's cgroups are, and what they limit."""

from __future__ import annotations

import posix as os

from ociruntime.core.errors import ConfigError, HostError
from ociruntime.core.paths import dirname, isdir, normpath
from ociruntime.core.plan.draft import ATTACH, BESIDE, ENTER, HOST, LIMITS, OPEN
from ociruntime.core.plan.resources import POINTER, as_meant, resource_writes
from ociruntime.core.steps.cgroup import (
    EnableControllers,
    EnterTasks,
    FilterDevices,
    GiveCgroup,
    InheritCpuset,
    JoinUnified,
    MakeCgroup,
    OpenCgroup,
    OpenTasks,
)
from ociruntime.core.steps.cgroup_write import WriteCgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ociruntime.core.plan.draft import Draft, Host
    from ociruntime.core.spec.types import DeviceRule, Linux, Process, Resources

PATH = "/linux/cgroupsPath"


def contribute(draft: Draft) -> None:
    """The container's cgroups, what they limit, and the way into them.

    HOST makes them, undoably. What they limit is set while the init mounts (BESIDE), which makes devices afterwards;
    memory and processes are left to the end (LIMITS), when it has become small. clone3 starts the init in the unified
    one, if there is any; into the v1 ones it moves itself first thing in ENTER, before its cgroup namespace.
    """
    linux: Linux = draft.spec.get("linux") or {}
    resources: Any = as_meant(linux.get("resources") or {}, draft.spec["ociVersion"])
    if draft.globals.cgroup_manager == "disabled" or _nobody_asks(draft, linux, resources):
        # "disabled" is crun's word: the container stays in the caller's cgroup, whatever the resources say.
        draft.cgroup = {"driver": "disabled", "version": draft.host.cgroup, "paths": {}, "created": []}
        return
    if draft.globals.systemd_cgroup or draft.globals.cgroup_manager == "systemd":
        from ociruntime.core.plan.cgroup_systemd import contribute_systemd

        contribute_systemd(draft, linux.get("cgroupsPath") or "", resources)
        return
    paths = choose_paths(draft.host, linux.get("cgroupsPath") or "", draft.id)
    created: list[str] = []
    draft.cgroup = {"driver": "cgroupfs", "version": draft.host.cgroup, "paths": paths, "created": created}
    make_cgroups(draft, paths, created, PATH if linux.get("cgroupsPath") else "")
    if draft.host.cgroup == "v2":
        draft.add(HOST, EnableControllers(root=draft.host.cgroup_mounts[""], path=paths[""]))
    _limits(draft, paths, resources)
    _join(draft, paths)


def _nobody_asks(draft: Draft, linux: Linux, resources: Resources) -> bool:
    """Whether a caller without privilege stays where it is: no path, no limits, and no cgroup delegated to it.

    --rootless says who is one, where neither the user nor the user namespace tells: root in a container may be.
    """
    unprivileged = bool(draft.host.euid or draft.host.in_userns)
    if draft.globals.rootless != "auto":
        unprivileged = draft.globals.rootless == "true"
    if (
        not unprivileged
        or draft.globals.systemd_cgroup
        or draft.globals.cgroup_manager == "systemd"
    ):
        return False
    if linux.get("cgroupsPath") or any(resources.get(key) for key in resources if key != "devices"):
        return False
    paths = choose_paths(draft.host, "", draft.id)
    return not all(os.access(dirname(path), os.W_OK) for path in paths.values())


def make_cgroups(draft: Draft, paths: dict[str, str], created: list[str], origin: str) -> None:
    """Directories for these controllers; the parents that do not exist yet are appended to `created`."""
    for path, mount in unique(paths, draft.host.cgroup_mounts).items():
        parents = missing_parents(path, mount)
        created += parents
        draft.add(HOST, MakeCgroup(origin=origin, path=path, parents=tuple(parents)))
        if path == paths.get("cpuset"):
            draft.add(HOST, InheritCpuset(root=mount, path=path))


def choose_paths(host: Host, wanted: str, container_id: str) -> dict[str, str]:
    """The container's directory in every hierarchy, by controller.

    An absolute cgroupsPath counts from the mount points. A relative one, or none (the container's id),
    counts from where the runtime itself is, so that a runtime in a container stays in that container's
    share; on v2 from the cgroup above, for one that has processes cannot have controllers for children.
    """
    if ".." in wanted.split("/"):
        raise ConfigError(f'cgroupsPath "{wanted}" leads out of itself by ".."', code="cgroup-path", origin=PATH)
    inner = "/".join(part for part in (wanted or container_id).split("/") if part not in ("", "."))
    if not inner:
        raise ConfigError("cgroupsPath is the root cgroup, which has no limits", code="cgroup-path", origin=PATH)
    paths = {}
    for controller, mount in host.cgroup_mounts.items():
        base = ""
        if not wanted.startswith("/"):
            base = host.cgroup_self.get(controller, "/").rstrip("/")
            if host.cgroup == "v2":
                base = dirname(base).rstrip("/")
        paths[controller] = f"{mount}{base}/{inner}"
    return paths


def unique(paths: dict[str, str], mounts: dict[str, str]) -> dict[str, str]:
    """Directory to mount point, each once: controllers can share a hierarchy ("cpu,cpuacct")."""
    return {path: mounts[controller] for controller, path in paths.items()}


def missing_parents(path: str, mount: str) -> list[str]:
    """The directories between a mount point and a path that do not exist yet, outermost first."""
    missing: list[str] = []
    above = dirname(path)
    while above != mount and not isdir(above):
        missing.insert(0, above)
        above = dirname(above)
    return missing


def _limits(draft: Draft, paths: dict[str, str], resources: Resources) -> None:
    if not paths:
        if any(resources.get(key) for key in resources if key != "devices"):
            raise HostError(
                "resources cannot be limited: no cgroup hierarchy is mounted",
                code="cgroup-none", origin=POINTER, hint="mount -t cgroup2 cgroup2 /sys/fs/cgroup",
            )  # fmt: skip
        return
    if not draft.host.in_userns and not draft.host.euid:
        # Only the host's root may set them; nobody else can make a device that could be opened.
        draft.cgroup["devices"] = resources.get("devices") or []
        if resources.get("devices"):
            _devices(draft, paths, resources["devices"])
    writes = resource_writes(draft.host.cgroup, paths, resources)
    for step in writes:
        draft.add(LIMITS if step.late else BESIDE, step)
    if draft.host.cgroup == "v2" and any(step.path.endswith("/memory.max") for step in writes):
        from ociruntime.core.plan.survival import see_survival

        see_survival(draft, writes)


def _devices(draft: Draft, paths: dict[str, str], listed: list[DeviceRule]) -> None:
    from ociruntime.core.cgroup.device_rules import effective_rules

    if draft.host.cgroup == "v2":
        step = FilterDevices(origin=f"{POINTER}/devices", path=paths[""], rules=effective_rules(listed))
        draft.add(BESIDE, step)
        return
    for write in v1_device_writes(paths, listed):
        draft.add(BESIDE, write)


def v1_device_writes(paths: dict[str, str], listed: list[DeviceRule], *, reset: bool = False) -> list[WriteCgroup]:
    """devices.deny and devices.allow, in order. Raises HostError where the host has not mounted the controller.

    reset: begin with what a cgroup without rules allows, everything, unless the first rule is about everything.
    """
    from ociruntime.core.cgroup.device_rules import about_all, effective_rules, v1_lines

    origin = f"{POINTER}/devices"
    if "devices" not in paths:
        raise HostError(
            "cannot restrict devices: the host has not mounted the devices cgroup",
            code="cgroup-no-controller",
            origin=origin,
        )
    writes: list[WriteCgroup] = []
    rules = effective_rules(listed)
    if reset and not (rules and about_all(rules[0])):
        writes.append(WriteCgroup(origin=origin, path=f"{paths['devices']}/devices.allow", value="a"))
    for position, verb, line in v1_lines(rules):
        path, pointer = f"{paths['devices']}/devices.{verb}", f"{origin}/{position}" if position < len(listed) else ""
        if writes and not writes[-1].origin and writes[-1].path == path:
            writes[-1].value += "\n" + line  # our own rules in one go
        else:
            writes.append(WriteCgroup(origin=pointer, path=path, value=line))
    return writes


def _join(draft: Draft, paths: dict[str, str]) -> None:
    if "" in paths:
        if draft.host.cgroup == "v2":
            owner = delegated_to(draft)
            if owner:
                draft.add(HOST, GiveCgroup(origin="/mounts", path=paths[""], uid=owner))
        draft.add(OPEN, OpenCgroup(path=paths[""]))
        draft.add(ATTACH, JoinUnified(path=paths[""]))
    join_v1(draft, paths)


def join_v1(draft: Draft, paths: dict[str, str]) -> None:
    """The parent opens the way, the child walks it."""
    tasks = tuple(dict.fromkeys(path for controller, path in paths.items() if controller))
    if tasks:
        draft.add(OPEN, OpenTasks(paths=tasks))
        draft.add(ENTER, EnterTasks(paths=tasks))


def delegated_to(draft: Draft) -> int:
    """The host's user id that shall own the cgroup, 0 where nobody else than root (config-linux.md, Cgroup ownership).

    Only with a cgroup namespace of its own and a writable cgroup mount at /sys/fs/cgroup.
    """
    linux: Linux = draft.spec.get("linux") or {}
    kinds = [namespace["type"] for namespace in linux.get("namespaces") or [] if not namespace.get("path")]
    mounted = [mount for mount in draft.spec.get("mounts") or [] if normpath(mount["destination"]) == "/sys/fs/cgroup"]
    if "cgroup" not in kinds or not mounted or mounted[-1].get("type") not in ("cgroup", "cgroup2"):
        return 0
    if "ro" in (mounted[-1].get("options") or []):
        return 0
    process: Process | None = draft.spec.get("process")
    uid = process["user"]["uid"] if process else 0
    if "user" not in kinds:
        return uid
    for entry in linux.get("uidMappings") or []:
        if entry["containerID"] <= uid < entry["containerID"] + entry["size"]:
            return entry["hostID"] + uid - entry["containerID"]
    return 0
