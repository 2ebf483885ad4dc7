"""Why the kernel would not execute a program that is there (execve(2), ELF(5)).

execve has one number for "the file is missing" and "what the file needs is missing", and other runtimes print just
that. What the file itself says tells the two apart.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

# e_machine of ELF files (elf.h) that people try to run
MACHINES = {
    3: "i386", 8: "mips", 20: "ppc", 21: "ppc64le", 22: "s390x", 40: "arm", 62: "x86_64", 183: "aarch64",
    243: "riscv64", 258: "loongarch64",
}  # fmt: skip
PT_INTERP = 3

Read = Callable[[str], bytes | None]  # the beginning of a file in the container, None where there is none


def hint(number: int, path: str, read: Read, machine: str) -> str:
    """What to do about errno `number` of execve(path); "" where nothing better than the errno can be said.

    `machine` is this one's name as in uname(2).
    """
    head = read(path)
    if head is None:
        return ""
    if number == errno.ENOENT:
        return _missing(head, read)
    if number == errno.ENOEXEC:
        return _wrong_format(head, machine)
    if number == errno.EACCES:
        return _denied(head, read)
    return {
        errno.E2BIG: "its arguments and environment are larger than the kernel takes (execve(2), limits)",
        errno.ETXTBSY: "somebody has it open for writing",
        errno.ELOOP: "too many scripts are each other's interpreter",
        errno.ENOMEM: "the memory limit is too small to start it",
        errno.EPERM: "a setuid program or one with file capabilities cannot be executed here",
    }.get(number, "")


def _missing(head: bytes, read: Read) -> str:
    if head.startswith(b"#!"):
        line = head[2:].partition(b"\n")[0]
        if line.endswith(b"\r"):
            return "its first line ends in a carriage return: convert the script to Unix line ends (dos2unix)"
        interpreter = _interpreter_of(line)
        if read(interpreter) is None:
            return f'it is a script, and its interpreter "{interpreter}" is not in the container'
        return ""
    loader = elf_interpreter(head)
    if loader and read(loader) is None:
        return f'it needs the loader "{loader}", which is not in the container: it was built for another C library'
    return ""


def _interpreter_of(line: bytes) -> str:
    words = line.split(maxsplit=1)
    return words[0].decode("utf-8", "replace") if words else ""


def _wrong_format(head: bytes, machine: str) -> str:
    if not head:
        return "the file is empty"
    if head[:4] != b"\x7fELF":
        return "it is neither a program nor a script with a first line such as #!/bin/sh"
    order = "big" if head[5:6] == b"\2" else "little"
    built = MACHINES.get(int.from_bytes(head[18:20], order), "another machine")  # type: ignore[arg-type]
    if built != machine:
        return f"it was built for {built}, and this machine is {machine}"
    return "the program file is damaged"


def _denied(head: bytes, read: Read) -> str:
    if head.startswith(b"#!"):
        interpreter = _interpreter_of(head[2:].partition(b"\n")[0])
        if read(interpreter) is not None:
            return f'neither it nor its interpreter "{interpreter}" may lie on a noexec mount or lack the x permission'
    return "it may lie on a noexec mount, or the user may not execute it"


def elf_interpreter(head: bytes) -> str:
    """The loader that a dynamic program asks for (PT_INTERP), "" for a static one; `head` is its beginning."""
    if head[:4] != b"\x7fELF" or head[4:5] not in (b"\1", b"\2"):
        return ""
    order = "big" if head[5:6] == b"\2" else "little"
    wide = head[4:5] == b"\2"

    def word(at: int, size: int) -> int:
        return int.from_bytes(head[at : at + size], order)  # type: ignore[arg-type]

    start, size, count = (word(32, 8), word(54, 2), word(56, 2)) if wide else (word(28, 4), word(42, 2), word(44, 2))
    if not size:
        return ""
    for entry in range(start, min(start + size * count, len(head)), size):
        if word(entry, 4) == PT_INTERP and entry + size <= len(head):
            offset = word(entry + 8, 8) if wide else word(entry + 4, 4)
            return head[offset : offset + 256].partition(b"\0")[0].decode("utf-8", "replace")
    return ""
