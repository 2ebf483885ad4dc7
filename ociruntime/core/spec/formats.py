"""Formats of strings, decided by words: `re` would cost a hot command 4 ms.

Each predicate decides what the pattern of the same name in model/ says; a test holds them together.
The caller has made sure that the value is a string without NUL.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_DIGITS = frozenset("0123456789")
_ALPHANUMERIC = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-")


def _non_empty(value: str) -> bool:
    return value != ""


def _absolute_path(value: str) -> bool:
    return value.startswith("/")


def _optional_path(value: str) -> bool:
    return not value or value.startswith("/")


def _number(value: str) -> bool:
    """Digits without a leading zero; str.isdigit would take those of all scripts."""
    return bool(value) and _DIGITS.issuperset(value) and (value == "0" or value[0] != "0")


def _identifiers(value: str, numbers: bool) -> bool:
    """Dotted identifiers of SemVer; numeric ones of a pre-release have no leading zero."""
    for part in value.split("."):
        if not part or not _ALPHANUMERIC.issuperset(part):
            return False
        if numbers and _DIGITS.issuperset(part) and not _number(part):
            return False
    return True


def _semver(value: str) -> bool:
    value, plus, build = value.partition("+")
    core, dash, release = value.partition("-")
    numbers = core.split(".")
    return (
        len(numbers) == 3
        and all([_number(number) for number in numbers])
        and (not dash or _identifiers(release, True))
        and (not plus or _identifiers(build, False))
    )


def _only(letters: str) -> Callable[[str], bool]:
    return frozenset(letters).issuperset


def _page_size(value: str) -> bool:
    number = value[:-2]
    return value[-2:] in ("KB", "MB", "GB") and _number(number) and number != "0"


def _bandwidth_schema(value: str) -> bool:
    return value.startswith("MB:") and "\n" not in value


PREDICATES: dict[str, Callable[[str], bool]] = {
    "non-empty": _non_empty,
    "absolute-path": _absolute_path,
    "optional-path": _optional_path,
    "semver": _semver,
    "cpu-list": _only("0123456789, -"),
    "device-access": _only("rwm"),
    "page-size": _page_size,
    "bandwidth-schema": _bandwidth_schema,
}
