"""Files and directories, relative to descriptors."""

from __future__ import annotations

import fcntl
import posix as os

from ociruntime.core import paths
from ociruntime.core.kernel import _door
from ociruntime.core.kernel.flags import AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, O_PATH


def path(name: str | bytes) -> bytes:
    """A C string of a path; a NUL inside would silently cut it, so it is refused."""
    raw = paths.fsencode(name)
    if b"\0" in raw:
        raise ValueError(f"path contains a NUL character: {name!r}")
    return raw + b"\0"


def u32(number: int) -> bytes:
    return (number & 0xFFFFFFFF).to_bytes(4, "little")


def u64(number: int) -> bytes:
    return (number & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little")


class Files:
    """open(2) and its family. Every descriptor is CLOEXEC from birth. All raise OSError."""

    def open(self, name: str, flags: int, mode: int = 0o666, *, at: int | None = None) -> int:
        """openat(2); with `at` the name is resolved by the kernel's rules, so trusted names only."""
        return os.open(name, flags | os.O_CLOEXEC, mode, dir_fd=at)

    def openat2(self, at: int, name: str, flags: int, *, resolve: int, mode: int = 0) -> int:
        """openat2(2): open with a say in how the path is resolved; EAGAIN (a rename raced) is retried."""
        how = u64(flags | os.O_CLOEXEC) + u64(mode) + u64(resolve)
        for _ in range(128):
            try:
                return _door.syscall(_door.SYS_openat2, at, path(name), how, len(how))
            except BlockingIOError:
                continue
        raise BlockingIOError(11, "the path is renamed faster than it can be resolved", name)

    def close(self, fd: int) -> None:
        os.close(fd)

    def read(self, fd: int, size: int = 1 << 16) -> bytes:
        return os.read(fd, size)

    def write(self, fd: int, data: bytes) -> int:
        return os.write(fd, data)

    def fstat(self, fd: int) -> os.stat_result:
        return os.fstat(fd)

    def stat(self, name: str, *, at: int | None = None, follow: bool = True) -> os.stat_result:
        return os.stat(name, dir_fd=at, follow_symlinks=follow)

    def fstatfs_type(self, fd: int) -> int:
        """The magic number of the file system that a descriptor is on (statfs(2), f_type)."""
        buffer = bytearray(120)
        _door.syscall(_door.SYS_fstatfs, fd, buffer)
        return int.from_bytes(buffer[:8], "little")

    def mkdirat(self, at: int | None, name: str, mode: int) -> None:
        os.mkdir(name, mode, dir_fd=at)

    def mknodat(self, at: int | None, name: str, mode: int, device: int) -> None:
        os.mknod(name, mode, device, dir_fd=at)

    def symlinkat(self, target: str, at: int, name: str) -> None:
        os.symlink(target, name, dir_fd=at)

    def unlinkat(self, at: int | None, name: str, *, directory: bool = False) -> None:
        if directory:
            os.rmdir(name, dir_fd=at)
        else:
            os.unlink(name, dir_fd=at)

    def renameat(self, at: int, old: str, new: str) -> None:
        os.rename(old, new, src_dir_fd=at, dst_dir_fd=at)

    def linkat(self, fd: int, name: str) -> None:
        """linkat(2): a name for an open file that has none (O_TMPFILE)."""
        os.link(f"/proc/self/fd/{fd}", name, src_dir_fd=fd)  # without a directory posix would take link(2)

    def readlinkat(self, at: int | None, name: str) -> str:
        return os.readlink(name, dir_fd=at)

    def fchownat(self, fd: int, uid: int, gid: int) -> None:
        """Change the owner of the file behind a descriptor, an O_PATH one included."""
        _door.syscall(_door.SYS_fchownat, fd, b"\0", uid, gid, AT_EMPTY_PATH)

    def chown(self, name: str, uid: int, gid: int, *, at: int | None = None) -> None:
        os.chown(name, uid, gid, dir_fd=at, follow_symlinks=False)

    def chmod(self, name: str, mode: int, *, at: int | None = None) -> None:
        os.chmod(name, mode, dir_fd=at)

    def fchmod(self, fd: int, mode: int) -> None:
        os.fchmod(fd, mode)

    def faccessat2(self, at: int, name: str, mode: int, flags: int = 0) -> None:
        """faccessat2(2); raises OSError where the access would be refused."""
        _door.syscall(_door.SYS_faccessat2, at, path(name), mode, flags)

    def listdir(self, fd: int | str) -> list[str]:
        return os.listdir(fd)

    def fcntl(self, fd: int, command: int, argument: int = 0) -> int:
        return fcntl.fcntl(fd, command, argument)

    def ioctl(self, fd: int, request: int, argument: int | bytes = 0) -> int | bytes:
        return fcntl.ioctl(fd, request, argument)

    def flock(self, fd: int, operation: int) -> None:
        fcntl.flock(fd, operation)

    def set_inheritable(self, fd: int) -> None:
        """Let a descriptor survive execve."""
        os.set_inheritable(fd, True)

    def dup2(self, fd: int, to: int, *, inheritable: bool = True) -> None:
        os.dup2(fd, to, inheritable)

    def dup(self, fd: int, least: int = 3) -> int:
        """A CLOEXEC copy of a descriptor, numbered `least` or above."""
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, least)

    def pipe(self) -> tuple[int, int]:
        """pipe2(2), CLOEXEC: the end to read and the end to write."""
        return os.pipe2(os.O_CLOEXEC)

    def set_blocking(self, fd: int, blocking: bool) -> None:
        """O_NONBLOCK by fcntl(2)."""
        os.set_blocking(fd, blocking)

    def umask(self, mask: int) -> int:
        return os.umask(mask)

    def memfd_create(self, name: str, flags: int) -> int:
        return os.memfd_create(name, flags)

    def open_path(self, name: str, *, at: int | None = None, follow: bool = True, directory: bool = False) -> int:
        """An O_PATH handle on a trusted name."""
        flags = O_PATH | (0 if follow else os.O_NOFOLLOW) | (os.O_DIRECTORY if directory else 0)
        return self.open(name, flags, at=at)


__all__ = ["AT_SYMLINK_NOFOLLOW", "Files", "path", "u32", "u64"]
