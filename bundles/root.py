"""The only way a file gets into a root.

Archives come from strangers. The classic tricks are names with `..`, absolute names, a symbolic link
`lib -> /etc` followed by a file `lib/passwd`, a hard link to a file of the host followed by a write to
it, device nodes and set-user-ID programs. All of them end here, in one place and for every recipe,
because a `Root`

* walks to the parent of a name one component at a time with `openat(2)` and O_NOFOLLOW, so that no
  symbolic link is ever followed;
* creates files with O_EXCL after unlinking what was there, so that nothing is ever written *through* a
  link, symbolic or hard;
* makes hard links only to regular files that are in the root already;
* has no way to make a device, and drops the set-user-ID and set-group-ID bits: until the container
  runs, the root is an ordinary directory of the host, open to its users. (The sample containers set
  noNewPrivileges, which ignores these bits anyway.)
* counts bytes and entries against a budget, so that an archive of 40 kB cannot fill the disk.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from .errors import BundleError, RefusedError

MAX_BYTES: Final = 8 << 30  # more than any base image; the largest in common use are about 3 GiB
MAX_ENTRIES: Final = 1_000_000
CHUNK: Final = 1 << 20

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

Owner = tuple[int, int]


def components(name: str) -> list[str]:
    """The parts of a name relative to the root, `[]` for the root itself; refuses what points elsewhere."""
    if name.startswith("/"):
        raise RefusedError(f"{name!r}: an absolute name points out of the root")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise RefusedError(f"{name!r}: a name with '..' may point out of the root")
    if "\0" in name:
        raise RefusedError(f"{name!r}: a name cannot hold a NUL byte")
    return parts


class Root:
    """A new directory that becomes a root file system.

    `owner` (uid, gid) gets every entry, whoever the source says owns it: for containers whose root is
    somebody else outside (user_namespaces(7)). Use as a context manager: leaving it gives the
    directories their final modes, which may forbid what was done meanwhile.
    """

    def __init__(self, path: Path, *, owner: Owner | None = None, max_bytes: int = MAX_BYTES) -> None:
        path.mkdir(mode=0o755)
        self.path = path
        self._fd = os.open(path, _DIRECTORY)
        self._owner = owner
        self._bytes_left = max_bytes
        self._entries_left = MAX_ENTRIES
        self._modes: dict[tuple[str, ...], int] = {(): 0o755}
        self._give(self._fd, None)

    def __enter__(self) -> Root:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for parts in sorted(self._modes, key=len, reverse=True):
                with self._open_directory(list(parts)) as fd:
                    os.fchmod(fd, self._modes[parts])
        finally:
            os.close(self._fd)

    def directory(self, name: str, mode: int = 0o755, owner: Owner | None = None) -> None:
        """Make a directory, and its parents; one that exists gets the mode and the owner."""
        parts = components(name)
        self._count()
        with self._open_directory(parts, make=True) as fd:
            self._give(fd, owner)
        self._modes[tuple(parts)] = mode & 0o1777

    def ensure(self, name: str, mode: int = 0o755) -> None:
        """Make a directory that may be there already, and then stays as it is."""
        parts = components(name)
        there = tuple(parts) in self._modes
        with self._open_directory(parts, make=True):
            if not there:
                self._modes[tuple(parts)] = mode

    def file(self, name: str, content: BinaryIO, mode: int = 0o644, owner: Owner | None = None) -> None:
        """Make a regular file of all that `content` still holds; whatever had the name is replaced."""
        with self._place(name) as (parent, leaf):
            fd = os.open(leaf, _NEW_FILE, 0o600, dir_fd=parent)
            try:
                while chunk := content.read(CHUNK):
                    self._count(entries=0, size=len(chunk))
                    _write_all(fd, chunk)
                self._give(fd, owner)
                os.fchmod(fd, mode & 0o777)
            finally:
                os.close(fd)

    def symlink(self, name: str, target: str, owner: Owner | None = None) -> None:
        """Make a symbolic link. Any target will do: nothing here follows it, and inside the container
        an absolute target means the container's root."""
        with self._place(name) as (parent, leaf):
            os.symlink(target, leaf, dir_fd=parent)
            self._give_name(leaf, parent, owner)

    def hardlink(self, name: str, target: str) -> None:
        """Give a regular file of the root a second name."""
        with self._parent(target) as (source, source_leaf):
            try:
                kind = os.lstat(source_leaf, dir_fd=source).st_mode
            except FileNotFoundError:
                raise RefusedError(f"{name!r}: a hard link to {target!r}, which is not in the root") from None
            if not stat.S_ISREG(kind):
                raise RefusedError(f"{name!r}: a hard link to {target!r}, which is not a regular file")
            if components(name) == components(target):
                return
            with self._place(name) as (parent, leaf):
                os.link(source_leaf, leaf, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)

    def fifo(self, name: str, mode: int = 0o644, owner: Owner | None = None) -> None:
        """Make a named pipe."""
        with self._place(name) as (parent, leaf):
            os.mkfifo(leaf, 0o600, dir_fd=parent)
            self._give_name(leaf, parent, owner)
            # No open(2) here: it would wait for a writer. Nobody else can swap the name meanwhile.
            os.chmod(leaf, mode & 0o777, dir_fd=parent)

    def has(self, name: str) -> bool:
        """Whether something of that name is in the root."""
        try:
            with self._parent(name, make=False) as (parent, leaf):
                os.lstat(leaf, dir_fd=parent)
        except (FileNotFoundError, RefusedError):
            return False
        return True

    @contextmanager
    def _place(self, name: str) -> Iterator[tuple[int, str]]:
        """Parent and last component of a name that is free now."""
        self._count()
        with self._parent(name) as (parent, leaf):
            try:
                os.unlink(leaf, dir_fd=parent)
            except FileNotFoundError:
                pass
            except IsADirectoryError:
                raise RefusedError(f"{name!r}: a directory of that name is in the root already") from None
            yield parent, leaf

    @contextmanager
    def _parent(self, name: str, *, make: bool = True) -> Iterator[tuple[int, str]]:
        parts = components(name)
        if not parts:
            raise RefusedError(f"{name!r}: this is the root itself")
        with self._open_directory(parts[:-1], make=make) as fd:
            yield fd, parts[-1]

    @contextmanager
    def _open_directory(self, parts: list[str], *, make: bool = False) -> Iterator[int]:
        fd = os.dup(self._fd)
        try:
            for depth in range(len(parts)):
                below = self._step(fd, parts[: depth + 1], make=make)
                os.close(fd)
                fd = below
            yield fd
        finally:
            os.close(fd)

    def _step(self, fd: int, parts: list[str], *, make: bool) -> int:
        """Open the last of `parts` beneath `fd`, its parent; never follows a symbolic link."""
        if make:
            try:
                os.mkdir(parts[-1], 0o700, dir_fd=fd)
                self._give_name(parts[-1], fd, None)
                self._modes.setdefault(tuple(parts), 0o755)
            except FileExistsError:
                pass
        try:
            return os.open(parts[-1], _DIRECTORY, dir_fd=fd)
        except NotADirectoryError:
            name = "/".join(parts)
            raise RefusedError(f"{name!r}: not a directory, or a symbolic link that may lead out of the root") from None

    def _count(self, *, entries: int = 1, size: int = 0) -> None:
        self._entries_left -= entries
        self._bytes_left -= size
        if self._entries_left < 0 or self._bytes_left < 0:
            raise RefusedError(f"{self.path}: more than {MAX_ENTRIES} entries, or too many bytes for one root")

    def _give(self, fd: int, owner: Owner | None) -> None:
        if chosen := self._chosen(owner):
            os.fchown(fd, *chosen)

    def _give_name(self, leaf: str, parent: int, owner: Owner | None) -> None:
        if chosen := self._chosen(owner):
            os.chown(leaf, *chosen, dir_fd=parent, follow_symlinks=False)

    def _chosen(self, owner: Owner | None) -> Owner | None:
        """Who gets an entry; None leaves it to the builder, the only choice of who is not root."""
        if os.geteuid() != 0:
            return None
        return self._owner or owner


def _write_all(fd: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(fd, view) :]


def reachable(path: Path, uid: int) -> None:
    """Raise `BundleError` where `uid` may not search a directory above `path` (path_resolution(7)).

    A container whose root user is `uid` outside gets a bare "permission denied" from any runtime then.
    """
    for directory in path.resolve().parents:
        status = directory.stat()
        search = stat.S_IXUSR if status.st_uid == uid else stat.S_IXOTH
        if not status.st_mode & search:
            raise BundleError(
                f"{directory}: uid {uid}, the container's root user, may not search this directory; "
                f"choose another --out or chmod o+x it"
            )
