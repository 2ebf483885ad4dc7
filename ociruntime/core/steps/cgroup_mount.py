"""Mounting control groups into the container."""

from __future__ import annotations

import posix as os

from ociruntime.core.errors import StepError
from ociruntime.core.kernel.flags import AT_FDCWD, OPEN_TREE_CLONE
from ociruntime.core.rootfs import open_in_root
from ociruntime.core.steps.base import Step, in_rootfs, quoted
from ociruntime.core.steps.mount import MountFilesystem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Scene


class MountUnified(MountFilesystem):
    """A cgroup2 of the container's own cgroup namespace.

    Where the kernel refuses a new instance (EPERM to a container in a user namespace that does not own
    its cgroup namespace, EBUSY), the container's own directory is bound instead, as runc does.
    """

    fallback: str = ""
    fallback_attr: int = 0

    def make(self, kernel: Kernel, mode: str = "") -> int:
        try:
            return super().make(kernel)
        except (OSError, StepError) as error:
            if error.errno not in (1, 16) or not self.fallback:
                raise
        tree = kernel.open_tree(AT_FDCWD, self.fallback, OPEN_TREE_CLONE)
        kernel.mount_setattr(tree, 0, attr_set=self.fallback_attr)
        return tree


class LinkControllers(Step):
    """Names of single controllers for a hierarchy that several share: cpu -> cpu,cpuacct."""

    code = "mount"
    destination: str = ""
    links: tuple[tuple[str, str], ...] = ()

    def describe(self) -> str:
        return "; ".join(
            f"ln -s {quoted(target, in_rootfs(f'{self.destination}/{name}'))}" for name, target in self.links
        )

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        directory = open_in_root(kernel, scene.rootfs, self.destination, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for name, target in self.links:
                kernel.symlinkat(target, directory, name)
        finally:
            kernel.close(directory)
