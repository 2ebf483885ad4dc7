"""Documents made from the declaration: the smallest that have a certain property, and wrong ones."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from ociruntime.model.reflect import (
    AnyObject,
    Boolean,
    Choice,
    Integer,
    Kind,
    ListOf,
    MapOf,
    ObjectOf,
    Property,
    Text,
    properties,
)
from ociruntime.model.vocabulary import Laxer, Part, Tighter

Path = tuple[str | int, ...]

STRINGS = {
    "text": "text",
    "name": "name",
    "non-empty": "full",
    "absolute-path": "/a/b",
    "optional-path": "/a/b",
    "semver": "1.2.0-rc.1+dev",
    "cpu-list": "0-3, 7",
    "device-access": "rw",
    "page-size": "2MB",
    "bandwidth-schema": "MB:0=70",
    "capability": "CAP_CHOWN",
}
# What each place of a document is replaced by. Integers sit at the edges of the ranges.
WRONG: tuple[Any, ...] = (
    None,
    True,
    False,
    *(sign * edge + step for edge in (0, 1, 20, 512, 2**15, 2**16, 2**31, 2**32, 2**63, 2**64) for sign in (1, -1)
      for step in (-1, 0, 1)),
    1.0,
    1.5,
    *("", "x", "/", "/x", "x/../y", "/x\ny", "/x\n", "a\0b", "/\0", "RLIMIT_NOFILE\n", "1.0.0", "1.0", "01.0.0"),
    *("1.0.0-", "1.0.0-01", "1.0.0+01", "2MB", "02MB", "2MB\n", "2TB", "MB:1", "MB:1\n2", "0-3", "0;3", "rwx", "a"),
    *("\u0661", "\u00e9", "private", "rprivate", "SCMP_ACT_ALLOW", "pid", "CAP_X", "CAP_1", "SCHED_OTHER"),
    [],
    [None],
    ["x"],
    ["a\0b"],
    ["x", 5],
    [5],
    [[]],
    [{}],
    {},
    {"x": 5},
    {"x": "y"},
    {"": "y"},
    {"": 5},
    {"a\0": "y"},
    {"x": None},
)  # fmt: skip


def sample(kind: Kind) -> Any:
    """A small right value."""
    match kind:
        case Text(format):
            return STRINGS[format.name]
        case Integer(low, high):
            return max(low if low is not None else 0, min(1, high if high is not None else 1))
        case Boolean():
            return True
        case Choice(values):
            return values[-1]
        case ListOf(item):
            return [sample(item)]
        case MapOf(item):
            return {"some": sample(item)}
        case ObjectOf(cls):
            return {item.name: sample(item.kind) for item in properties(cls) if item.required}
        case AnyObject():
            return {"anything": [1]}


def documents(root: type[Part]) -> Iterator[tuple[dict[str, Any], Path]]:
    """For each property, however deep, the smallest document that has it, and its path."""
    for path in _paths(ObjectOf(root)):
        yield _build(ObjectOf(root), path), path


def _paths(kind: Kind) -> Iterator[Path]:
    match kind:
        case ObjectOf(cls):
            for item in properties(cls):
                yield (item.name,)
                for inner in _paths(item.kind):
                    yield (item.name, *inner)
        case ListOf(item):
            yield (0,)
            for inner in _paths(item):
                yield (0, *inner)
        case MapOf(item):
            yield ("some",)
            for inner in _paths(item):
                yield ("some", *inner)


def _build(kind: Kind, path: Path) -> Any:
    value = sample(kind)
    if path:
        match kind:
            case ObjectOf(cls):
                value[path[0]] = _build(_member(cls, path[0]).kind, path[1:])
            case ListOf(item) | MapOf(item):
                value[path[0]] = _build(item, path[1:])
    return value


def _member(cls: type[Part], name: str | int) -> Property:
    return next(item for item in properties(cls) if item.name == name)


def replaced(document: Any, path: Path, value: Any) -> Any:
    """A copy of the document with another value at a path."""
    changed = copy.deepcopy(document)
    place = changed
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return changed


def removed(document: Any, path: Path) -> Any:
    """A copy of the document without the value at a path."""
    changed = copy.deepcopy(document)
    place = changed
    for part in path[:-1]:
        place = place[part]
    del place[path[-1]]
    return changed


def departures(root: type[Part], path: Path) -> list[Tighter | Laxer]:
    """All reasons to differ from the official schema that are declared on the way to a place."""
    kind: Kind = ObjectOf(root)
    found: list[Tighter | Laxer] = []
    for part in path:
        match kind:
            case ObjectOf(cls):
                member = next((item for item in properties(cls) if item.name == part), None)
                if member is None:
                    break
                found += member.departures
                kind = member.kind
            case ListOf(item) | MapOf(item):
                kind = item
            case _:
                break
    return found
