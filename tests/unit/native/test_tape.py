"""What a tape looks like on paper; test_player.py plays them."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociruntime.core.launch import tape as t


def words(content: bytes, count: int, offset: int = 0) -> tuple[int, ...]:
    return struct.unpack_from(f"<{count}Q", content, offset)


def string_at(content: bytes, address: int) -> bytes:
    start = address - t.TAPE_BASE
    return content[start : content.index(b"\0", start)]


def test_empty_tape_is_a_header() -> None:
    assert words(t.Tape().assemble(), 4) == (0x3130455041544F43, 0, t.NONE, t.NONE)


def test_record_holds_number_flags_and_arguments() -> None:
    tape = t.Tape()
    tape.call(59, 1, None, -1, flags=t.IGNORE | t.NONZERO)
    assert words(tape.assemble(), 8, 32) == (59, 0x300, 1, 0, t.NONE, 0, 0, 0)


def test_result_sets_the_flag_of_its_argument() -> None:
    tape = t.Tape()
    tape.call(1)
    second = tape.call(2)
    tape.call(3, 7, second, flags=t.IGNORE)
    assert words(tape.assemble(), 4, 32 + 2 * 64) == (3, t.IGNORE | 1 << 1, 7, 1)


def test_bytes_become_an_absolute_pointer_to_a_terminated_string() -> None:
    tape = t.Tape()
    tape.call(1, b"/first")
    tape.call(2, 0, b"/second")
    content = tape.assemble()
    assert string_at(content, words(content, 3, 32)[2]) == b"/first"
    assert string_at(content, words(content, 4, 32 + 64)[3]) == b"/second"
    assert content.endswith(b"\0")


@given(st.lists(st.binary().filter(lambda item: b"\0" not in item)))
def test_strings_are_an_array_of_pointers_that_ends_with_null(items: list[bytes]) -> None:
    tape = t.Tape()
    tape.call(59, 0, tape.strings(items))
    content = tape.assemble()
    array = words(content, 4, 32)[3]
    pointers = words(content, len(items) + 1, array - t.TAPE_BASE)
    assert array % 8 == 0
    assert [string_at(content, pointer) for pointer in pointers[:-1]] == items
    assert pointers[-1] == 0


def test_words_point_at_places() -> None:
    tape = t.Tape()
    program = tape.place(b"\1" * 16)
    tape.call(317, tape.words(2, program))
    content = tape.assemble()
    length, address = words(content, 2, words(content, 3, 32)[2] - t.TAPE_BASE)
    assert length == 2
    assert content[address - t.TAPE_BASE :][:16] == b"\1" * 16


def test_report_is_a_number_or_a_result() -> None:
    tape = t.Tape()
    tape.report_to(5)
    assert words(tape.assemble(), 4)[2:] == (t.NONE, 5)
    tape.call(1)
    tape.report_to(tape.call(2))
    assert words(tape.assemble(), 4)[2:] == (1, t.NONE)


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(ValueError, match="up to 6 arguments, not 7"):
        t.Tape().call(1, *range(7))
    with pytest.raises(ValueError, match="null byte"):
        t.Tape().strings([b"a\0b"])
