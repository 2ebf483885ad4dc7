"""A seccomp profile of the specification to instructions for seccomp(2), by libseccomp.

libseccomp knows the numbers of system calls on every architecture and makes the filter; this module knows
what the specification and its engines mean by a profile:

- names that libseccomp does not know are left out: a profile lists what any kernel may have; an annotation of crun's
  makes them an error
- a rule with the default action is left out, libseccomp refuses it
- two conditions on one argument become two rules, any of which may match: libseccomp cannot join them, and
  engines rely on runc's way here; conditions on different arguments must all match
- architectures that libseccomp does not know, or that this machine cannot run, are left out; the machine's own
  is always in
- calls newer than the profile fail with ENOSYS (enosys.py)
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ociruntime.core.errors import ConfigError, HostError
from ociruntime.core.plan.seccomp import FAIL_UNKNOWN, INSTRUCTION, MOST_INSTRUCTIONS
from ociruntime.seccomp import enosys

# libseccomp's return values (seccomp.h); ERRNO and TRACE carry a number in their lower 16 bits
ACTIONS = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
    "SCMP_ACT_NOTIFY": 0x7FC00000,
}
WITH_NUMBER = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")

OPERATORS = {
    "SCMP_CMP_NE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_LE": 3,
    "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5,
    "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}

_64, _LE = 0x80000000, 0x40000000  # linux/audit.h: __AUDIT_ARCH_64BIT, __AUDIT_ARCH_LE
_N32 = 0x20000000  # __AUDIT_ARCH_CONVENTION_MIPS64_N32

# Architecture tokens: the machine's number in ELF and the bits above; written out because pyseccomp lacks some
ARCHITECTURES = {
    "SCMP_ARCH_X86": 3 | _LE,
    "SCMP_ARCH_X86_64": 62 | _64 | _LE,
    "SCMP_ARCH_X32": 62 | _LE,
    "SCMP_ARCH_ARM": 40 | _LE,
    "SCMP_ARCH_AARCH64": 183 | _64 | _LE,
    "SCMP_ARCH_LOONGARCH64": 258 | _64 | _LE,
    "SCMP_ARCH_M68K": 4,
    "SCMP_ARCH_MIPS": 8,
    "SCMP_ARCH_MIPS64": 8 | _64,
    "SCMP_ARCH_MIPS64N32": 8 | _64 | _N32,
    "SCMP_ARCH_MIPSEL": 8 | _LE,
    "SCMP_ARCH_MIPSEL64": 8 | _64 | _LE,
    "SCMP_ARCH_MIPSEL64N32": 8 | _64 | _LE | _N32,
    "SCMP_ARCH_PARISC": 15,
    "SCMP_ARCH_PARISC64": 15 | _64,
    "SCMP_ARCH_PPC": 20,
    "SCMP_ARCH_PPC64": 21 | _64,
    "SCMP_ARCH_PPC64LE": 21 | _64 | _LE,
    "SCMP_ARCH_RISCV64": 243 | _64 | _LE,
    "SCMP_ARCH_S390": 22,
    "SCMP_ARCH_S390X": 22 | _64,
    "SCMP_ARCH_SH": 42 | _LE,
    "SCMP_ARCH_SHEB": 42,
}

CTL_OPTIMIZE, BINARY_TREE = 8, 2  # SCMP_FLTATR_CTL_OPTIMIZE (seccomp_attr_set(3))

UNKNOWN_CALL = -1  # __NR_SCMP_ERROR


def compile_profile(profile: Mapping[str, Any], origin: str) -> tuple[bytes, str]:
    """The instructions (struct sock_filter[]), and the path of the libseccomp that made them.

    `origin` is the JSON pointer of the profile. Raises ConfigError for a profile that cannot be meant, HostError
    where libseccomp is missing.
    """
    library = _library()
    default = _action(profile, "defaultAction", "defaultErrnoRet", origin)
    try:
        made = library.SyscallFilter(default)
        _as_a_tree(made)
        known = _add_architectures(library, made, profile)
        for index, rule in enumerate(profile.get("syscalls") or ()):
            here = f"{origin}/syscalls/{index}"
            if profile.get(FAIL_UNKNOWN):
                _refuse_unknown(library, rule, here)
            _add_rules(library, made, rule, default, here)
        body = _export(made)
    except OSError as error:
        raise HostError(
            "libseccomp cannot make this filter", code="seccomp-compile", origin=origin, errno=error.errno or 0
        ) from None
    program = enosys.prefix(default, _newest(library, known, profile)) + body
    if len(program) > MOST_INSTRUCTIONS * INSTRUCTION:
        raise ConfigError("the seccomp filter is longer than the kernel takes", code="seccomp-long", origin=origin)
    return program, loaded_library()


def loaded_library() -> str:
    """The path of the libseccomp in this process, "" if it cannot be told."""
    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        path = line.partition("/")[2]
        if "/libseccomp.so" in f"/{path}":
            return f"/{path}"
    return ""


def _library() -> Any:
    try:
        import pyseccomp
    except (ImportError, RuntimeError) as error:
        raise HostError(
            f"a seccomp filter needs libseccomp: {error}", code="seccomp-library",
            hint="install libseccomp2 (Debian) or libseccomp (Fedora), and pyseccomp",
        ) from None  # fmt: skip
    return pyseccomp


def _action(holder: Mapping[str, Any], key: str, number_key: str, origin: str) -> int:
    word, number = holder[key], holder.get(number_key)
    if word not in ACTIONS:
        raise ConfigError(f"seccomp action {word!r} is unknown", code="config-unknown-value", origin=f"{origin}/{key}")
    if word not in WITH_NUMBER:
        if number is not None:
            raise ConfigError(f"{word} takes no error number", code="seccomp-errno", origin=f"{origin}/{number_key}")
        return ACTIONS[word]
    number = errno.EPERM if number is None else number
    if not 0 <= number <= 0xFFFF:
        raise ConfigError(f"{number} is no error number", code="seccomp-errno", origin=f"{origin}/{number_key}")
    return ACTIONS[word] | int(number)


def _add_architectures(library: Any, made: Any, profile: Mapping[str, Any]) -> list[int]:
    """The tokens of the architectures in the filter."""
    native = library.system_arch()
    known = [native]
    for word in profile.get("architectures") or ():
        token = ARCHITECTURES.get(word, 0)
        if not token or token in known:
            continue
        try:
            made.add_arch(token)
        except OSError:
            continue  # EINVAL: unknown to this libseccomp; EDOM: of the other byte order
        known.append(token)
    return known


def _as_a_tree(made: Any) -> None:
    """Find a system call by bisection, not one comparison after the other.

    The kernel runs a new filter once for every number to see which are always allowed (Linux 5.11), so that a
    start with the engines' profile takes 0.3 ms in place of 0.9 for it. Known to libseccomp since 2.5.
    """
    try:
        made.set_attr(CTL_OPTIMIZE, BINARY_TREE)
    except OSError:
        return


def _add_rules(library: Any, made: Any, rule: Mapping[str, Any], default: int, origin: str) -> None:
    action = _action(rule, "action", "errnoRet", origin)
    if action == default:
        return
    alternatives = list(_conditions(library, rule.get("args") or (), origin))
    for name in rule["names"]:
        number = library.resolve_syscall(0, name)
        if number == UNKNOWN_CALL:
            continue
        for conditions in alternatives:
            try:
                made.add_rule(action, number, *conditions)
            except FileExistsError:
                continue  # the same rule twice


def _refuse_unknown(library: Any, rule: Mapping[str, Any], origin: str) -> None:
    for index, name in enumerate(rule["names"]):
        if library.resolve_syscall(0, name) == UNKNOWN_CALL:
            raise ConfigError(
                f"libseccomp knows no system call {name!r}", code="seccomp-unknown", origin=f"{origin}/names/{index}",
                hint=f"without the annotation {FAIL_UNKNOWN} it is left out",
            )  # fmt: skip


def _conditions(library: Any, args: Any, origin: str) -> Iterator[list[Any]]:
    """The argument lists of the rules that these conditions become, at least one."""
    conditions = []
    for index, arg in enumerate(args):
        here = f"{origin}/args/{index}"
        if arg["op"] not in OPERATORS:
            raise ConfigError(
                f"seccomp operator {arg['op']!r} is unknown", code="config-unknown-value", origin=f"{here}/op"
            )
        if arg["index"] > 5:
            raise ConfigError("a system call has six arguments, 0 to 5", code="seccomp-index", origin=f"{here}/index")
        conditions.append(library.Arg(arg["index"], OPERATORS[arg["op"]], arg["value"], arg.get("valueTwo") or 0))
    if len({arg["index"] for arg in args}) == len(conditions):
        yield conditions
    else:
        for condition in conditions:
            yield [condition]


def _export(made: Any) -> bytes:
    fd = os.memfd_create("seccomp", os.MFD_CLOEXEC)
    with open(fd, "r+b", buffering=0) as file:
        made.export_bpf(file)
        file.seek(0)
        return file.read()


def _newest(library: Any, architectures: list[int], profile: Mapping[str, Any]) -> dict[int, int]:
    """The highest number, for each architecture, of the calls that the profile knows."""
    names = {name for rule in profile.get("syscalls") or () for name in rule["names"]}
    newest: dict[int, int] = {}
    for architecture in architectures:
        numbers = [library.resolve_syscall(architecture, name) for name in names]
        real = [number for number in numbers if number >= 0]  # below 0: a call of other architectures
        if real:
            newest[architecture] = max(real)
    return newest
