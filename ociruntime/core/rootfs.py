"""Paths beneath the root file system, which belongs to an attacker.

Nothing here is ever resolved twice: a path becomes a descriptor, by openat2(2) with RESOLVE_IN_ROOT,
and everything else happens through that descriptor (CVE-2019-19921, CVE-2021-30465, CVE-2024-45310:
what was checked by name was another file by the time it was used).
"""

from __future__ import annotations

import _stat as stat
import posix as os

from ociruntime.core.errors import HostError, StepError
from ociruntime.core.kernel.flags import (
    O_PATH,
    PROC_SUPER_MAGIC,
    RESOLVE_BENEATH,
    RESOLVE_IN_ROOT,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS,
    RESOLVE_NO_XDEV,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel

ENOENT = 2
ENOTDIR = 20
ELOOP = 40
EEXIST = 17
MAX_LINKS = 40  # as many as the kernel follows (path_resolution(7))


def open_in_root(kernel: Kernel, root: int, path: str, flags: int = O_PATH, *, symlinks: bool = True) -> int:
    """A descriptor for `path` as the container would see it from `/`; raises OSError.

    With symlinks=False a symbolic link anywhere in the path is refused with ELOOP.
    """
    resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (0 if symlinks else RESOLVE_NO_SYMLINKS)
    return kernel.openat2(root, path.strip("/") or ".", flags, resolve=resolve)


def parts_of(path: str) -> list[str]:
    """The components of a path, without empty ones and dots."""
    return [part for part in path.split("/") if part not in ("", ".")]


def make_dir_in_root(
    kernel: Kernel, root: int, path: str, mode: int = 0o755, *, symlinks: bool = True, led_to: bool = False
) -> int:
    """`mkdir -p` inside the root: an O_PATH descriptor of the directory. Raises OSError, ENOTDIR for a file.

    `led_to`: what a link to nothing leads to is made, too; else it is no directory.
    """
    flags = O_PATH | os.O_DIRECTORY
    try:
        return open_in_root(kernel, root, path, flags, symlinks=symlinks)
    except FileNotFoundError:
        pass
    here, missing = _what_is_missing(kernel, root, path, symlinks=symlinks, led_to=led_to)
    return _make_dirs(kernel, here, missing, mode)


def _what_is_missing(
    kernel: Kernel, root: int, path: str, *, symlinks: bool = True, led_to: bool = True
) -> tuple[int, list[str]]:
    """The deepest directory on the way to `path`, opened, and the names that are missing below it, at least one.

    Where the way ends at a link to something that is not there, that is what is missing: images have such links,
    /etc/localtime without the package of time zones, and callers mount on them. Raises OSError.
    """
    for _ in range(MAX_LINKS):
        parts = parts_of(path)
        here, count = _deepest_existing(kernel, root, parts, symlinks)
        path = _way_around(kernel, here, parts, count) if led_to else ""
        if not path:
            return here, parts[count:]
        kernel.close(here)
    raise OSError(ELOOP, os.strerror(ELOOP), path)


def _deepest_existing(kernel: Kernel, root: int, parts: list[str], symlinks: bool) -> tuple[int, int]:
    """The deepest ancestor that exists, opened, and how many components lead to it."""
    for count in range(len(parts) - 1, 0, -1):
        try:
            flags = O_PATH | os.O_DIRECTORY
            return open_in_root(kernel, root, "/".join(parts[:count]), flags, symlinks=symlinks), count
        except FileNotFoundError:
            continue
    return open_in_root(kernel, root, "/"), 0


def _way_around(kernel: Kernel, here: int, parts: list[str], count: int) -> str:
    """Where to look instead, if parts[count], which is not in `here`, is a link or is left again by ".."; else ""."""
    if ".." in parts[count:]:
        up = parts.index("..", count)
        return "/" + "/".join(parts[: up - 1] + parts[up + 1 :])
    try:
        target = kernel.readlinkat(here, parts[count])
    except OSError:
        return ""
    if kernel.fstatfs_type(here) == PROC_SUPER_MAGIC:
        return ""  # its links to descriptors are no paths (CVE-2024-21626)
    return "/".join(["" if target.startswith("/") else "/".join(parts[:count]), target, *parts[count + 1 :]])


def _make_dirs(kernel: Kernel, here: int, names: list[str], mode: int) -> int:
    """Make directories, one in the other, and open the last: never through a link that appeared meanwhile."""
    if ".." in names:  # of a directory that is not there; made, it would lead up from here, and out of the root
        kernel.close(here)
        raise FileNotFoundError(ENOENT, os.strerror(ENOENT), "/".join(names))
    for name in names:
        try:
            kernel.mkdirat(here, name, mode)
        except FileExistsError:
            pass  # somebody was faster; the open below decides whether it is a directory
        try:
            below = kernel.open(name, O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, at=here)
        finally:
            kernel.close(here)
        here = below
    return here


def make_file_in_root(kernel: Kernel, root: int, path: str, mode: int = 0o755) -> int:
    """An O_PATH descriptor of `path`, made as an empty file (with its directories) where nothing is there.

    Raises OSError, ENOTDIR for a directory as mount(2) does: move_mount(2) would only say EINVAL.
    """
    try:
        found = open_in_root(kernel, root, path)
    except FileNotFoundError:
        pass
    else:
        if not is_directory(kernel, found):
            return found
        kernel.close(found)
        raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR), path)
    here, missing = _what_is_missing(kernel, root, path)
    parent, name = _make_dirs(kernel, here, missing[:-1], 0o755), missing[-1]
    try:
        # O_EXCL: never through a link that appeared meanwhile
        kernel.close(kernel.open(name, os.O_CREAT | os.O_EXCL | os.O_RDONLY | os.O_NOFOLLOW, mode, at=parent))
        return kernel.open(name, O_PATH | os.O_NOFOLLOW, at=parent)
    finally:
        kernel.close(parent)


