"""The device program: what it answers, by a small interpreter of its instructions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociruntime.core.cgroup.device_rules import ANY, DEFAULT_RULES, effective_rules, rule_text, v1_lines
from ociruntime.core.cgroup.devices import ACCESS, TYPES, assemble
from ociruntime.core.errors import ConfigError

Rule = tuple[bool, str, int, int, str]


def run(program: bytes, kind: str, device: tuple[int, int], access: str) -> bool:
    """Interpret the few instructions of BPF (RFC 9669) that the assembler uses; jumps go forward only."""
    asked = sum(ACCESS[letter] for letter in access)
    context = [asked << 16 | TYPES[kind], *device]
    registers = [0] * 11
    visited = set()
    at = 0
    while True:
        visited.add(at)
        code, regs, low, high = program[8 * at : 8 * at + 4]
        offset = int.from_bytes(bytes((low, high)), "little", signed=True)
        value = int.from_bytes(program[8 * at + 4 : 8 * at + 8], "little")
        target, source = regs & 15, regs >> 4
        assert offset >= 0
        at += 1
        if code == 0x95:
            return bool(registers[0])
        if code == 0x61:
            registers[target] = context[offset // 4]
        elif code in (0xB4, 0xBC):
            registers[target] = value if code == 0xB4 else registers[source]
        elif code in (0x54, 0x5C):
            registers[target] &= value if code == 0x54 else registers[source]
        elif code == 0x74:
            registers[target] >>= value
        elif code == 0x15:
            at += offset if registers[target] == value else 0
        elif code == 0x55:
            at += offset if registers[target] != value else 0
        else:
            raise AssertionError(f"unknown instruction {code:#x}")


def expected(
    rules: tuple[tuple[bool, str, int, int, str], ...], kind: str, device: tuple[int, int], access: str
) -> bool:
    """The rule of the specification: in order, so for each kind of access the last one about the device holds."""
    for letter in access:
        allowed = True
        for allow, of, major, minor, letters in rules:
            if of in ("a", kind) and major in (ANY, device[0]) and minor in (ANY, device[1]) and letter in letters:
                allowed = allow
        if not allowed:
            return False
    return True


numbers = st.sampled_from([ANY, 0, 1, 2, 300])
letters = st.sampled_from(["r", "w", "m", "rw", "rm", "wm", "rwm"])
rule = st.tuples(st.booleans(), st.sampled_from("abc"), numbers, numbers, letters)
device = st.tuples(st.sampled_from([0, 1, 2, 300]), st.sampled_from([0, 1, 2, 300]))


@given(st.lists(rule, max_size=8).map(tuple), st.sampled_from("bc"), device, letters)
def test_the_program_answers_as_the_rules_say(rules, kind, device, access) -> None:  # type: ignore[no-untyped-def]
    assert run(assemble(rules), kind, device, access) == expected(rules, kind, device, access)


@given(st.lists(rule, max_size=8).map(tuple))
def test_no_dead_code(rules) -> None:  # type: ignore[no-untyped-def]
    """Old verifiers refuse a program with an instruction that nothing reaches."""
    program = assemble(rules)
    reached, todo = set(), [0]
    while todo:
        at = todo.pop()
        if at in reached:
            continue
        reached.add(at)
        code = program[8 * at]
        offset = int.from_bytes(program[8 * at + 2 : 8 * at + 4], "little")
        if code != 0x95:
            todo.append(at + 1)
        if code in (0x15, 0x55):
            todo.append(at + 1 + offset)
    assert reached == set(range(len(program) // 8))


def test_denying_all_leaves_the_default_devices() -> None:
    program = assemble(effective_rules([{"allow": False, "access": "rwm"}]))
    assert run(program, "c", (1, 3), "rw")
    assert run(program, "c", (136, 17), "rw")
    assert run(program, "b", (8, 0), "m")
    assert not run(program, "b", (8, 0), "r")
    assert not run(program, "c", (1, 1), "r")


def test_nothing_denied_means_everything_allowed() -> None:
    assert effective_rules([]) == ()
    assert run(assemble(()), "b", (8, 0), "rwm")
    assert effective_rules([{"allow": True, "type": "c", "major": 1, "minor": 1}]) == ((True, "c", 1, 1, "rwm"),)


def test_rules_end_with_the_defaults_once_something_is_denied() -> None:
    rules = effective_rules([{"allow": False}, {"allow": True, "type": "b", "major": 8, "minor": -1, "access": "r"}])
    assert rules == ((False, "a", ANY, ANY, "rwm"), (True, "b", 8, ANY, "r"), *DEFAULT_RULES)


def test_lines_of_v1() -> None:
    rules = effective_rules(
        [{"allow": False, "access": "rwm"}, {"allow": True, "type": "a", "major": 8, "access": "r"}]
    )
    assert v1_lines(rules)[:4] == [
        (0, "deny", "a"),
        (1, "allow", "c 8:* r"),  # "a 8:* r" would be taken for everything
        (1, "allow", "b 8:* r"),
        (2, "allow", "c *:* m"),
    ]


def test_all_of_some_access_is_not_all() -> None:
    assert v1_lines(((False, "a", ANY, ANY, "w"),)) == [(0, "deny", "c *:* w"), (0, "deny", "b *:* w")]


DENY_ALL = (False, "a", ANY, ANY, "rwm")


@pytest.mark.parametrize(
    "rules",
    [
        ((True, "c", 1, ANY, "rw"), (False, "c", 1, 3, "w")),
        ((True, "c", 1, 3, "rw"), (False, "c", 1, ANY, "w")),
        ((True, "b", ANY, 3, "r"), (False, "a", 8, 3, "r")),
    ],
)
def test_what_v1_would_lose_is_refused(rules: tuple[Rule, ...]) -> None:
    with pytest.raises(ConfigError, match="cgroup v1 cannot deny") as caught:
        v1_lines((DENY_ALL, *rules))
    assert caught.value.origin == "/linux/resources/devices/2"


@pytest.mark.parametrize(
    "rules",
    [
        ((True, "c", 1, 3, "rw"), (False, "c", 1, 3, "w")),
        ((True, "c", 1, ANY, "r"), (False, "c", 1, 3, "w")),
        ((True, "c", 1, ANY, "r"), (False, "b", 1, 3, "r")),
        ((True, "c", 1, ANY, "rw"), DENY_ALL, (False, "c", 1, 3, "w")),
        ((True, "a", ANY, ANY, "rwm"), (False, "c", 1, 3, "w")),
    ],
)
def test_what_v1_can_do(rules: tuple[Rule, ...]) -> None:
    assert [rule_text((verb == "allow", *parsed(line))) for _, verb, line in v1_lines((DENY_ALL, *rules))]


def parsed(line: str) -> tuple[str, int, int, str]:
    """A line as the kernel reads it."""
    if line.startswith("a"):
        return "a", ANY, ANY, "rwm"
    kind, numbers, access = line.split()
    major, minor = (ANY if number == "*" else int(number) for number in numbers.split(":"))
    return kind, major, minor, access


class Exceptions:
    """The v1 controller's own way to decide (security/device_cgroup.c): a default, and exceptions from it."""

    def __init__(self) -> None:
        self.default = True
        self.exceptions: list[tuple[str, int, int, set[str]]] = []

    def write(self, verb: str, line: str) -> None:
        kind, major, minor, access = parsed(line)
        if kind == "a":
            self.default, self.exceptions = verb == "allow", []
        elif (verb == "allow") == self.default:
            for entry in self.exceptions:
                if entry[:3] == (kind, major, minor):
                    entry[3].difference_update(access)
        else:
            self.exceptions.append((kind, major, minor, set(access)))

    def allows(self, kind: str, device: tuple[int, int], access: str) -> bool:
        hits = [
            entry[3]
            for entry in self.exceptions
            if entry[0] == kind and entry[1] in (ANY, device[0]) and entry[2] in (ANY, device[1])
        ]
        if self.default:
            return not any(set(access) & hit for hit in hits)
        return any(set(access) <= hit for hit in hits)


@given(st.lists(rule, max_size=6).map(tuple), st.sampled_from("bc"), device, st.sampled_from("rwm"))
def test_v1_never_allows_more_than_the_rules(rules, kind, device, access) -> None:  # type: ignore[no-untyped-def]
    kernel = Exceptions()
    try:
        lines = v1_lines((DENY_ALL, *rules))
    except ConfigError:
        return
    for _, verb, line in lines:
        kernel.write(verb, line)
    if kernel.allows(kind, device, access):
        assert expected((DENY_ALL, *rules), kind, device, access)
