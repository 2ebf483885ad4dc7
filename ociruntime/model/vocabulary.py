"""The words in which the specification is declared.

A property is an annotated attribute with its meaning as a string below it. Its JSON name is the
camel case of its attribute. `T | None = None` is an optional property. A type is narrowed by
Annotated: Range for numbers, Format for strings, AtLeast for arrays. Where the declaration departs
from the official schema, Tighter or Laxer says why; the tests hold the two schemas against each
other and allow nothing else.
"""

from __future__ import annotations

from typing import Annotated, Any

import attrs


@attrs.frozen
class Range:
    """An integer from low to high, both included; None is no bound."""

    low: int | None
    high: int | None


@attrs.frozen
class Format:
    """A string that matches a pattern, which JSON Schema, ECMAScript and `re` read alike.

    `name` is also the name of the predicate in core/spec/formats.py that decides the same without
    regular expressions, `words` what an error says that it expected.
    """

    name: str
    pattern: str
    words: str


@attrs.frozen
class AtLeast:
    """An array of at least `count` items."""

    count: int


@attrs.frozen
class Tighter:
    """The official schema accepts more; `reason` says why we do not."""

    reason: str


@attrs.frozen
class Laxer:
    """The official schema accepts less; `reason` says why we accept more."""

    reason: str


@attrs.define(kw_only=True)
class Part:
    """Base of every object of a document."""

    unknown: dict[str, Any] = attrs.field(factory=dict, repr=False)
    "Properties that the specification does not know: ignored, and kept when the document is written again."


# A NUL ends every string that the kernel reads, so a path with one would silently mean another.
# `$(?!\n)` because Python's `$` also matches before a line feed at the end.
TEXT = Format("text", r"^[^\u0000]*$(?!\n)", "a string without NUL")
NAME = Format("name", r"^[^\u0000]+$(?!\n)", "a name that is not empty")

Text = str
NonEmpty = Annotated[str, Format("non-empty", r"^[^\u0000]+$(?!\n)", "a string that is not empty")]
AbsolutePath = Annotated[str, Format("absolute-path", r"^/[^\u0000]*$(?!\n)", "an absolute path")]
# Go programs may write "" where they mean no path at all.
OptionalPath = Annotated[str, Format("optional-path", r"^(/[^\u0000]*)?$(?!\n)", "an absolute path")]
SemVer = Annotated[
    str,
    Format(
        "semver",
        r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
        r"(-(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*)?"
        r"(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$(?!\n)",
        'a version such as "1.2.1" or "1.3.0-dev"',
    ),
    Tighter("the text wants SemVer 2.0.0"),
]
CPUList = Annotated[str, Format("cpu-list", r"^[0-9, -]*$(?!\n)", 'a list of CPUs such as "0-3,7"')]

Int32 = Annotated[int, Range(-(2**31), 2**31 - 1)]
Int64 = Annotated[int, Range(-(2**63), 2**63 - 1)]
UInt16 = Annotated[int, Range(0, 2**16 - 1)]
UInt32 = Annotated[int, Range(0, 2**32 - 1)]
UInt64 = Annotated[int, Range(0, 2**64 - 1)]
ID = Annotated[
    int, Range(0, 2**32 - 2), Tighter("4294967295 is (uid_t)-1, which setuid(2) and chown(2) read as: leave it")
]
FileMode = Annotated[UInt32, Laxer("engines send st_mode as they found it: type, set-user-ID and sticky bits included")]

Strings = list[str]
StringMap = Annotated[dict[str, str], Tighter("a name is not empty and has no NUL")]
Foreign = Annotated[dict[str, Any], Laxer("another platform's part is none of our business")]
