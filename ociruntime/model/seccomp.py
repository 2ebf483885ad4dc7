"""The system call filter."""

from __future__ import annotations

from typing import Annotated, Literal

import attrs

from ociruntime.model.vocabulary import AtLeast, Part, Strings, Text, UInt32, UInt64

Action = Literal[
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
]
Operator = Literal[
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_LE",
    "SCMP_CMP_LT",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
]
Architecture = Literal[
    "SCMP_ARCH_X86_64",
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_ARM",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
]
Flag = Literal[
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
]


@attrs.define(kw_only=True)
class SyscallArg(Part):
    """A comparison with one argument of a system call; all of a rule's must hold."""

    index: UInt32
    "Which argument, from 0."
    value: UInt64
    "What it is compared with; the mask for SCMP_CMP_MASKED_EQ."
    value_two: UInt64 | None = None
    "What the masked argument is compared with."
    op: Operator
    "How they are compared."


@attrs.define(kw_only=True)
class Syscall(Part):
    """What happens to some system calls."""

    names: Annotated[Strings, AtLeast(1)]
    "Names of system calls; one that the machine does not have is skipped."
    action: Action
    "What happens."
    errno_ret: UInt32 | None = None
    "The errno of SCMP_ACT_ERRNO, the message of SCMP_ACT_TRACE; EPERM where it is not given."
    args: list[SyscallArg] | None = None
    "Only with these arguments."


@attrs.define(kw_only=True)
class Seccomp(Part):
    """A filter of system calls, seccomp(2)."""

    default_action: Action
    "What happens to a system call without a rule."
    default_errno_ret: UInt32 | None = None
    "Its errno or message."
    architectures: list[Architecture] | None = None
    "Architectures beside the machine's own."
    flags: list[Flag] | None = None
    "Flags of seccomp(2)."
    listener_path: Text | None = None
    "Socket that receives the descriptor of SCMP_ACT_NOTIFY."
    listener_metadata: Text | None = None
    "Sent along to the listener."
    syscalls: list[Syscall] | None = None
    "The rules."
