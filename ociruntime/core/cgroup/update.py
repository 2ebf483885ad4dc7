"""Changing the limits of a container that lives."""

from __future__ import annotations

from ociruntime.core.cgroup.files import read_text
from ociruntime.core.errors import ConfigError, Failure, HostError
from ociruntime.core.plan.resources import resource_writes
from ociruntime.core.steps.base import Scene

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.cgroup.files import CgroupRecord
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.plan.resources import Part
    from ociruntime.core.spec.types import DeviceRule
    from ociruntime.core.steps.cgroup_write import WriteCgroup

EINVAL, EBUSY = 22, 16


def update(kernel: Kernel, record: CgroupRecord, resources: Part) -> None:
    """Write what `resources` (linux.resources of the specification) names.

    Device rules are touched only where they differ from those on record, which the caller has to save again:
    engines send the rules of the first day with each update, and a hook may have added a device since.
    Raises the Failure of the first write that is refused for good; earlier ones are not taken back.
    """
    paths = record.get("paths") or {}
    if not paths:
        raise HostError("cannot update: the container has no cgroup", code="cgroup-none")
    version = record["version"]
    memory = resources.get("memory") or {}
    if memory.get("checkBeforeUpdate") and (memory.get("limit") or 0) > 0:
        _check_usage(kernel, version, paths, memory["limit"])
    if record.get("driver") == "systemd":
        from ociruntime.core.cgroup.systemd import late_properties, limit_properties, set_properties

        properties = [*limit_properties(version, resources), *late_properties(version, resources)]
        set_properties(record["unit"], properties, user=bool(record.get("user")))
    _write_all(kernel, resource_writes(version, paths, resources))

    devices = resources.get("devices")
    if devices is not None and devices != record.get("devices", devices):
        _update_devices(kernel, record, devices)
        record["devices"] = devices


def _update_devices(kernel: Kernel, record: CgroupRecord, listed: list[DeviceRule]) -> None:
    """On v2 in one step; on v1 everything is denied until the last rule is written."""
    from ociruntime.core.cgroup.device_rules import effective_rules

    rules = effective_rules(listed)
    if record.get("driver") == "systemd":
        from ociruntime.core.cgroup.systemd import device_groups, device_properties, set_properties

        groups = device_groups(read_text(kernel, "/proc/devices"))
        set_properties(record["unit"], device_properties(rules, groups), user=bool(record.get("user")))
    if record["version"] == "v2":
        from ociruntime.core.cgroup.devices import replace_filter

        replace_filter(kernel, record["paths"][""], rules)
        return
    from ociruntime.core.plan.cgroup import v1_device_writes

    scene = Scene()
    for step in v1_device_writes(record["paths"], listed, reset=True):
        step.apply(kernel, scene)


def _check_usage(kernel: Kernel, version: str, paths: dict[str, str], limit: int) -> None:
    """A limit below what is in use would have processes killed (v2) or be refused after a long reclaim (v1)."""
    file = "/memory.current" if version == "v2" else "/memory.usage_in_bytes"
    usage = int(read_text(kernel, paths["" if version == "v2" else "memory"] + file))
    if limit < usage:
        raise ConfigError(
            f"unable to set memory limit to {limit} (current usage: {usage})",
            code="cgroup-memory-in-use", origin="/memory/limit", hint="leave out checkBeforeUpdate to set it anyway",
        )  # fmt: skip


def _write_all(kernel: Kernel, steps: list[WriteCgroup]) -> None:
    """Some values bound each other (memory and memory+swap, quota and burst), so whether one may come before
    the other depends on whether they grow or shrink. Those refused wait until the others are written."""
    scene = Scene()
    waiting: list[WriteCgroup] = []
    for step in steps:
        try:
            step.apply(kernel, scene)
        except Failure as failure:
            if failure.errno not in (EINVAL, EBUSY):
                raise
            waiting.append(step)
    for step in waiting:
        step.apply(kernel, scene)
