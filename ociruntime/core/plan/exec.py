"""The plan of an exec: a process object in the surroundings of a container that exists."""

from __future__ import annotations

import os

from ociruntime.core.kernel.flags import CLONE_NEWUSER
from ociruntime.core.plan.draft import MOUNTS, OPEN, STAGES, Plan
from ociruntime.core.plan.namespaces import FLAGS
from ociruntime.core.plan.process import KEEP_GROUPS, Surroundings, plan_process
from ociruntime.core.plan.program import socket_activation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.options import ExecOptions
    from ociruntime.core.plan.draft import LastCall
    from ociruntime.core.spec.types import Spec
    from ociruntime.core.steps.base import Step


def plan_exec(spec: Spec, container_id: str, options: ExecOptions, preserve: int) -> Plan:
    """Steps of the stages HOST, OPEN, ATTACH, MOUNTS (the terminal) and PROCESS, and the last calls."""
    linux = spec.get("linux") or {}
    process = options.process
    new_user = any(FLAGS[entry["type"]] == CLONE_NEWUSER for entry in linux.get("namespaces") or [])
    stages: dict[str, list[Step]] = {stage: [] for stage in STAGES}
    filter_call: LastCall | None = None
    after: tuple[LastCall, ...] = ()
    if linux.get("seccomp"):
        from ociruntime.core.plan.seccomp import plan_filter

        step, filter_call, after = plan_filter(linux["seccomp"])
        stages[OPEN].append(step)
    _, told = socket_activation(os.environ, os.getpid())
    around = Surroundings(
        id=container_id,
        linux=linux,
        new_user=new_user,
        make_cwd=False,
        keep_groups=(spec.get("annotations") or {}).get(KEEP_GROUPS) == "1",
        first_fd=3 + preserve,
        extra_env=told,
        seccomp=filter_call,
        seccomp_after=after,
    )
    planned = plan_process(process, around)
    for stage, steps in planned.stages.items():
        stages[stage].extend(steps)
    if process.get("terminal"):
        from ociruntime.core.steps.console import Console, console_size

        stages[MOUNTS].append(Console(origin="/process/terminal", size=console_size(process), bind=False))
    caps = planned.caps
    return Plan(
        id=container_id, bundle="", rootfs="", stages=stages, last=planned.last,
        warnings=list(caps.warnings), remarks=list(caps.remarks),
    )  # fmt: skip
