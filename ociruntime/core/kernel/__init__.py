"""The one door to the kernel.

One thin function per system call, named as in its man page, no logic; errno becomes OSError in one
place (native/door.c, or the os module). Steps receive the kernel as an argument, so a test passes a
recorder in its place. Linux 5.12 is the oldest kernel that has every call used unconditionally.
"""

from __future__ import annotations

from ociruntime.core.kernel.files import Files
from ociruntime.core.kernel.mounting import Mounting
from ociruntime.core.kernel.tasks import Tasks


class Kernel(Files, Mounting, Tasks):
    """All system calls."""
