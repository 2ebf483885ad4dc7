"""Taking a mount away from a container that lives."""

from __future__ import annotations

import posix as os

from ociruntime.core.errors import StepError
from ociruntime.core.kernel.flags import MNT_DETACH, O_PATH, UMOUNT_NOFOLLOW
from ociruntime.core.rootfs import open_in_root
from ociruntime.core.steps.base import Step, in_rootfs, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Scene

EINVAL = 22


class RemoveMount(Step):
    """umount2(2) by the last component, in its directory: no link of the image can lead it elsewhere."""

    destination: str = ""

    def describe(self) -> str:
        return f"umount --lazy {quoted(in_rootfs(self.destination))}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        parent, _, name = self.destination.rpartition("/")
        directory = open_in_root(kernel, scene.rootfs, parent, O_PATH | os.O_DIRECTORY)
        kernel.fchdir(directory)
        kernel.close(directory)
        try:
            kernel.umount2(name or ".", MNT_DETACH | UMOUNT_NOFOLLOW)
        except OSError as error:
            what = f"cannot unmount {self.destination}"
            if error.errno == EINVAL:
                what = f"nothing is mounted on {self.destination}, or the container's user namespace does not own it"
            raise StepError(what, code="unmount", errno=error.errno or 0) from None
