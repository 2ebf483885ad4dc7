"""The child's side of exec: from the clone into a living container, to the execve of the tape player.

Shorter than create's: the namespaces exist, so the child joins them all at once through the pidfd of the
container's init (setns(2)). It cannot be inspected from inside while it holds handles of the host: it is
not dumpable from before its birth (CVE-2016-9962).
"""

from __future__ import annotations

import posix as os

from ociruntime.core.kernel.flags import CLONE_NEWUSER, O_PATH, PR_SET_DUMPABLE, PR_SET_PDEATHSIG
from ociruntime.core.launch.act import act
from ociruntime.core.launch.child import SIGKILL, execute_player, let_go, live, wait_for_go
from ociruntime.core.plan.draft import MOUNTS, PROCESS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from ociruntime.core.cgroup.join import Way
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.launch.wire import Wire
    from ociruntime.core.plan.draft import Plan
    from ociruntime.core.steps.base import Scene


class Door:
    """Where to: the container's init, the namespaces to join it in, and its cgroups."""

    def __init__(self, pidfd: int, namespaces: int, way: Way, rootfs: str) -> None:
        self.pidfd = pidfd
        self.namespaces = namespaces
        self.way = way
        self.privileged = os.geteuid() == 0
        self.rootfs = rootfs  # to change root to, where the container has no mount namespace; "" otherwise


def enter_main(kernel: Kernel, plan: Plan, scene: Scene, ends: Wire, door: Door) -> NoReturn:
    """Become a process of the container. Never returns, never raises: the parent hears what failed."""
    live(lambda: _enter(kernel, plan, scene, ends, door), ends, "cannot enter the container", code="enter")


def join_namespaces(kernel: Kernel, door: Door) -> None:
    """All of them at once; as root of the user namespace where there is one."""
    if not door.namespaces:
        return  # a process in between was here before
    kernel.setns(door.pidfd, door.namespaces)
    if door.namespaces & CLONE_NEWUSER:
        if door.privileged:
            kernel.setgroups([])  # without privilege setgroups(2) is denied, and the groups are the caller's own
        kernel.setresgid(0)
        kernel.setresuid(0)


def _enter(kernel: Kernel, plan: Plan, scene: Scene, ends: Wire, door: Door) -> None:
    kernel.prctl(PR_SET_PDEATHSIG, SIGKILL)
    let_go(kernel, scene, ends, scene.first_fd, door.pidfd, door.way.clone, *door.way.tasks)
    door.way.enter(kernel)
    door.way.close(kernel)
    wait_for_go(ends)
    join_namespaces(kernel, door)
    kernel.close(door.pidfd)
    # A change of identity clears both (prctl(2))
    kernel.prctl(PR_SET_PDEATHSIG, SIGKILL)
    kernel.prctl(PR_SET_DUMPABLE, 0)
    if door.rootfs:
        kernel.chroot(door.rootfs)
    kernel.chdir("/")
    kernel.setsid()
    scene.rootfs = kernel.open("/", O_PATH | os.O_DIRECTORY)
    act(kernel, scene, plan.stages[MOUNTS], stage=MOUNTS)  # its terminal, if any
    act(kernel, scene, plan.stages[PROCESS], stage=PROCESS)
    execute_player(kernel, plan, scene, ends)
