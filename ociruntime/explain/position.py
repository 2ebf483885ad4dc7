"""Where in a JSON text each value stands, and what exactly is wrong with a text that is not JSON.

The hot tier only learns that a document was refused. This scanner reads the text again, one
character class at a time, and remembers the offset of every value by its JSON pointer (RFC 6901).
It accepts what `core.jsonio.loads` accepts, and refuses the rest with a sentence.
"""

from __future__ import annotations

import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # public in practice, absent from typeshed

import attrs

MAX_DEPTH = 1000  # about where the fast scanner gives up; pointers of deeper values only cost memory

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z]+|.", re.DOTALL)


class BrokenText(Exception):
    """The text is not acceptable JSON at `offset`; `pointer` names the value that was being read."""

    def __init__(self, reason: str, offset: int, pointer: str, *, duplicate: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset
        self.pointer = pointer
        self.duplicate = duplicate


@attrs.frozen
class Place:
    """Line and column of a character, both counted from 1, the column in characters."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


def place_at(text: str, offset: int) -> Place:
    """The place of the character at `offset`."""
    before = text[:offset]
    return Place(before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)


def escape_pointer(name: str) -> str:
    """A property name as one reference token of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def pointer_of(path: tuple[str | int, ...]) -> str:
    """The JSON pointer of a path of names and indices."""
    return "".join("/" + escape_pointer(str(part)) for part in path)


def scan(text: str) -> dict[str, int]:
    """Offsets of all values of a JSON text by their pointer; raises BrokenText."""
    if text.startswith("\ufeff"):
        raise BrokenText("it starts with a byte order mark", 0, "")
    scanner = _Scanner(text)
    scanner.run()
    return scanner.offsets


def locate(text: str, pointer: str) -> Place:
    """The place of a value, or of its nearest ancestor where it is missing; line 1 in a broken text."""
    try:
        offsets = scan(text)
    except BrokenText:
        return Place(1, 1)
    while pointer not in offsets:
        pointer = pointer.rpartition("/")[0]
    return place_at(text, offsets[pointer])


class _Open:
    """An object or array whose end has not been seen yet."""

    def __init__(self, pointer: str, close: str) -> None:
        self.pointer = pointer
        self.close = close
        self.names: set[str] = set()
        self.count = 0


class _Scanner:
    """One pass over a text, without recursion."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.offset = 0
        self.offsets: dict[str, int] = {}

    def run(self) -> None:
        """Read one document from the first to the last character."""
        stack: list[_Open] = []
        self.value("", stack)
        while stack:
            top = stack[-1]
            if self.sees(top.close):
                self.offset += 1
                stack.pop()
                continue
            if top.count:
                self.expect(",", f"',' or '{top.close}'", top.pointer)
            name = self.name(top) if top.close == "}" else str(top.count)
            top.count += 1
            self.value(f"{top.pointer}/{escape_pointer(name)}", stack)
        self.sees("")
        if self.offset != len(self.text):
            raise BrokenText(f"unexpected {self.shown()} after the end of the document", self.offset, "")

    def sees(self, wanted: str) -> bool:
        """Skip white space; whether the text goes on with `wanted`."""
        space = _SPACE.match(self.text, self.offset)
        self.offset = space.end() if space else self.offset
        return self.text.startswith(wanted, self.offset)

    def expect(self, wanted: str, title: str, pointer: str) -> None:
        if not self.sees(wanted):
            raise BrokenText(f"expected {title}, found {self.shown()}", self.offset, pointer)
        self.offset += len(wanted)

    def shown(self) -> str:
        """What stands here, for a sentence."""
        found = _WORD.match(self.text, self.offset)
        if found is None:
            return "the end of the file"
        word = found.group()[:40]
        return repr(word) if word.isprintable() else f"character U+{ord(word):04X}"

    def value(self, pointer: str, stack: list[_Open]) -> None:
        """A whole scalar, or the opening of an object or array."""
        if self.sees("{") or self.sees("["):
            self.offsets[pointer] = self.offset
            if len(stack) == MAX_DEPTH:
                raise BrokenText("it nests too deeply", self.offset, pointer)
            stack.append(_Open(pointer, "}" if self.sees("{") else "]"))
            self.offset += 1
            return
        self.offsets[pointer] = self.offset
        if self.sees('"'):
            self.string(pointer)
        else:
            self.scalar(pointer)

    def scalar(self, pointer: str) -> None:
        for constant in ("NaN", "Infinity", "-Infinity"):
            if self.sees(constant):
                raise BrokenText(f"{constant} is no JSON number", self.offset, pointer)
        for literal in ("true", "false", "null"):
            if self.sees(literal):
                self.offset += len(literal)
                return
        number = _NUMBER.match(self.text, self.offset)
        if number is None:
            raise BrokenText(f"expected a value, found {self.shown()}", self.offset, pointer)
        digits = number.group()
        # int() of the interpreter refuses more than 4300 digits.
        if len(digits) > 4300 or float(digits) in (float("inf"), float("-inf")):
            raise BrokenText(f"the number {digits[:20]}... is too large", self.offset, pointer)
        self.offset = number.end()

    def string(self, pointer: str) -> str:
        start = self.offset
        try:
            string, self.offset = scanstring(self.text, start + 1, True)
        except ValueError as error:
            reason = str(getattr(error, "msg", error)).removesuffix(" starting at").removesuffix(" at").rstrip(": ")
            raise BrokenText(reason[:1].lower() + reason[1:], getattr(error, "pos", start), pointer) from None
        if any("\ud800" <= character <= "\udfff" for character in string):
            raise BrokenText("half of a surrogate pair is no character", start, pointer)
        return str(string)

    def name(self, top: _Open) -> str:
        """The name of the next member, up to its colon."""
        if not self.sees('"'):
            raise BrokenText(f"expected a property name in quotes, found {self.shown()}", self.offset, top.pointer)
        start = self.offset
        name = self.string(top.pointer)
        pointer = f"{top.pointer}/{escape_pointer(name)}"
        if name in top.names:
            raise BrokenText(f"the property {name!r} is given twice", start, pointer, duplicate=True)
        top.names.add(name)
        self.expect(":", f"':' after {name!r}", pointer)
        return name
