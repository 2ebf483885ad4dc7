"""Names of files, and the environment, for modules that do without `os`.

`import os` takes 0.7 ms, most of it for the abstract base classes of `_collections_abc`; its C half, `posix`, is in
every interpreter. So hot modules say `import posix as os`, and find here what `os` adds to it in Python: the same
names with the same meaning, for str alone.
"""

from __future__ import annotations

import posix


def fsencode(name: str | bytes) -> bytes:
    """A name as the kernel knows it; the launcher sees to it that names are UTF-8 (PEP 540), as they are here."""
    return name.encode("utf-8", "surrogateescape") if isinstance(name, str) else name


def fsdecode(name: bytes | str) -> str:
    return name if isinstance(name, str) else name.decode("utf-8", "surrogateescape")


def getenv(name: str, default: str = "") -> str:
    value = posix.environ.get(name.encode())
    return default if value is None else fsdecode(value)


def environ(prefix: str = "") -> dict[str, str]:
    """A copy of the environment, or of the variables whose names begin so."""
    start = prefix.encode()
    return {fsdecode(name): fsdecode(value) for name, value in posix.environ.items() if name.startswith(start)}


def split(path: str) -> tuple[str, str]:
    """The directory and the last component, which is empty after a slash at the end."""
    head, slash, tail = path.rpartition("/")
    return (head.rstrip("/") or head + slash), tail


def dirname(path: str) -> str:
    return split(path)[0]


def basename(path: str) -> str:
    return path.rpartition("/")[2]


def join(directory: str, name: str) -> str:
    if name.startswith("/") or not directory:
        return name
    return f"{directory}{name}" if directory.endswith("/") else f"{directory}/{name}"


def normpath(path: str) -> str:
    """The path without dots and doubled slashes, by its text alone; two slashes at the start stay (POSIX 4.13)."""
    root = "//" if path.startswith("//") and not path.startswith("///") else path[:1] if path.startswith("/") else ""
    parts: list[str] = []
    for part in path.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in ("", ".", "..") or (part == ".." and not root):
            parts.append(part)
    return root + "/".join(parts) or "."


def abspath(path: str) -> str:
    return normpath(path if path.startswith("/") else join(posix.getcwd(), path))


def realpath(path: str) -> str:
    """The path without symbolic links, in the words of the kernel; one that leads to nothing stays as it is."""
    try:
        fd = posix.open(path, posix.O_PATH | posix.O_CLOEXEC)
    except OSError:
        return abspath(path)
    try:
        return posix.readlink(f"/proc/self/fd/{fd}")
    finally:
        posix.close(fd)


def _mode(path: str, follow: bool) -> int:
    """The mode of a file, 0 if there is none."""
    try:
        return posix.stat(path, follow_symlinks=follow).st_mode
    except (OSError, ValueError):
        return 0


def isdir(path: str) -> bool:
    return _mode(path, True) & 0o170000 == 0o040000


def isblock(path: str) -> bool:
    return path.startswith("/") and _mode(path, True) & 0o170000 == 0o060000


def exists(path: str) -> bool:
    return _mode(path, True) != 0


def lexists(path: str) -> bool:
    return _mode(path, False) != 0


def makedirs(path: str, mode: int) -> None:
    """`mkdir -p`; the directories above get what the umask leaves of 0777. Raises OSError."""
    if isdir(path):
        return
    above = dirname(path)
    if above and not exists(above):
        makedirs(above, 0o777)
    try:
        posix.mkdir(path, mode)
    except FileExistsError:  # another was faster, or it is no directory
        if not isdir(path):
            raise
