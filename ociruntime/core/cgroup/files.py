"""Reading and writing the files of a cgroup: one open, one transfer, one close."""

from __future__ import annotations

import posix as os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ociruntime.core.kernel import Kernel

    CgroupRecord = dict[str, Any]  # as the package's docstring says

ENODEV, EOPNOTSUPP = 19, 95


def read_text(kernel: Kernel, path: str) -> str:
    """The whole content of a kernel file; raises OSError."""
    fd = kernel.open(path, os.O_RDONLY)
    try:
        data = kernel.read(fd, 65536)
        # A seq_file hands out at most its buffer per read(2), however large ours is.
        while len(data) >= 4000:
            more = kernel.read(fd, 65536)
            if not more:
                break
            data += more
    finally:
        kernel.close(fd)
    return data.decode("utf-8", "surrogateescape")


def write_text(kernel: Kernel, path: str, value: str) -> None:
    """Write a value, each line by a write of its own: io.max and its like take one device a time."""
    fd = kernel.open(path, os.O_WRONLY)
    try:
        for line in value.split("\n"):
            kernel.write(fd, line.encode())
    finally:
        kernel.close(fd)


def subdirectories(kernel: Kernel, path: str) -> list[str]:
    """The child cgroups of a cgroup, as full paths. [] where it is gone."""
    try:
        # In kernfs the link count of a directory is exact: 2 means that it has no child.
        if kernel.stat(path).st_nlink == 2:
            return []
        names = kernel.listdir(path)
    except FileNotFoundError:
        return []
    found = []
    for name in names:
        child = f"{path}/{name}"
        try:
            if kernel.stat(child, follow=False).st_mode & 0o170000 == 0o040000:
                found.append(child)
        except FileNotFoundError:
            continue
    return found


def _leaders(kernel: Kernel, path: str) -> list[int]:
    """The processes whose main thread is in a threaded cgroup."""
    found = []
    for thread in read_text(kernel, f"{path}/cgroup.threads").split():
        try:
            if f"\nTgid:\t{thread}\n" in read_text(kernel, f"/proc/{thread}/status"):
                found.append(int(thread))
        except OSError:
            continue
    return found


def members(kernel: Kernel, path: str, *, recursive: bool = True) -> list[int]:
    """The processes in a cgroup (and below), in no order; [] where it is gone.

    A threaded v2 cgroup has no list of processes (EOPNOTSUPP), but one of threads.
    """
    found: list[int] = []
    try:
        found.extend(int(line) for line in read_text(kernel, f"{path}/cgroup.procs").split())
    except FileNotFoundError:
        return found
    except OSError as error:
        if error.errno == EOPNOTSUPP:
            found.extend(_leaders(kernel, path))
        elif error.errno != ENODEV:  # removed while it was read
            raise
    if recursive:
        for child in subdirectories(kernel, path):
            found.extend(members(kernel, child))
    return found
