"""Seeing that the container's init survives its own limits."""

from __future__ import annotations

import select

from ociruntime.core.cgroup.files import read_text
from ociruntime.core.errors import StepError
from ociruntime.core.steps.base import Step, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Scene


class OutliveLimit(Step):
    """See that init survives its limit of memory.

    A unified hierarchy takes every limit, and kills until it holds (cgroup-v2.rst, memory.max). It counts before the
    write of the limit returns; the death itself comes a moment later.
    """

    path: str = ""

    def describe(self) -> str:
        return f"grep -qx 'oom_kill 0' {quoted(self.path)}/memory.events"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        try:
            if "oom_kill 0\n" in read_text(kernel, f"{self.path}/memory.events"):
                return
        except FileNotFoundError:
            pass  # a scope, which systemd removes with its last process
        # In vain where the count is that of an earlier container in this cgroup
        if self._ends(kernel, scene.pid, 1000):
            raise StepError(
                "the container's init was killed while it was being set up", code="init-killed", origin=self.origin
            )

    def _ends(self, kernel: Kernel, pid: int, milliseconds: int) -> bool:
        try:
            pidfd = kernel.pidfd_open(pid)
        except ProcessLookupError:
            return True
        waiter = select.poll()
        waiter.register(pidfd, select.POLLIN)
        ended = waiter.poll(milliseconds)
        kernel.close(pidfd)
        return bool(ended)
