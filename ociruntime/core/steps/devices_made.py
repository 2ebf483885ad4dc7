"""Devices for a user namespace, in which nobody may make any (user_namespaces(7))."""

from __future__ import annotations

from ociruntime.core.kernel.flags import AT_FDCWD, MOUNT_ATTR_NODEV, OPEN_TREE_CLONE
from ociruntime.core.steps.base import quoted
from ociruntime.core.steps.devices import Device

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Scene


class OpenDevice(Device):
    """A device that the host has not got, or with another owner, made by the parent for a user namespace.

    The node lies in the state directory, which only root may enter, and goes with it.
    """

    directory: str = ""  # of the state
    key: str = ""

    def describe(self) -> str:
        node = quoted(f"{self.directory}/{self.key}")
        return f"mknod {node} {self.numbers()} && mount --bind {node} {{{self.key}}}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        node = f"{self.directory}/{self.key}"
        umask = kernel.umask(0)
        try:
            kernel.mknodat(None, node, self.mode, self.number)
        except PermissionError:
            return  # the runtime has no right to it: the host's own is all there is (BindDevice)
        finally:
            kernel.umask(umask)
        kernel.chown(node, *self.owner)
        tree = kernel.open_tree(AT_FDCWD, node, OPEN_TREE_CLONE)
        kernel.mount_setattr(tree, 0, attr_clr=MOUNT_ATTR_NODEV)  # /run is usually mounted so
        scene.handles[self.key] = tree
