"""The plan of an exec: a process object in the surroundings of a container that exists."""

from __future__ import annotations

import posix as os

from ociruntime.core import paths
from ociruntime.core.kernel.flags import CLONE_NEWUSER
from ociruntime.core.plan.attributes import affinity
from ociruntime.core.plan.capabilities import ALL
from ociruntime.core.plan.draft import MOUNTS, OPEN, PROCESS, STAGES, Plan
from ociruntime.core.plan.namespaces import FLAGS
from ociruntime.core.plan.process import BPF_DATA, KEEP_GROUPS, Surroundings, plan_process
from ociruntime.core.plan.program import socket_activation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ociruntime.core.options import ExecOptions
    from ociruntime.core.plan.draft import LastCall
    from ociruntime.core.spec.types import Spec
    from ociruntime.core.steps.base import Step


# What a document of exec that is silent about it takes over from the container, as with runc and crun
TAKEN_OVER = ("capabilities", "apparmorProfile", "selinuxLabel")


def plan_exec(
    spec: Spec, container_id: str, options: ExecOptions, preserve: int, capabilities: int = ALL, *,
    last_capability: int = 63, keyring: bool = True,
) -> Plan:  # fmt: skip
    """Steps of the stages HOST, OPEN, ATTACH, MOUNTS (the terminal) and PROCESS, and the last calls.

    preserve       descriptors from 3 on that the process inherits
    keyring        whether the container has a session keyring of its own, to be joined
    capabilities   the runtime's own, which limit the process unless it lives in a user namespace of the container's
    last_capability  the highest number that the kernel knows
    """
    linux = spec.get("linux") or {}
    own: dict[str, Any] = {**(spec.get("process") or {})}
    process = {**{name: own[name] for name in TAKEN_OVER if name in own}, **options.process}
    new_user = any(FLAGS[entry["type"]] == CLONE_NEWUSER for entry in linux.get("namespaces") or [])
    stages: dict[str, list[Step]] = {stage: [] for stage in STAGES}
    filter_call: LastCall | None = None
    after: tuple[LastCall, ...] = ()
    annotations = spec.get("annotations") or {}
    if linux.get("seccomp") or annotations.get(BPF_DATA):
        from ociruntime.core.plan.seccomp import plan_filter, profile_of

        step, filter_call, after = plan_filter(profile_of(spec))
        stages[OPEN].append(step)
    _, told = socket_activation(paths.environ("LISTEN_"), os.getpid())
    around = Surroundings(
        id=container_id,
        linux=linux,
        grantable=ALL if new_user else capabilities,
        last_capability=last_capability,
        new_user=new_user,
        make_cwd=False,
        keyring=keyring,
        keep_groups=annotations.get(KEEP_GROUPS) == "1",
        first_fd=3 + preserve,
        extra_env=told,
        seccomp=filter_call,
        seccomp_after=after,
    )
    planned = plan_process(process, around)
    # The process starts on the initial CPUs, since the parent does; the cgroup it is born in changes that to its
    # cpuset, and the final ones are chosen from there (config.md, execCPUAffinity)
    asked = process if process.get("execCPUAffinity") else own
    stages[OPEN].extend(affinity(asked, "initial", around.origin))
    stages[PROCESS].extend(affinity(asked, "final", around.origin))
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
