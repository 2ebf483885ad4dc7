"""Whose standard streams are: a program that opens /dev/stdout anew is asked for permission as for any file.

Engines make pipes and terminals as root. runc and crun give them to the container's user too, runc even the
caller's files and devices; those keep their owner here, because they outlive the container.
"""

from __future__ import annotations

import _stat as stat

from ociruntime.core.steps.base import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Scene

UNCHANGED = 0xFFFFFFFF  # chown(2), (gid_t) -1


class GivePipes(Step):
    """The pipes among the descriptors 0 to 2, by the parent: inside of a user namespace nobody may."""

    beside = True
    uid: int = 0  # of the host
    gid: int = 0

    def describe(self) -> str:
        return f"chown {self.uid}:{self.gid} /proc/self/fd/[012]  # those that are pipes"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        for fd in (0, 1, 2):
            try:
                info = kernel.fstat(fd)
                if stat.S_ISFIFO(info.st_mode) and (info.st_uid, info.st_gid) != (self.uid, self.gid):
                    kernel.fchownat(fd, self.uid, self.gid)
            except OSError:
                continue  # closed, or not ours to give: the descriptor itself works all the same


class GiveConsole(Step):
    """The container's own terminal. The group stays: mount options of the devpts choose it (usually tty)."""

    uid: int = 0

    def describe(self) -> str:
        return f"chown {self.uid} $(tty)"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        if scene.console >= 0:
            kernel.fchownat(scene.console, self.uid, UNCHANGED)
