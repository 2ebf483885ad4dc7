"""ENOSYS for system calls that are newer than a profile, in front of what libseccomp makes.

A profile that denies with EPERM denies calls that nobody had invented when it was written. glibc and others
try a new call first and fall back to the old one on ENOSYS only, so such a profile breaks programs
(moby#42680, runc#2151). Hence: a number above every number that the profile lists for the architecture gets
ENOSYS. The profile has said nothing about it, so this is not what it forbids; the call is not made either way.

Done for default actions that refuse: ERRNO (other than ENOSYS itself), KILL and TRAP. Not for ALLOW and LOG, which
permit, nor for TRACE and NOTIFY, where somebody else decides.
"""

from __future__ import annotations

import errno

# linux/bpf_common.h and linux/seccomp.h, as (code) of struct sock_filter
LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
JUMP = 0x05  # BPF_JMP | BPF_JA
JUMP_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
JUMP_GREATER = 0x25  # BPF_JMP | BPF_JGT | BPF_K
JUMP_NOT_LESS = 0x35  # BPF_JMP | BPF_JGE | BPF_K
RETURN = 0x06  # BPF_RET | BPF_K

# Offsets in struct seccomp_data
NUMBER, ARCHITECTURE = 0, 4

RET_ENOSYS = 0x00050000 | errno.ENOSYS
REFUSING = (0x00000000, 0x80000000, 0x00030000, 0x00050000)  # KILL_THREAD, KILL_PROCESS, TRAP, ERRNO
ACTION = 0xFFFF0000

X86_64, X32 = 0xC000003E, 0x4000003E
X32_BIT = 0x40000000  # x32 calls come with x86_64's architecture and this bit in the number


def prefix(default: int, newest: dict[int, int]) -> bytes:
    """Instructions to go before a filter, which loads what it needs by itself; none where they are not wanted.

    `default` is the filter's default action, `newest` the highest known number for each architecture token.
    """
    if default & ACTION not in REFUSING or default == RET_ENOSYS or not newest:
        return b""
    sections = {token: _section(token, newest) for token in newest if token != X32 or X86_64 not in newest}
    # Each section ends in a jump behind all the later ones
    size = sum(len(section) + 2 for section in sections.values())
    program = [(LOAD, 0, 0, ARCHITECTURE)]
    for token, section in sections.items():
        size -= len(section) + 2
        program.append((JUMP_EQUAL, 0, len(section) + 1, token))
        program.extend(section)
        program.append((JUMP, 0, 0, size))
    return b"".join(_instruction(*instruction) for instruction in program)


def _section(token: int, newest: dict[int, int]) -> list[tuple[int, int, int, int]]:
    """For one architecture: return ENOSYS for a number above the newest, otherwise run past the end."""
    check = [(JUMP_GREATER, 0, 1, newest[token]), (RETURN, 0, 0, RET_ENOSYS)]
    if token != X86_64:
        return [(LOAD, 0, 0, NUMBER), *check]
    # Numbers with the x32 bit are compared with x32's newest, or left to the filter
    x32 = [(JUMP_GREATER, 0, 1, newest[X32]), (RETURN, 0, 0, RET_ENOSYS)] if X32 in newest else []
    return [
        (LOAD, 0, 0, NUMBER),
        (JUMP_NOT_LESS, len(check) + 1, 0, X32_BIT),
        *check,
        (JUMP, 0, 0, len(x32)),
        *x32,
    ]


def _instruction(code: int, if_true: int, if_false: int, k: int) -> bytes:
    """struct sock_filter (linux/filter.h)."""
    return code.to_bytes(2, "little") + bytes((if_true, if_false)) + k.to_bytes(4, "little")
