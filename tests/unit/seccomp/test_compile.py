"""Compiled profiles, asked what they do with system calls by an interpreter of their instructions."""

from __future__ import annotations

import errno
import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from ociruntime.core.errors import ConfigError
from ociruntime.seccomp import compile as compile_module
from ociruntime.seccomp import enosys
from ociruntime.seccomp.compile import ACTIONS, ARCHITECTURES, compile_profile, loaded_library

X86_64, X86, X32_BIT = 0xC000003E, 0x40000003, 0x40000000
AARCH64 = 0xC00000B7
ALLOW, EPERM, ENOSYS = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
NEVER = 100_000  # no architecture has that many
NATIVE = {"x86_64": X86_64, "aarch64": AARCH64}[os.uname().machine]

PROFILES = Path(__file__).parents[3] / "conformance" / "data"


def judge(program: bytes, number: int, *args: int, arch: int = NATIVE) -> int:
    """What the filter returns (seccomp(2); classic BPF as in Documentation/networking/filter.rst)."""
    words = [number, arch, 0, 0]
    for arg in (*args, *[0] * (6 - len(args))):
        words += [arg & 0xFFFFFFFF, arg >> 32]
    at = a = 0
    memory: dict[int, int] = {}
    x = 0
    while True:
        code, if_true, if_false, k = struct.unpack_from("<HBBI", program, at * 8)
        at += 1
        kind = code & 0x07
        if code == 0x06:
            return int(k)
        if code == 0x20:
            a = words[k // 4]
        elif code == 0x60:
            a = memory[k]
        elif code == 0x02:
            memory[k] = a
        elif code == 0x54:
            a &= k
        elif code == 0x05:
            at += k
        elif kind == 0x05:
            other = x if code & 0x08 else k
            holds = {0x10: a == other, 0x20: a > other, 0x30: a >= other, 0x40: bool(a & other)}[code & 0xF0]
            at += if_true if holds else if_false
        else:
            raise AssertionError(f"instruction {code:#x} at {at - 1}")


def number_of(name: str, arch: int = 0) -> int:
    import pyseccomp

    return int(pyseccomp.resolve_syscall(arch, name))


def profile(*rules: Any, default: str = "SCMP_ACT_ERRNO", **more: Any) -> dict[str, Any]:
    return {"defaultAction": default, "syscalls": list(rules), **more}


def rule(*names: str, action: str = "SCMP_ACT_ALLOW", **more: Any) -> dict[str, Any]:
    return {"names": list(names), "action": action, **more}


def compiled(wanted: dict[str, Any]) -> bytes:
    return compile_profile(wanted, "/linux/seccomp")[0]


def refusal(wanted: dict[str, Any]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        compiled(wanted)
    return caught.value


def test_allowed_and_not() -> None:
    program = compiled(profile(rule("read", "openat2")))
    assert judge(program, number_of("read")) == ALLOW
    assert judge(program, number_of("ptrace")) == EPERM


@pytest.mark.parametrize(
    ("action", "value"),
    [
        ("SCMP_ACT_KILL", 0),
        ("SCMP_ACT_KILL_THREAD", 0),
        ("SCMP_ACT_KILL_PROCESS", 0x80000000),
        ("SCMP_ACT_TRAP", 0x30000),
        ("SCMP_ACT_ERRNO", EPERM),
        ("SCMP_ACT_TRACE", 0x7FF00000 | errno.EPERM),
        ("SCMP_ACT_LOG", 0x7FFC0000),
        ("SCMP_ACT_NOTIFY", 0x7FC00000),
    ],
)
def test_every_action(action: str, value: int) -> None:
    program = compiled(profile(rule("getpid", action=action), default="SCMP_ACT_ALLOW"))
    assert judge(program, number_of("getpid")) == value
    assert judge(program, number_of("getppid")) == ALLOW
    assert set(ACTIONS) >= {action, "SCMP_ACT_ALLOW"}


def test_error_numbers() -> None:
    program = compiled(
        profile(rule("getpid", action="SCMP_ACT_ERRNO", errnoRet=38), rule("openat2"), defaultErrnoRet=13)
    )
    assert judge(program, number_of("getpid")) == ENOSYS
    assert judge(program, number_of("getppid")) == 0x00050000 | 13


@pytest.mark.parametrize(
    ("wanted", "origin"),
    [
        (profile(rule("read", errnoRet=1)), "/linux/seccomp/syscalls/0/errnoRet"),
        (profile(default="SCMP_ACT_KILL", defaultErrnoRet=1), "/linux/seccomp/defaultErrnoRet"),
        (profile(defaultErrnoRet=65536), "/linux/seccomp/defaultErrnoRet"),
        (profile(default="SCMP_ACT_NONE"), "/linux/seccomp/defaultAction"),
        (profile(rule("read", action="X")), "/linux/seccomp/syscalls/0/action"),
        (profile(rule("read", args=[{"index": 0, "value": 1, "op": "X"}])), "/linux/seccomp/syscalls/0/args/0/op"),
        (
            profile(rule("read", args=[{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}])),
            "/linux/seccomp/syscalls/0/args/0/index",
        ),
    ],
)
def test_profiles_that_cannot_be_meant(wanted: dict[str, Any], origin: str) -> None:
    assert refusal(wanted).origin == origin


@pytest.mark.parametrize(
    ("op", "yes", "no"),
    [
        ("SCMP_CMP_NE", 6, 5),
        ("SCMP_CMP_LT", 4, 5),
        ("SCMP_CMP_LE", 5, 6),
        ("SCMP_CMP_EQ", 5, 4),
        ("SCMP_CMP_GE", 5, 4),
        ("SCMP_CMP_GT", 6, 5),
        ("SCMP_CMP_EQ", 5, 5 | 1 << 32),
    ],
)
def test_every_operator(op: str, yes: int, no: int) -> None:
    program = compiled(profile(rule("lseek", args=[{"index": 1, "value": 5, "op": op}])))
    assert judge(program, number_of("lseek"), 0, yes) == ALLOW
    assert judge(program, number_of("lseek"), 0, no) == EPERM


def test_masked_comparison() -> None:
    """As in the engines' profile: clone without any of the namespace flags."""
    mask = 0x7E020000
    args = [{"index": 0, "value": mask, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]
    program = compiled(profile(rule("clone", args=args)))
    assert judge(program, number_of("clone"), 0x11) == ALLOW
    assert judge(program, number_of("clone"), 0x11 | 0x10000000) == EPERM


def test_conditions_on_two_arguments_must_both_hold() -> None:
    args = [{"index": index, "value": 5, "op": "SCMP_CMP_EQ"} for index in (0, 1)]
    program = compiled(profile(rule("lseek", args=args)))
    assert [judge(program, number_of("lseek"), *pair) for pair in ((5, 5), (5, 4), (4, 5))] == [ALLOW, EPERM, EPERM]


def test_conditions_on_one_argument_are_alternatives() -> None:
    args = [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"} for value in (5, 7)]
    program = compiled(profile(rule("lseek", args=args)))
    assert [judge(program, number_of("lseek"), value) for value in (5, 6, 7)] == [ALLOW, EPERM, ALLOW]


def test_unknown_calls_are_left_out_and_doubled_rules_are_fine() -> None:
    program = compiled(profile(rule("no_such_call", "read"), rule("read"), rule("read", action="SCMP_ACT_ERRNO")))
    assert judge(program, number_of("read")) == ALLOW


def test_the_own_architecture_is_always_in_and_unknown_ones_are_left_out() -> None:
    program = compiled(
        profile(rule("read"), architectures=["SCMP_ARCH_SHEB", "SCMP_ARCH_PPC", "SCMP_ARCH_LOONGARCH64"])
    )
    assert judge(program, number_of("read")) == ALLOW
    assert judge(program, number_of("read"), arch=1) == 0  # killed


@pytest.mark.skipif(NATIVE != X86_64, reason="needs an x86_64 machine")
def test_other_architectures_of_the_machine_have_their_own_numbers() -> None:
    program = compiled(
        profile(rule("getpid", "openat2"), architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"])
    )
    assert judge(program, number_of("getpid", X86), arch=X86) == ALLOW
    assert judge(program, number_of("getpid", ARCHITECTURES["SCMP_ARCH_X32"])) == ALLOW
    assert judge(program, number_of("getppid", X86), arch=X86) == EPERM


def test_the_names_of_all_architectures_of_the_specification() -> None:
    from typing import get_args

    from ociruntime.model.seccomp import Action, Architecture, Operator
    from ociruntime.seccomp.compile import OPERATORS

    assert set(ARCHITECTURES) == set(get_args(Architecture))
    assert set(ACTIONS) == set(get_args(Action)) and set(OPERATORS) == set(get_args(Operator))


# --- calls newer than the profile ----------------------------------------------------------------


@pytest.mark.parametrize("default", ["SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"])
def test_newer_calls_do_not_exist(default: str) -> None:
    program = compiled(profile(rule("read", "openat2"), default=default))
    newest = number_of("openat2")
    assert judge(program, NEVER) == judge(program, newest + 1) == ENOSYS
    assert judge(program, newest) == ALLOW
    assert judge(program, newest - 1) == ACTIONS[default] | (errno.EPERM if default == "SCMP_ACT_ERRNO" else 0)


@pytest.mark.parametrize(
    ("default", "value"), [("SCMP_ACT_ALLOW", ALLOW), ("SCMP_ACT_LOG", 0x7FFC0000), ("SCMP_ACT_TRACE", 0x7FF00001)]
)
def test_where_newer_calls_are_not_refused_nothing_changes(default: str, value: int) -> None:
    assert judge(compiled(profile(rule("getpid", action="SCMP_ACT_KILL"), default=default)), NEVER) == value


def test_a_profile_that_lists_nothing_keeps_its_default() -> None:
    assert judge(compiled(profile()), NEVER) == EPERM


@pytest.mark.skipif(NATIVE != X86_64, reason="needs an x86_64 machine")
def test_the_newest_call_is_counted_for_each_architecture() -> None:
    wanted = profile(rule("getpid", "read"), architectures=["SCMP_ARCH_X86", "SCMP_ARCH_X32"])
    program = compiled(wanted)
    assert judge(program, number_of("getpid", X86) + 1, arch=X86) == ENOSYS
    assert judge(program, 1, arch=X86) == EPERM
    assert judge(program, X32_BIT | NEVER) == ENOSYS
    assert judge(program, X32_BIT | 1) == EPERM
    assert judge(program, NEVER) == ENOSYS
    without = compiled(profile(rule("getpid", "read")))
    assert judge(without, X32_BIT | NEVER) == 0  # x32 is not in the filter: libseccomp's verdict, killed


def test_the_prefix_alone_falls_through_on_what_it_does_not_judge() -> None:
    body = struct.pack("<HBBI", 0x06, 0, 0, 7)
    x32 = ARCHITECTURES["SCMP_ARCH_X32"]
    program = enosys.prefix(EPERM, {X86_64: 10, x32: X32_BIT | 20, X86: 30, AARCH64: 40}) + body
    for arch, newest in ((X86_64, 10), (X86, 30), (AARCH64, 40)):
        assert [judge(program, number, arch=arch) for number in (newest, newest + 1)] == [7, ENOSYS]
    assert [judge(program, X32_BIT | number, arch=X86_64) for number in (20, 21)] == [7, ENOSYS]
    assert judge(program, NEVER, arch=1) == 7


# --- the shape of the filter ---------------------------------------------------------------------


def test_a_tree_says_what_a_list_of_comparisons_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """libseccomp writes the same rules in two shapes; ours is the faster one, and must mean the same."""
    wanted = json.loads((PROFILES / "seccomp.json").read_text())
    tree = compiled(wanted)
    monkeypatch.setattr(compile_module, "_as_a_tree", lambda _made: None)
    row = compiled(wanted)
    assert tree != row
    for arch in (NATIVE, *([X86] if NATIVE == X86_64 else [])):
        for number in (*range(480), NEVER, 2**32 - 1, X32_BIT, X32_BIT | 59):
            for arg in (0, 1, 0x10000000, 0xFFFFFFFF):
                assert judge(tree, number, *[arg] * 6, arch=arch) == judge(row, number, *[arg] * 6, arch=arch)


# --- the engines' profile ------------------------------------------------------------------------


def test_the_engines_default_profile() -> None:
    program = compiled(json.loads((PROFILES / "seccomp.json").read_text()))
    assert judge(program, number_of("read")) == ALLOW
    assert judge(program, number_of("clone"), 0x10000000) != ALLOW
    assert judge(program, NEVER) == ENOSYS
    assert len(program) // 8 < 4096


def test_which_libseccomp() -> None:
    compiled(profile())
    assert Path(loaded_library()).name.startswith("libseccomp.so")
