"""Masked and read-only paths (config-linux.md)."""

from __future__ import annotations

import _stat as stat
import posix as os

from ociruntime.core.errors import HostError, StepError
from ociruntime.core.kernel.flags import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_RECURSIVE,
    MOUNT_ATTR_RDONLY,
    O_PATH,
    OPEN_TREE_CLONE,
)
from ociruntime.core.rootfs import is_directory, open_in_root
from ociruntime.core.steps.base import Step, in_rootfs, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Scene

NULL_DEVICE = os.makedev(1, 3)
EMPTY = "ro,size=0,nr_inodes=2"


class MaskPaths(Step):
    """Cover files with the null device and directories with one empty read-only tmpfs.

    The null device is the host's, verified, never the image's (CVE-2025-31133). One superblock serves
    all directories: one tmpfs each has exhausted hosts with many containers.
    """

    code = "mask"
    paths: tuple[str, ...] = ()

    def describe(self) -> str:
        lines = []
        for path in self.paths:
            place = quoted(in_rootfs(path))
            lines.append(f"[ -d {place} ] && mount -t tmpfs -o {EMPTY} none {place} || mount --bind /dev/null {place}")
        return "\n".join(lines)

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        covers: dict[bool, int] = {}
        for path in self.paths:
            try:
                self._mask(kernel, scene, path, covers)
            except OSError as error:
                raise StepError(f"cannot mask {path}", code="mask", errno=error.errno or 0) from None
        for cover in covers.values():
            kernel.close(cover)

    @staticmethod
    def _mask(kernel: Kernel, scene: Scene, path: str, covers: dict[bool, int]) -> None:
        """Cover one path; the first cover of a kind is kept to be cloned for the others."""
        try:
            target = open_in_root(kernel, scene.rootfs, path)
        except (FileNotFoundError, NotADirectoryError):
            return  # nothing there to hide
        directory = is_directory(kernel, target)
        if directory in covers:
            cover = kernel.open_tree(covers[directory], "", OPEN_TREE_CLONE | AT_EMPTY_PATH)
            kernel.move_mount(cover, target)
            kernel.close(cover)
        else:
            covers[directory] = empty_directory(kernel) if directory else null_device(kernel)
            kernel.move_mount(covers[directory], target)
        kernel.close(target)


def null_device(kernel: Kernel) -> int:
    """The host's /dev/null as a detached mount, verified to be the null device."""
    fd = kernel.open("/dev/null", O_PATH | os.O_NOFOLLOW)
    info = kernel.fstat(fd)
    kernel.close(fd)
    if not stat.S_ISCHR(info.st_mode) or info.st_rdev != NULL_DEVICE:
        raise HostError(
            "/dev/null on this host is not the null device", code="host-null", hint="restore it: mknod /dev/null c 1 3"
        )
    return kernel.open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE)


def empty_directory(kernel: Kernel) -> int:
    """An empty tmpfs, detached, that nobody can write to."""
    context = kernel.fsopen("tmpfs")
    kernel.fsconfig_string(context, "size", "0")
    kernel.fsconfig_string(context, "nr_inodes", "2")
    kernel.fsconfig_create(context)
    tree = kernel.fsmount(context, MOUNT_ATTR_RDONLY)
    kernel.close(context)
    return tree


class ReadonlyPath(Step):
    """Bind a path over itself, read-only; a missing one is no error, as everywhere."""

    code = "mask"
    path: str = ""

    def describe(self) -> str:
        place = quoted(in_rootfs(self.path))
        return f"mount --rbind {place} {place} && mount -o remount,bind,ro {place}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        try:
            target = open_in_root(kernel, scene.rootfs, self.path)
        except (FileNotFoundError, NotADirectoryError):
            return
        tree = kernel.open_tree(target, "", OPEN_TREE_CLONE | AT_EMPTY_PATH | AT_RECURSIVE)
        kernel.mount_setattr(tree, 0, attr_set=MOUNT_ATTR_RDONLY)
        kernel.move_mount(tree, target)
        kernel.close(tree)
        kernel.close(target)
