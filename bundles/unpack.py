"""Archives and directories of strangers, unpacked into a `Root`.

Both sources become a stream of entries, and one function decides about an entry. What `Root` cannot do
(leave the root, follow or write through a link, make a device) no entry can ask for; what is decided here:

* Device nodes are left out beneath `/dev`, where the runtime mounts its own, and refused anywhere else.
* Sockets are left out: one without its server is dead.
* Owners are taken as numbers, and only when the builder is root. Names of the archive's own users mean
  nothing here.
* Extended attributes are left out, so no file capabilities (`security.capability`) come along.
* A directory is copied up to its mount points and not beyond, as `cp -x` does.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, cast

from attrs import frozen

from .errors import BundleError, RefusedError
from .root import CHUNK, Owner, Root, components

COMPRESSIONS: Final[dict[bytes, Callable[..., object]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
MAX_SIP: Final = CHUNK  # what `Root.file` asks for at once; a name has at most 4096 bytes (PATH_MAX)

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@frozen
class Entry:
    """One thing to be in the root, as its source describes it."""

    name: str
    kind: int  # file type bits of st_mode, inode(7); 0 where the source says nothing known
    mode: int
    owner: Owner
    link: str = ""  # symbolic link: its text; hard link: the other name
    hard: bool = False
    open: Callable[[], BinaryIO] | None = None


def unpack(source: Path, root: Root) -> None:
    """Fill `root` from a tar archive (gzip, bzip2, xz or not compressed) or a directory.

    Raises `RefusedError` for an entry that could touch more than the root, `BundleError` for a source that
    cannot be read.
    """
    entries = _directory_entries(source) if source.is_dir() else _archive_entries(source)
    try:
        for entry in entries:
            _put(entry, root)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise BundleError(f"{source}: not a whole tar archive, plain or compressed by gzip, bzip2 or xz") from error
    except OSError as error:
        raise BundleError(f"{source}: {error.filename or 'reading'}: {error.strerror}") from error


def _put(entry: Entry, root: Root) -> None:
    if entry.hard:
        root.hardlink(entry.name, entry.link)
    elif entry.kind == stat.S_IFDIR:
        root.directory(entry.name, entry.mode, entry.owner)
    elif entry.kind == stat.S_IFREG and entry.open:
        with entry.open() as content:
            root.file(entry.name, content, entry.mode, entry.owner)
    elif entry.kind == stat.S_IFLNK:
        root.symlink(entry.name, entry.link, entry.owner)
    elif entry.kind == stat.S_IFIFO:
        root.fifo(entry.name, entry.mode, entry.owner)
    elif entry.kind in (stat.S_IFCHR, stat.S_IFBLK):
        if components(entry.name)[:1] != ["dev"]:
            raise RefusedError(f"{entry.name!r}: a device node outside of /dev")
    elif entry.kind != stat.S_IFSOCK:
        raise RefusedError(f"{entry.name!r}: an entry of a kind that no file system has")


_TAR_KINDS: Final = {
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.FIFOTYPE: stat.S_IFIFO,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.BLKTYPE: stat.S_IFBLK,
} | dict.fromkeys(tarfile.REGULAR_TYPES, stat.S_IFREG)


def _archive_entries(source: Path) -> Iterator[Entry]:
    with _decompressed(source) as content, tarfile.open(fileobj=Sips(content), mode="r:") as archive:
        for member in archive:
            yield Entry(
                name=member.name,
                kind=_TAR_KINDS.get(member.type, 0),
                mode=member.mode,
                owner=(member.uid, member.gid),
                link=member.linkname,
                hard=member.islnk(),
                open=_member_opener(archive, member),
            )


class Sips(io.RawIOBase):
    """A stream that gives little at a time.

    tarfile reads a long name or a pax header in one piece of whatever size the archive claims, which a
    few kilobytes of compressed zeros can make any number of gigabytes of memory.
    """

    def __init__(self, content: BinaryIO) -> None:
        self._content = content

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_SIP:
            raise RefusedError(f"an entry with a header of {size} bytes; {MAX_SIP} are plenty for any name")
        return self._content.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._content.seek(offset, whence)

    def tell(self) -> int:
        return self._content.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def _decompressed(source: Path) -> BinaryIO:
    with source.open("rb") as file:
        magic = file.read(6)
    for prefix, opener in COMPRESSIONS.items():
        if magic.startswith(prefix):
            return cast(BinaryIO, opener(source, "rb"))
    return source.open("rb")


def _member_opener(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], BinaryIO]:
    def opener() -> BinaryIO:
        content = archive.extractfile(member)
        if content is None:
            raise BundleError(f"{member.name!r}: no content in the archive")
        return cast(BinaryIO, content)

    return opener


def _directory_entries(source: Path) -> Iterator[Entry]:
    device = source.stat().st_dev
    for here, directories, files, fd in os.fwalk(source, follow_symlinks=False, onerror=_raise):
        inside = os.path.relpath(here, source)
        yield _found(inside, os.stat(fd), fd, ".")
        for name in files + [d for d in directories if _is_link(d, fd)]:
            yield _found(os.path.join(inside, name), os.lstat(name, dir_fd=fd), fd, name)
        for name in [d for d in directories if os.lstat(d, dir_fd=fd).st_dev != device]:
            directories.remove(name)
            yield _found(os.path.join(inside, name), os.stat(fd), fd, name)


def _found(name: str, status: os.stat_result, fd: int, leaf: str) -> Entry:
    kind = stat.S_IFMT(status.st_mode)
    return Entry(
        name=name,
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        owner=(status.st_uid, status.st_gid),
        link=os.readlink(leaf, dir_fd=fd) if kind == stat.S_IFLNK else "",
        open=lambda: _opened(leaf, fd),
    )


def _opened(leaf: str, directory: int) -> BinaryIO:
    fd = os.open(leaf, _READ, dir_fd=directory)
    if not stat.S_ISREG(os.fstat(fd).st_mode):  # somebody has put another one in its place
        os.close(fd)
        raise RefusedError(f"{leaf!r}: changed while it was copied")
    return os.fdopen(fd, "rb")


def _is_link(name: str, fd: int) -> bool:
    return stat.S_ISLNK(os.lstat(name, dir_fd=fd).st_mode)


def _raise(error: OSError) -> None:
    raise error
