"""Write down system calls for the player (native/player.c) to make after this interpreter is gone.

A tape is a list of records, each one system call, and the data that they point to. The player maps the
tape at ``TAPE_BASE`` and plays the records in order; since that address is fixed, pointers are written here
as plain numbers. Layout, in 64-bit words of the machine's order (little-endian on both machines we know)::

    magic, count, report record or NONE, report fd or NONE,
    count * [number, flags, a0, a1, a2, a3, a4, a5],
    data

A failed record sends [index, errno] to the report descriptor and ends the player; the caller knows which call
that is. Pure: nothing here makes a system call.
"""

from __future__ import annotations

from _struct import pack  # `struct` is a second module for the same functions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

TAPE_BASE = 0x1_0000_0000
MAGIC = 0x3130455041544F43  # "COTAPE01"
NONE = (1 << 64) - 1
HEADER_WORDS = 4
RECORD_WORDS = 8
MAX_ARGS = 6
NO_ARGS = (0,) * MAX_ARGS

# A failure of this record does not matter.
IGNORE = 1 << 8
# Result 0 means end of file, the peer is gone: leave silently.
NONZERO = 1 << 9


class Result:
    """The result of an earlier record, as an argument of a later one."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index


class Data:
    """A place in the tape's data, as an argument or within ``Tape.words``."""

    __slots__ = ("offset",)

    def __init__(self, offset: int) -> None:
        self.offset = offset


class Tape:
    """Records and data under construction."""

    def __init__(self) -> None:
        self._records: list[list[int | Data]] = []
        self._report: int | Result = NONE
        self._data = bytearray()
        self._pointers: list[int] = []

    def call(self, number: int, *args: int | bytes | Data | Result | None, flags: int = 0) -> Result:
        """Add a record; bytes arguments are placed into the data, with a NUL after them."""
        if len(args) > MAX_ARGS:
            raise ValueError(f"a system call takes up to {MAX_ARGS} arguments, not {len(args)}")
        words: list[int | Data] = []
        for position, arg in enumerate(args):
            if type(arg) is int:  # almost all are
                words.append(arg)
            elif isinstance(arg, bytes):
                words.append(self.place(arg))
            elif isinstance(arg, Result):
                flags |= 1 << position
                words.append(arg.index)
            else:
                words.append(arg or 0)
        self._records.append([number, flags, *words, *NO_ARGS[len(words) :]])
        return Result(len(self._records) - 1)

    def report_to(self, fd: int | Result) -> None:
        """Name the descriptor that hears of a failed record: a number, or the result of a record."""
        self._report = fd

    def place(self, content: bytes) -> Data:
        """Put content and a NUL into the data, at a multiple of 8 as any C struct may need."""
        self._data += bytes(-len(self._data) % 8)
        offset = len(self._data)
        self._data += content + b"\0"
        return Data(offset)

    def words(self, *items: int | Data) -> Data:
        """Put a struct of 64-bit words and pointers into the data, such as struct sock_fprog or iovec."""
        place = self.place(b"".join(_word(item.offset if isinstance(item, Data) else item) for item in items))
        self._pointers += [place.offset + 8 * i for i, item in enumerate(items) if isinstance(item, Data)]
        return place

    def strings(self, items: Iterable[bytes]) -> Data:
        """Put a NULL-terminated array of C strings into the data, as execve(2) wants argv and envp."""
        places = []
        for item in items:
            if b"\0" in item:
                raise ValueError(f"embedded null byte in {item!r}")
            places.append(self.place(item))
        return self.words(*places, 0)

    def assemble(self) -> bytes:
        """The finished tape."""
        base = TAPE_BASE + 8 * (HEADER_WORDS + RECORD_WORDS * len(self._records))
        report = (self._report.index, NONE) if isinstance(self._report, Result) else (NONE, self._report)
        words: list[int | Data] = [MAGIC, len(self._records), *report]
        data = bytearray(self._data)
        for at in self._pointers:
            data[at : at + 8] = _word(base + int.from_bytes(data[at : at + 8], "little"))
        for record in self._records:
            words += record
        numbers = [word & NONE if isinstance(word, int) else base + word.offset for word in words]
        return pack(f"<{len(numbers)}Q", *numbers) + data


def _word(number: int) -> bytes:
    return (number & NONE).to_bytes(8, "little")
