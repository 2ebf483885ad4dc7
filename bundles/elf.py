"""Which files a program needs beside itself, found by reading it.

`ldd` answers the same question by *running* the program's loader on it, and says itself (ldd(1),
"Security") that it must not be used on untrusted programs. Here the loader's search (ld.so(8)) is
repeated by reading: PT_INTERP names the loader, DT_NEEDED the libraries, DT_RPATH and DT_RUNPATH, the
directories of /etc/ld.so.conf and the default ones say where they are.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from attrs import frozen
from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment

from .errors import BundleError

DEFAULT_DIRECTORIES: Final = ("/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib")
LOADER_CACHE: Final = Path("/etc/ld.so.cache")


@frozen
class Elf:
    """What the loader reads of one file. `machine` tells files apart that cannot be used together."""

    path: Path
    machine: tuple[int, str]
    interpreter: str | None
    needed: tuple[str, ...]
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]


@cache
def read(path: Path) -> Elf:
    """Read the headers of one ELF file; raises `BundleError` where it is none."""
    try:
        with path.open("rb") as file:
            elf = ELFFile(file)
            interpreter, tags = None, list[tuple[str, str]]()
            for segment in elf.iter_segments():
                if isinstance(segment, InterpSegment):
                    interpreter = segment.get_interp_name()
                elif isinstance(segment, DynamicSegment):
                    tags = list(_strings(segment))
            machine = (elf.elfclass, str(elf["e_machine"]))
    except (OSError, ELFError) as error:
        raise BundleError(f"{path}: not a program or library that can be read: {error}") from error
    origin = str(path.resolve().parent)

    def values(tag: str) -> Iterator[str]:
        for name, value in tags:
            if name == tag:
                yield value

    def directories(tag: str) -> tuple[str, ...]:
        joined = ":".join(values(tag)).replace("${ORIGIN}", origin).replace("$ORIGIN", origin)
        return tuple(part for part in joined.split(":") if part)

    return Elf(
        path, machine, interpreter, tuple(values("DT_NEEDED")), directories("DT_RPATH"), directories("DT_RUNPATH")
    )


def _strings(segment: DynamicSegment) -> Iterator[tuple[str, str]]:
    attributes = {"DT_NEEDED": "needed", "DT_RPATH": "rpath", "DT_RUNPATH": "runpath"}
    for tag in segment.iter_tags():
        if attribute := attributes.get(tag.entry.d_tag):
            yield tag.entry.d_tag, getattr(tag, attribute)


def companions(program: Path) -> list[Path]:
    """The loader and all libraries of `program`, as the paths by which the loader opens them.

    Empty for a static program. Raises `BundleError` where one cannot be found.
    """
    found: dict[Path, None] = {}
    pending = [(read(program), tuple[str, ...]())]
    while pending:
        elf, inherited = pending.pop()
        # ld.so(8): DT_RPATH also holds for the libraries of libraries, and is void beside DT_RUNPATH.
        inherited = () if elf.runpath else elf.rpath + inherited
        paths = [Path(elf.interpreter)] if elf.interpreter else []
        paths += [_search(name, elf, inherited) for name in elf.needed]
        for path in paths:
            if path not in found:
                found[path] = None
                pending.append((read(path), inherited))
    return list(found)


def _search(name: str, wanted_by: Elf, inherited: tuple[str, ...]) -> Path:
    if "/" in name:
        return Path(name)
    for directory in (*inherited, *wanted_by.runpath, *_configured(), *DEFAULT_DIRECTORIES):
        path = Path(directory, name)
        if path.is_file() and _fits(path, wanted_by):
            return path
    raise BundleError(f"{wanted_by.path}: needs {name}, which is in no library directory of this host")


def _fits(path: Path, wanted_by: Elf) -> bool:
    try:
        return read(path).machine == wanted_by.machine
    except BundleError:
        return False  # for instance a linker script, which also ends in .so


@cache
def _configured(path: str = "/etc/ld.so.conf") -> tuple[str, ...]:
    """The directories of ld.so.conf(5), in its order."""
    directories: list[str] = []
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ()
    for line in lines:
        words = line.partition("#")[0].split()
        if words[:1] == ["include"]:
            pattern = os.path.join(os.path.dirname(path), words[1])
            directories += [d for name in sorted(glob.glob(pattern)) for d in _configured(name)]
        else:
            directories += words
    return tuple(directories)
