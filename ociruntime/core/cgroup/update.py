"""Changing the limits of a container that lives."""

from __future__ import annotations

from ociruntime.core.cgroup.files import read_text
from ociruntime.core.errors import ConfigError, Failure, HostError
from ociruntime.core.plan.resources import resource_writes
from ociruntime.core.steps.base import Scene

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ociruntime.core.cgroup.files import CgroupRecord
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.cgroup_write import WriteCgroup

EINVAL, EBUSY = 22, 16


def update(kernel: Kernel, record: CgroupRecord, resources: dict[str, Any]) -> None:
    """Write what `resources` (linux.resources of the specification) names; device rules are left alone, as in runc.

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
