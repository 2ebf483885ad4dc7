"""The root of the container: made a mount, entered, and what is decided once the container stands in it."""

from __future__ import annotations

import posix as os

from ociruntime.core import paths
from ociruntime.core.errors import StepError
from ociruntime.core.kernel.flags import (
    AT_EMPTY_PATH,
    AT_RECURSIVE,
    MNT_DETACH,
    MOUNT_ATTR_RDONLY,
    MS_MOVE,
    MS_PRIVATE,
    MS_REC,
    MS_SLAVE,
    O_PATH,
    OPEN_TREE_CLONE,
)
from ociruntime.core.rootfs import write_proc
from ociruntime.core.steps.base import Step, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Scene


class SetPropagation(Step):
    """Decide what flows between the host's mounts and ours, before the first mount is made."""

    code = "root"
    change: int = 0
    word: str = ""

    def describe(self) -> str:
        return f"mount --make-{self.word} /"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        kernel.mount("", "/", "", self.change)


class MountRootfs(Step):
    """The root file system as a mount of its own, which pivot_root(2) asks for; from here on all paths are in it."""

    code = "root"
    path: str = ""

    def describe(self) -> str:
        return f"mount --rbind {quoted(self.path, self.path)}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        place = kernel.open(self.path, O_PATH | os.O_DIRECTORY)
        tree = kernel.open_tree(place, "", OPEN_TREE_CLONE | AT_EMPTY_PATH | AT_RECURSIVE)
        kernel.move_mount(tree, place)
        kernel.close(place)
        scene.rootfs = tree


class PrivateParent(Step):
    """pivot_root(2) refuses a root whose parent mount is shared; only that one is made private."""

    code = "root"
    path: str = ""

    def describe(self) -> str:
        return f'mount --make-private "$(findmnt -no TARGET -T {quoted(self.path + "/..")})"'

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        path = paths.dirname(self.path) or "/"
        while True:
            try:
                kernel.mount("", path, "", MS_PRIVATE)
                return
            except OSError as error:
                if error.errno != 22 or path == "/":  # EINVAL: not a mount point, so its parent may be
                    raise
                path = paths.dirname(path)


class PivotRoot(Step):
    """Make the root file system the root, and let go of the host's (pivot_root(2), NOTES)."""

    code = "root"

    def describe(self) -> str:
        return "cd rootfs && pivot_root . . && umount -l ."

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        old = kernel.open("/", O_PATH | os.O_DIRECTORY)
        kernel.fchdir(scene.rootfs)
        kernel.pivot_root(".", ".")
        # The old root now covers ours; as a slave its unmounting does not reach the host
        kernel.fchdir(old)
        kernel.mount("", ".", "", MS_SLAVE | MS_REC)
        kernel.umount2(".", MNT_DETACH)
        kernel.close(old)
        kernel.chdir("/")


class MoveRoot(Step):
    """What is left where pivot_root(2) is impossible, as on a ramfs (--no-pivot); weaker by nature."""

    code = "root"
    path: str = ""

    def describe(self) -> str:
        return f"cd rootfs && mount --move {quoted(self.path)} / && chroot ."

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        kernel.fchdir(scene.rootfs)
        kernel.mount(self.path, "/", "", MS_MOVE)
        kernel.chroot(".")
        kernel.chdir("/")


class ChangeRoot(Step):
    """Without a mount namespace of its own there is nothing to pivot."""

    code = "root"

    def describe(self) -> str:
        return "cd rootfs && chroot ."

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        kernel.fchdir(scene.rootfs)
        kernel.chroot(".")
        kernel.chdir("/")


class OpenRootfs(Step):
    """The handle of a root file system that is not mounted anew (no mount namespace)."""

    code = "root"
    path: str = ""

    def describe(self) -> str:
        return f"exec {{rootfs}}<{quoted(self.path)}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        scene.rootfs = kernel.open(self.path, O_PATH | os.O_DIRECTORY)


class RootPropagation(Step):
    """linux.rootfsPropagation of the container's own root."""

    code = "root"
    change: int = 0
    word: str = ""

    def describe(self) -> str:
        return f"mount --make-{self.word} /"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        kernel.mount("", "/", "", self.change)


class RootReadonly(Step):
    """root.readonly: the root mount itself; what is mounted in it keeps its own options."""

    code = "root"

    def describe(self) -> str:
        return "mount -o remount,bind,ro /"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        root = kernel.open("/", O_PATH | os.O_DIRECTORY)
        kernel.mount_setattr(root, 0, attr_set=MOUNT_ATTR_RDONLY)
        kernel.close(root)


class SetHostname(Step):
    code = "hostname"
    name: str = ""

    def describe(self) -> str:
        return f"hostname {quoted(self.name)}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        kernel.sethostname(self.name)


class SetDomainname(Step):
    code = "hostname"
    name: str = ""

    def describe(self) -> str:
        return f"domainname {quoted(self.name)}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        kernel.setdomainname(self.name)


class SetSysctl(Step):
    """One kernel parameter, written through the host's verified procfs (CVE-2025-52881)."""

    key: str = ""
    value: str = ""

    def describe(self) -> str:
        return f"sysctl -w {quoted(f'{self.key}={self.value}')}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        try:
            write_proc(kernel, scene.proc, f"sys/{sysctl_path(self.key)}", self.value.encode())
        except OSError as error:
            raise StepError(
                f"cannot set sysctl {self.key} to {self.value!r}", code="sysctl", errno=error.errno or 0
            ) from None


def sysctl_path(key: str) -> str:
    """net.ipv4.ip_forward as a path; with slashes as separators dots are part of names (sysctl(8))."""
    return key if "/" in key.split(".", 1)[0] else key.replace(".", "/")
