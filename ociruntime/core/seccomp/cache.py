"""Compiled filters, kept by the digest of their profile.

Making a filter takes libseccomp and some 60 ms, reading one takes some 0.1 ms. A file is only believed if

- it and its directory belong to the caller and nobody else may write them, and neither is a symbolic link
- its digest fits its content and the profile: a torn or exchanged file is not used
- the libseccomp that made it is still the installed one: a newer one knows more system calls

and anything else counts as absent and is written anew. No cache at all (a read-only /var) is no error.
"""

from __future__ import annotations

import _stat as stat
import posix as os

from ociruntime.core import paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ociruntime.core.kernel import Kernel

MAGIC = b"ociruntime seccomp 2\n"  # another number for any change of what a profile compiles to
DIGEST = 32
LARGEST = 64 << 10  # a filter has at most 4096 instructions of 8 bytes
MOST_FILES = 64

SYSTEM_DIRECTORY = "/var/cache/ociruntime/seccomp"


def compiled(kernel: Kernel, profile: Mapping[str, Any], origin: str) -> bytes:
    """The instructions of a profile (struct sock_filter[]). Raises ConfigError or HostError where it has to compile."""
    return Cache(kernel, directory()).get(profile, origin)


def directory() -> str:
    """Where filters are kept: with root survives a reboot, else with the user's session; "" for nowhere.

    Rootless podman runs us as root of its own user namespace: /var belongs to nobody there.
    """
    try:
        if os.stat("/var/cache").st_uid == os.geteuid() == 0:
            return SYSTEM_DIRECTORY
    except OSError:
        pass
    runtime = paths.getenv("XDG_RUNTIME_DIR", "")
    return f"{runtime}/ociruntime/seccomp" if runtime.startswith("/") else ""


class Cache:
    """A directory of compiled filters; an empty path keeps nothing."""

    def __init__(self, kernel: Kernel, path: str) -> None:
        self.kernel = kernel
        self.path = path

    def get(self, profile: Mapping[str, Any], origin: str) -> bytes:
        """The filter from the cache, or compiled and kept for the next time."""
        # Read from JSON, so its repr is one text for one document; another order of keys is only another entry
        key = _digest(MAGIC + repr(profile).encode("utf-8", "surrogatepass"))
        program = self._read(key)
        if program is None:
            from ociruntime.seccomp.compile import compile_profile

            program, library = compile_profile(profile, origin)
            if library and self.path:
                self._write(key, library, program)
        return program

    def _read(self, key: bytes) -> bytes | None:
        try:
            here = self._open_directory()
        except OSError:
            return None
        try:
            return self._believe(key, self._read_file(here, key.hex()))
        except OSError:
            return None
        finally:
            self.kernel.close(here)

    def _open_directory(self) -> int:
        """Raises OSError for a directory that is not there, or not ours alone."""
        here = self.kernel.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        if not self._ours(self.kernel.fstat(here)):
            self.kernel.close(here)
            raise PermissionError(self.path)
        return here

    def _read_file(self, here: int, name: str) -> bytes:
        fd = self.kernel.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, at=here)
        try:
            info = self.kernel.fstat(fd)
            if not stat.S_ISREG(info.st_mode) or not self._ours(info) or info.st_size > LARGEST:
                return b""
            return self.kernel.read(fd, LARGEST)
        finally:
            self.kernel.close(fd)

    @staticmethod
    def _ours(info: os.stat_result) -> bool:
        return info.st_uid == os.geteuid() and not info.st_mode & 0o022

    def _believe(self, key: bytes, content: bytes) -> bytes | None:
        """The program in a file's content, if all of it is true."""
        start = len(MAGIC) + DIGEST
        magic, digest, rest = content[: len(MAGIC)], content[len(MAGIC) : start], content[start:]
        if magic != MAGIC or digest != _digest(key + rest):
            return None
        identity, _, program = rest.partition(b"\n")
        if identity != _identity(paths.fsdecode(identity.partition(b" ")[2])) or not program or len(program) % 8:
            return None
        return program

    def _write(self, key: bytes, library: str, program: bytes) -> None:
        """Keep a filter: complete under its name, or not at all. A failure costs only time, later."""
        name = key.hex()
        try:
            rest = _identity(library) + b"\n" + program
            content = MAGIC + _digest(key + rest) + rest
            here = self._make_directory()
            try:
                self._prune(here)
                self._unlink(here, f".{name}")
                fd = self.kernel.open(f".{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, at=here)
                try:
                    self.kernel.write(fd, content)
                finally:
                    self.kernel.close(fd)
                self.kernel.renameat(here, f".{name}", name)
            finally:
                self.kernel.close(here)
        except OSError:
            return

    def _make_directory(self) -> int:
        parent = paths.dirname(self.path)
        for path, mode in ((parent, 0o755), (self.path, 0o700)):
            try:
                self.kernel.mkdirat(None, path, mode)
            except FileExistsError:
                continue
        return self._open_directory()

    def _prune(self, here: int) -> None:
        """A cache, not an archive: the oldest go."""
        names = self.kernel.listdir(here)
        if len(names) >= MOST_FILES:
            names.sort(key=lambda name: self.kernel.stat(name, at=here, follow=False).st_mtime_ns)
            for name in names[: len(names) - MOST_FILES + 1]:
                self._unlink(here, name)

    def _unlink(self, here: int, name: str) -> None:
        try:
            self.kernel.unlinkat(here, name)
        except FileNotFoundError:
            pass


def _digest(content: bytes) -> bytes:
    from _blake2 import blake2b

    return blake2b(content, digest_size=DIGEST).digest()


def _identity(library: str) -> bytes:
    """Which libseccomp: what changes with an upgrade, and its path. Raises OSError where there is none."""
    info = os.stat(library)
    return paths.fsencode(f"{info.st_mtime_ns}:{info.st_size}:{info.st_ino} {library}")
