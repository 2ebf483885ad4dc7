"""signalfd(2), which only commands in the foreground need."""

from __future__ import annotations

from ociruntime.core.kernel import _door
from ociruntime.core.kernel.files import u64

SFD_CLOEXEC = 0o2000000


def signalfd(mask: set[int]) -> int:
    """A CLOEXEC descriptor that yields a struct signalfd_siginfo (128 bytes) for each signal of the mask."""
    bits = u64(sum(1 << (number - 1) for number in mask))
    return _door.syscall(_door.SYS_signalfd4, -1, bits, len(bits), SFD_CLOEXEC)
