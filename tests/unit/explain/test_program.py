"""Why a program that is there could not be executed."""

from __future__ import annotations

import errno
import struct
from pathlib import Path

import pytest

from ociruntime.explain.program import elf_interpreter, hint


def elf(machine: int = 62, loader: bytes = b"", *, wide: bool = True, order: str = "<") -> bytes:
    """The beginning of a program: file header, one program header, the loader's name."""
    ident = b"\x7fELF" + bytes((2 if wide else 1, 1 if order == "<" else 2, 1)) + bytes(9)
    kind = 3 if loader else 1
    if wide:
        head = ident + struct.pack(order + "HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
        return head + struct.pack(order + "IIQQQQQQ", kind, 4, 120, 0, 0, len(loader), len(loader), 1) + loader + b"\0"
    head = ident + struct.pack(order + "HHIIIIIHHHHHH", 2, machine, 1, 0, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    return head + struct.pack(order + "IIIIIIII", kind, 84, 0, 0, len(loader), len(loader), 4, 1) + loader + b"\0"


def ask(number: int, content: bytes | None, **others: bytes) -> str:
    files = {"/x": content, **{"/" + name: data for name, data in others.items()}}
    return hint(number, "/x", files.get, "x86_64")


@pytest.mark.parametrize(
    ("number", "content", "words"),
    [
        (errno.ENOENT, b"#!/bin/bash -e\n", '"/bin/bash" is not in the container'),
        (errno.ENOENT, b"#! /bin/bash\n", '"/bin/bash" is not in the container'),
        (errno.ENOENT, b"#!/bin/sh\r\necho\r\n", "dos2unix"),
        (errno.ENOENT, elf(loader=b"/lib64/ld-linux-x86-64.so.2"), 'loader "/lib64/ld-linux-x86-64.so.2"'),
        (errno.ENOEXEC, elf(183), "built for aarch64, and this machine is x86_64"),
        (errno.ENOEXEC, elf(22, order=">"), "built for s390x"),
        (errno.ENOEXEC, elf(9999), "built for another machine"),
        (errno.ENOEXEC, elf(), "damaged"),
        (errno.ENOEXEC, b"", "empty"),
        (errno.ENOEXEC, b"echo hello\n", "#!/bin/sh"),
        (errno.EACCES, elf(), "noexec"),
        (errno.EACCES, b"#!/x\n", 'interpreter "/x"'),
        (errno.E2BIG, elf(), "larger than the kernel takes"),
    ],
)
def test_what_the_file_tells(number: int, content: bytes, words: str) -> None:
    assert words in ask(number, content)


@pytest.mark.parametrize(
    ("number", "content"),
    [
        (errno.ENOENT, None),
        (errno.ENOENT, elf()),
        (errno.ENOENT, elf(loader=b"/x")),
        (errno.ENOENT, b"#!/x\n"),
        (errno.EIO, elf()),
    ],
)
def test_where_nothing_is_known_nothing_is_said(number: int, content: bytes | None) -> None:
    assert ask(number, content) == ""


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_loaders(wide: bool, order: str) -> None:
    assert elf_interpreter(elf(loader=b"/lib/ld.so", wide=wide, order=order)) == "/lib/ld.so"


def test_a_program_of_this_machine() -> None:
    head = Path("/bin/ls").read_bytes()[:4096]
    assert elf_interpreter(head).startswith("/lib")


@pytest.mark.parametrize(
    "content", [b"", b"\x7fELF", b"\x7fELF\2\1", b"\x7fELF" + b"\xff" * 60, elf(loader=b"/l")[:70]]
)
def test_torn_headers_are_no_loaders(content: bytes) -> None:
    assert elf_interpreter(content) == ""
