"""The tape player (native/player.c) in a sealed memory file.

The container's init executes this, never a file of the host: /proc/1/exe leads to sealed memory, which
nobody can write, and not to the interpreter or the runtime (CVE-2019-5736). Waiting for `start` it holds
some 12 kB.
"""

from __future__ import annotations

import posix as os

from ociruntime.core import paths
from ociruntime.core.errors import HostError
from ociruntime.core.kernel.flags import (
    F_ADD_SEALS,
    F_SEAL_GROW,
    F_SEAL_SEAL,
    F_SEAL_SHRINK,
    F_SEAL_WRITE,
    MFD_ALLOW_SEALING,
    MFD_CLOEXEC,
    MFD_EXEC,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel

PATH = f"{paths.dirname(__file__)}/player"
SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE


def open_player(kernel: Kernel) -> int:
    """A CLOEXEC descriptor of the player in sealed memory. Raises HostError where the installation lacks it."""
    try:
        source = kernel.open(PATH, os.O_RDONLY)
    except FileNotFoundError:
        raise HostError(f"{PATH} is missing", code="installation", hint="install ociruntime again") from None
    code = kernel.read(source)
    kernel.close(source)
    return sealed(kernel, "ociruntime-init", code, executable=True)


def sealed(kernel: Kernel, name: str, content: bytes, *, executable: bool = False) -> int:
    """Content in a memory file that nobody can change any more (memfd_create(2))."""
    flags = MFD_CLOEXEC | MFD_ALLOW_SEALING
    try:
        fd = kernel.memfd_create(name, flags | (MFD_EXEC if executable else 0))
    except OSError:
        fd = kernel.memfd_create(name, flags)  # MFD_EXEC is known since Linux 6.3
    while content:
        content = content[kernel.write(fd, content) :]
    kernel.fcntl(fd, F_ADD_SEALS, SEALS)
    return fd