def open_parent_in_root(kernel: Kernel, root: int, path: str) -> tuple[int, str]:
    """The directory that holds `path` (made where missing), opened, and the last component."""
    parts = parts_of(path)
    if not parts or parts[-1] == "..":
        raise IsADirectoryError(21, os.strerror(21), path)
    return make_dir_in_root(kernel, root, "/".join(parts[:-1])), parts[-1]


def is_directory(kernel: Kernel, fd: int) -> bool:
    return stat.S_ISDIR(kernel.fstat(fd).st_mode)


def open_proc(kernel: Kernel) -> int:
    """An O_PATH handle on the host's /proc, verified to be the root of a procfs (CVE-2025-52881).

    Taken before any namespace is entered: a name under /proc means what the host means by it, whatever
    the container mounts over its own /proc. Raises HostError.
    """
    try:
        fd = kernel.open("/proc", O_PATH | os.O_DIRECTORY)
    except OSError as error:
        raise HostError("cannot open /proc", errno=error.errno or 0, hint="mount procfs at /proc") from None
    if kernel.fstatfs_type(fd) != PROC_SUPER_MAGIC or kernel.fstat(fd).st_ino != 1:
        raise HostError("/proc is not a procfs", code="host-proc", hint="mount procfs at /proc")
    return fd


def open_in_proc(kernel: Kernel, proc: int, name: str, flags: int) -> int:
    """A file of the verified procfs, e.g. "self/uid_map"; no link but self and thread-self, no other mount."""
    first, _, rest = name.partition("/")
    if first in ("self", "thread-self") and rest:
        directory = kernel.openat2(proc, first, O_PATH | os.O_DIRECTORY, resolve=RESOLVE_BENEATH | RESOLVE_NO_XDEV)
        try:
            return kernel.openat2(directory, rest, flags, resolve=_PROC_RESOLVE)
        finally:
            kernel.close(directory)
    return kernel.openat2(proc, name, flags, resolve=_PROC_RESOLVE)


_PROC_RESOLVE = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV


def write_proc(kernel: Kernel, proc: int, name: str, data: bytes) -> None:
    """Write a file of the verified procfs in one write(2). Raises OSError."""
    fd = open_in_proc(kernel, proc, name, os.O_WRONLY)
    try:
        kernel.write(fd, data)
    finally:
        kernel.close(fd)


def read_proc(kernel: Kernel, proc: int, name: str) -> bytes:
    """Read a small file of the verified procfs. Raises OSError."""
    fd = open_in_proc(kernel, proc, name, os.O_RDONLY)
    try:
        return kernel.read(fd)
    finally:
        kernel.close(fd)


def refuse_inside_proc(kernel: Kernel, target: int, destination: str) -> None:
    """A mount over a file of the container's procfs hides what security depends on (CVE-2019-16884)."""
    if destination in PROC_ALLOWED or kernel.fstatfs_type(target) != PROC_SUPER_MAGIC:
        return
    raise StepError(
        f"{destination} cannot be mounted because it is inside /proc",
        code="mount-inside-proc",
        hint="mount it somewhere else; only a few files, such as /proc/cpuinfo, may be covered",
    )


# What lxcfs and CRIU cover; the list that runc and crun allow
PROC_ALLOWED = frozenset(
    f"/proc/{name}"
    for name in (
        "cpuinfo",
        "diskstats",
        "meminfo",
        "stat",
        "swaps",
        "uptime",
        "loadavg",
        "slabinfo",
        "net/dev",
        "sys/kernel/ns_last_pid",
        "sys/crypto/fips_enabled",
    )
)
