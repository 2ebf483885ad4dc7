"""Device nodes and links in the container's /dev, never through a link of the image (CVE-2026-41579)."""

from __future__ import annotations

import _stat as stat
import posix as os

from ociruntime.core.errors import StepError
from ociruntime.core.kernel.flags import (
    AT_FDCWD,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    O_PATH,
    OPEN_TREE_CLONE,
)
from ociruntime.core.rootfs import open_parent_in_root
from ociruntime.core.steps.base import Step, in_rootfs, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Scene


EBUSY = 16


class Device(Step):
    """A device file: its path in the container, st_mode, device number and owner."""

    code = "device"
    path: str = ""
    mode: int = 0
    number: int = 0
    owner: tuple[int, int] = (0, 0)

    def numbers(self) -> str:
        """Kind and device number as mknod(1) takes them."""
        kind = {stat.S_IFCHR: "c", stat.S_IFBLK: "b", stat.S_IFIFO: "p"}[stat.S_IFMT(self.mode)]
        return kind if kind == "p" else f"{kind} {os.major(self.number)} {os.minor(self.number)}"

    def open_directory(self, kernel: Kernel, scene: Scene) -> tuple[int, str]:
        """The directory to make it in. A directory that the image made a link is refused."""
        directory, name = open_parent_in_root(kernel, scene.rootfs, self.path)
        return directory, name

    def matches(self, kernel: Kernel, directory: int, name: str) -> bool:
        """Whether it is there already; something else of that name is an error (config-linux.md, Devices)."""
        try:
            info = kernel.stat(name, at=directory, follow=False)
        except FileNotFoundError:
            return False
        if stat.S_IFMT(info.st_mode) == stat.S_IFMT(self.mode) and (
            info.st_rdev == self.number or stat.S_ISFIFO(info.st_mode)
        ):
            return True
        raise StepError(f"{self.path} exists and is not the device that was asked for", code="device-exists", errno=17)


class MakeDevice(Device):
    """mknod(2), then the owner and mode through a descriptor that was verified to be that device."""

    def describe(self) -> str:
        return f"mknod -m {stat.S_IMODE(self.mode):03o} {quoted(in_rootfs(self.path))} {self.numbers()}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        directory, name = self.open_directory(kernel, scene)
        try:
            if self.matches(kernel, directory, name):
                return
            kernel.mknodat(directory, name, self.mode, self.number)
            if self.owner != (0, 0):
                fd = kernel.open(name, O_PATH | os.O_NOFOLLOW, at=directory)
                info = kernel.fstat(fd)
                if info.st_rdev == self.number and stat.S_IFMT(info.st_mode) == stat.S_IFMT(self.mode):
                    kernel.fchownat(fd, *self.owner)
                kernel.close(fd)
        finally:
            kernel.close(directory)


class BindDevice(Device):
    """The host's device over an empty file, where mknod(2) is not allowed (a user namespace)."""

    key: str = ""  # of the handle that OpenDevice may have left

    def describe(self) -> str:
        place = quoted(in_rootfs(self.path))
        return f"touch {place} && mount --bind {quoted(self.path)} {place}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        directory, name = self.open_directory(kernel, scene)
        try:
            try:
                if self.matches(kernel, directory, name):
                    return
            except StepError:
                if not stat.S_ISREG(kernel.stat(name, at=directory, follow=False).st_mode):
                    raise
            try:
                kernel.close(kernel.open(name, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666, at=directory))
            except FileExistsError:
                pass  # an empty file of an earlier container; the open below refuses a link
            target = kernel.open(name, O_PATH | os.O_NOFOLLOW, at=directory)
            if not stat.S_ISREG(kernel.fstat(target).st_mode):
                raise StepError(f"{self.path} is not a regular file", code="device-exists", errno=17)
            tree = scene.handles.pop(self.key) if self.key in scene.handles else self._host_device(kernel)
            # A file among devices; where mknod(2) works it would be on a tmpfs with these options
            kernel.mount_setattr(tree, 0, attr_set=MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)
            kernel.move_mount(tree, target)
            kernel.close(tree)
            kernel.close(target)
        finally:
            kernel.close(directory)

    def _host_device(self, kernel: Kernel) -> int:
        try:
            info = kernel.stat(self.path)
        except OSError as error:
            raise StepError(
                f"{self.path} does not exist on the host, and a user namespace can only bind devices",
                code="device-missing",
                errno=error.errno or 0,
            ) from None
        if info.st_rdev != self.number or stat.S_IFMT(info.st_mode) != stat.S_IFMT(self.mode):
            raise StepError(f"{self.path} of the host is another device", code="device-mismatch")
        return kernel.open_tree(AT_FDCWD, self.path, OPEN_TREE_CLONE)


class DefaultLinks(Step):
    """/dev/fd, stdin, stdout, stderr and ptmx (config-linux.md, Dev symbolic links, Default Devices)."""

    code = "device"

    LINKS = (
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    )

    def describe(self) -> str:
        return "; ".join(f"ln -s {target} rootfs/dev/{name}" for name, target in (*self.LINKS, ("ptmx", "pts/ptmx")))

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        directory, _ = open_parent_in_root(kernel, scene.rootfs, "/dev/x")
        try:
            for name, target in self.LINKS:
                self._link(kernel, directory, target, name)
            if _is_there(kernel, directory, "pts"):
                self._ptmx(kernel, directory)
        finally:
            kernel.close(directory)

    def _link(self, kernel: Kernel, directory: int, target: str, name: str) -> None:
        try:
            kernel.symlinkat(target, directory, name)
        except FileExistsError:
            pass  # the image has its own

    def _ptmx(self, kernel: Kernel, directory: int) -> None:
        """A ptmx of the image would allocate terminals of another devpts than the container's."""
        try:
            kernel.symlinkat("pts/ptmx", directory, "ptmx")
        except FileExistsError:
            try:
                kernel.unlinkat(directory, "ptmx")
                kernel.symlinkat("pts/ptmx", directory, "ptmx")
            except OSError as error:
                if error.errno != EBUSY:  # a mount: podman's --privileged with a user namespace binds the host's
                    raise


def _is_there(kernel: Kernel, directory: int, name: str) -> bool:
    try:
        kernel.stat(name, at=directory, follow=False)
    except FileNotFoundError:
        return False
    return True
