"""copy-symlink: a link in place of a mount.

For a source that is a link; the kernel would mount what it leads to. crun's option, and what podman makes of
`--mount type=bind,no-dereference` and of links among the files of `type=glob`.
"""

from __future__ import annotations

from ociruntime.core.rootfs import open_parent_in_root
from ociruntime.core.steps.base import Step, in_rootfs, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Scene


class CopyLink(Step):
    """The same link in the container."""

    code = "mount"
    destination: str
    target: str

    def describe(self) -> str:
        return f"ln -s {quoted(self.target, in_rootfs(self.destination))}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        """Raises OSError, EEXIST for a file of the image that is not this link."""
        directory, name = open_parent_in_root(kernel, scene.rootfs, self.destination)
        try:
            kernel.symlinkat(self.target, directory, name)
        except FileExistsError:
            if self._found(kernel, directory, name) != self.target:
                raise
        finally:
            kernel.close(directory)

    def _found(self, kernel: Kernel, directory: int, name: str) -> str:
        try:
            return kernel.readlinkat(directory, name)
        except OSError:
            return ""  # it is no link
