"""Which devices a container may use (config-linux.md, Allowed Device list).

The rules hold in order: for each of read, write and mknod the last rule about a device decides; without
one the access is allowed.
"""

from __future__ import annotations

from ociruntime.core.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.spec.types import DeviceRule

    Rule = tuple[bool, str, int, int, str]  # allow; "a", "c" or "b"; major, minor (-1: any); access

ANY = -1

# What every container may use (config-linux.md, Default Devices), and the making of any device node: a
# node alone opens nothing. With a terminal and without it: /dev/console is bound over by a pts.
DEFAULT_RULES: tuple[Rule, ...] = (
    (True, "c", ANY, ANY, "m"),
    (True, "b", ANY, ANY, "m"),
    (True, "c", 1, 3, "rwm"),  # null
    (True, "c", 1, 5, "rwm"),  # zero
    (True, "c", 1, 7, "rwm"),  # full
    (True, "c", 1, 8, "rwm"),  # random
    (True, "c", 1, 9, "rwm"),  # urandom
    (True, "c", 5, 0, "rwm"),  # tty
    (True, "c", 5, 1, "rwm"),  # console
    (True, "c", 5, 2, "rwm"),  # ptmx
    (True, "c", 136, ANY, "rwm"),  # pts/*
)


def effective_rules(listed: list[DeviceRule]) -> tuple[Rule, ...]:
    """The rules of linux.resources.devices; where any of them denies, the default devices come after them."""
    rules = [
        (
            entry["allow"],
            entry.get("type") or "a",
            _number(entry.get("major")),
            _number(entry.get("minor")),
            entry.get("access") or "rwm",
        )
        for entry in listed
    ]
    denials = [position for position, rule in enumerate(rules) if not rule[0]]
    if denials:
        since = rules[denials[-1] :]  # engines list most of the defaults themselves
        rules.extend([rule for rule in DEFAULT_RULES if rule not in since])
    return tuple(rules)


def _number(value: int | None) -> int:
    """A major or minor number; absent and negative ones mean any."""
    return ANY if value is None or value < 0 else value


def about_all(rule: Rule) -> bool:
    """Whether a rule is about every access to every device."""
    return rule[1:4] == ("a", ANY, ANY) and set(rule[4]) == set("rwm")


def rule_text(rule: Rule) -> str:
    """A rule as the v1 files spell it, after the verb: "allow c 1:3 rwm"."""
    _, kind, major, minor, access = rule
    verb = "allow" if rule[0] else "deny"
    if about_all(rule):
        return f"{verb} a"
    return f"{verb} {kind} {'*' if major == ANY else major}:{'*' if minor == ANY else minor} {access}"


def v1_lines(rules: tuple[Rule, ...]) -> list[tuple[int, str, str]]:
    """What to write on v1: position of the rule, "allow" or "deny" (the end of the file's name), and the line.

    The kernel keeps a default and a list of exceptions (cgroup-v1/devices.rst), so two things need care.
    It takes any line that begins with "a" for all of all. And once all is denied, a later deny takes
    back only an allow of the very same device: one that cuts into a wider allow would be lost
    without a word, so it is refused. Raises ConfigError.
    """
    lines = []
    allowed: list[Rule] | None = None  # since everything was denied
    for position, rule in enumerate(rules):
        if about_all(rule):
            allowed = None if rule[0] else []
            lines.append((position, *_split(rule)))
            continue
        for kind in "cb" if rule[1] == "a" else rule[1]:
            one = (rule[0], kind, *rule[2:])
            if allowed is not None:
                _keep(allowed, one, position)
            lines.append((position, *_split(one)))
    return lines


def _split(rule: Rule) -> tuple[str, str]:
    verb, _, line = rule_text(rule).partition(" ")
    return verb, line


def _keep(allowed: list[Rule], rule: Rule, position: int) -> None:
    """Note an allow; check that a deny is one that the kernel can carry out."""
    if rule[0]:
        allowed.append(rule)
        return
    for other in allowed:
        if other[1:4] != rule[1:4] and _meet(other, rule):
            raise ConfigError(
                f"cgroup v1 cannot {rule_text(rule)} after {rule_text(other)}",
                code="cgroup-device-rule", origin=f"/linux/resources/devices/{position}",
                hint="allow only what is left, or deny exactly what was allowed",
            )  # fmt: skip


def _meet(one: Rule, two: Rule) -> bool:
    """Whether some access to some device is the matter of both."""
    same = one[1] == two[1] and set(one[4]) & set(two[4])
    return bool(same) and all(a == b or ANY in (a, b) for a, b in zip(one[2:4], two[2:4], strict=True))
