"""The container's terminal: a pair from its own devpts, by descriptors alone.

The other side is taken with TIOCGPTPEER, never by the name /dev/pts/N, which the image could have made a
link (CVE-2025-52565); and /dev/console is bound from that descriptor.
"""

from __future__ import annotations

import _stat as stat
import posix as os

from ociruntime.core.errors import StepError
from ociruntime.core.kernel.flags import (
    AT_EMPTY_PATH,
    DEVPTS_SUPER_MAGIC,
    O_PATH,
    OPEN_TREE_CLONE,
    TIOCGPTPEER,
    TIOCSCTTY,
    TIOCSPTLCK,
    TIOCSWINSZ,
)
from ociruntime.core.rootfs import open_in_root, open_parent_in_root
from ociruntime.core.steps.base import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Scene


def console_size(process: Mapping[str, Any]) -> tuple[int, int]:
    """process.consoleSize as rows and columns, (0, 0) without one."""
    size = process.get("consoleSize") or {}
    return size.get("height", 0), size.get("width", 0)


class Console(Step):
    """Allocate the pair, give our side a size, make the other the controlling terminal and /dev/console."""

    size: tuple[int, int] = (0, 0)  # rows and columns
    bind: bool = True  # False without a mount namespace: /dev/console would be the host's

    def describe(self) -> str:
        return "script -q -c ... /dev/null  # a pseudo-terminal of rootfs/dev/pts, bound to rootfs/dev/console"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        master = self._open_master(kernel, scene)
        kernel.ioctl(master, TIOCSPTLCK, bytes(4))
        peer = kernel.ioctl(master, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        assert isinstance(peer, int)
        if self.size != (0, 0):
            rows, columns = self.size
            kernel.ioctl(master, TIOCSWINSZ, rows.to_bytes(2, "little") + columns.to_bytes(2, "little") + bytes(4))
        kernel.ioctl(peer, TIOCSCTTY, 0)
        if self.bind:
            self._bind(kernel, scene, peer)
        scene.console = peer
        scene.handles["master"] = master

    def _open_master(self, kernel: Kernel, scene: Scene) -> int:
        try:
            master = open_in_root(kernel, scene.rootfs, "dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY, symlinks=False)
        except OSError as error:
            raise StepError(
                "cannot allocate a terminal: /dev/pts/ptmx of the container",
                code="console",
                errno=error.errno or 0,
                hint="process.terminal needs a devpts mount on /dev/pts",
            ) from None
        if kernel.fstatfs_type(master) != DEVPTS_SUPER_MAGIC:
            raise StepError("/dev/pts of the container is not a devpts", code="console")
        return master

    def _bind(self, kernel: Kernel, scene: Scene, peer: int) -> None:
        directory, name = open_parent_in_root(kernel, scene.rootfs, "/dev/console")
        try:
            kernel.close(kernel.open(name, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o620, at=directory))
        except FileExistsError:
            pass
        target = kernel.open(name, O_PATH | os.O_NOFOLLOW, at=directory)
        kernel.close(directory)
        kind = kernel.fstat(target).st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISCHR(kind):
            raise StepError("/dev/console of the image is neither a file nor a device", code="console", errno=20)
        tree = kernel.open_tree(peer, "", OPEN_TREE_CLONE | AT_EMPTY_PATH)
        kernel.move_mount(tree, target)
        kernel.close(tree)
        kernel.close(target)
