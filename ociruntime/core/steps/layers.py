"""An overlay whose list of layers is long.

A value of fsconfig(2) has at most 255 bytes, where mount(2) takes a page for all options, and the paths of two layers
of podman are longer. Loaded only then. mountinfo shows the short names.
"""

from __future__ import annotations

import posix as os

from ociruntime.core.kernel.flags import O_PATH
from ociruntime.core.steps.mount import MountFilesystem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel


class MountLayers(MountFilesystem):
    """An overlay that is told its lower layers by descriptor."""

    def _configure(self, kernel: Kernel, context: int) -> None:
        data, opened = self.data, list[int]()
        try:
            self.data = tuple(_by_descriptor(kernel, option, opened) for option in data)
            super()._configure(kernel, context)
        finally:
            self.data = data
            for descriptor in opened:
                kernel.close(descriptor)


def _by_descriptor(kernel: Kernel, option: str, opened: list[int]) -> str:
    """A list of layers in short, other options as they are; the descriptors are added to `opened`."""
    key, _, layers = option.partition("=")
    if key != "lowerdir":
        return option
    names = []
    for name in layers.replace("\\:", "\0").split(":"):  # a colon in a path is escaped
        if name:  # nothing between two colons means that what follows has data only
            opened.append(kernel.open(name.replace("\0", ":"), O_PATH | os.O_DIRECTORY))
            name = f"/proc/self/fd/{opened[-1]}"
        names.append(name)
    return f"{key}={':'.join(names)}"
