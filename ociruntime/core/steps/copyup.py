"""tmpcopyup: what the image holds at a destination, copied into the tmpfs that covers it.

Loaded only where the option is used. Both sides are directory descriptors; no link is followed.
"""

from __future__ import annotations

import _stat as stat
import posix as os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel


def copy_tree(kernel: Kernel, source: int, target: int) -> None:
    """Copy owner, mode and content of a directory, depth first; sockets and devices are left out."""
    info = kernel.fstat(source)
    os.fchown(target, info.st_uid, info.st_gid)
    kernel.fchmod(target, stat.S_IMODE(info.st_mode))
    copy_content(kernel, source, target)


def copy_content(kernel: Kernel, source: int, target: int) -> None:
    """Copy what is in a directory."""
    for name in kernel.listdir(source):
        _copy_entry(kernel, source, target, name)


def _copy_entry(kernel: Kernel, source: int, target: int, name: str) -> None:
    info = kernel.stat(name, at=source, follow=False)
    if stat.S_ISLNK(info.st_mode):
        kernel.symlinkat(kernel.readlinkat(source, name), target, name)
        kernel.chown(name, info.st_uid, info.st_gid, at=target)
    elif stat.S_ISDIR(info.st_mode):
        kernel.mkdirat(target, name, 0o700)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        below, above = kernel.open(name, flags, at=source), kernel.open(name, flags, at=target)
        try:
            copy_tree(kernel, below, above)
        finally:
            kernel.close(below)
            kernel.close(above)
    elif stat.S_ISREG(info.st_mode):
        _copy_file(kernel, source, target, name)


def _copy_file(kernel: Kernel, source: int, target: int, name: str) -> None:
    reader = kernel.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, at=source)
    try:
        info = kernel.fstat(reader)
        if not stat.S_ISREG(info.st_mode):
            return  # exchanged for something that may block or is not a file
        writer = kernel.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, at=target)
        try:
            while data := kernel.read(reader):
                kernel.write(writer, data)
            os.fchown(writer, info.st_uid, info.st_gid)
            kernel.fchmod(writer, stat.S_IMODE(info.st_mode))
        finally:
            kernel.close(writer)
    finally:
        kernel.close(reader)
