"""The layers of an overlay by descriptor.

A value of fsconfig(2) has at most 255 bytes, where mount(2) takes a page for all options, and the paths of two layers
of podman are longer. Loaded only then. mountinfo shows the short names.
"""

from __future__ import annotations

import posix as os

from ociruntime.core.kernel.flags import O_PATH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel


def by_descriptor(kernel: Kernel, layers: str, opened: list[int]) -> str:
    """The same list of layers in short; the descriptors are added to `opened`, for the caller to close."""
    names = []
    for name in layers.replace("\\:", "\0").split(":"):  # a colon in a path is escaped
        if name:  # nothing between two colons means that what follows has data only
            opened.append(kernel.open(name.replace("\0", ":"), O_PATH | os.O_DIRECTORY))
            name = f"/proc/self/fd/{opened[-1]}"
        names.append(name)
    return ":".join(names)
