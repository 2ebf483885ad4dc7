"""Why a document is not JSON, in one sentence with line and column."""

from __future__ import annotations

from ociruntime.core.errors import ConfigError
from ociruntime.explain.position import BrokenText, Place, place_at, scan
from ociruntime.explain.problem import Problem

LONGEST_ORIGIN = 200  # characters; the pointer of a hundred brackets says nothing


def explain(data: bytes, what: str, refusal: Exception) -> ConfigError:
    """The best error for bytes that `core.jsonio.loads` refused; `refusal` is what its scanner said."""
    return problem(data, refusal).failure(what)


def problem(data: bytes, refusal: Exception | None = None) -> Problem:
    """What is wrong with bytes that are no JSON document."""
    if not data.strip(b" \t\r\n"):
        return _problem(Place(1, 1), "it is empty", hint="a JSON object is needed")
    try:
        text = data.decode()
        scan(text)
    except UnicodeDecodeError as error:
        return _not_utf8(data, error)
    except BrokenText as broken:
        place = place_at(text, broken.offset)
        origin = broken.pointer if len(broken.pointer) <= LONGEST_ORIGIN else ""
        if broken.duplicate:
            return _problem(place, broken.reason, code="config-duplicate-key", origin=origin)
        return _problem(place, f"not valid JSON: {broken.reason}", origin=origin)
    reason = "it nests too deeply" if isinstance(refusal, RecursionError) else str(refusal)
    return _problem(Place(1, 1), f"not valid JSON: {reason}")


def _problem(place: Place, what: str, *, code: str = "config-json", origin: str = "", hint: str = "") -> Problem:
    return Problem(code=code, origin=origin, what=what, hint=hint, line=place.line, column=place.column)


def _not_utf8(data: bytes, error: UnicodeDecodeError) -> Problem:
    before = data[: error.start].decode()
    likely = ", it looks like UTF-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else ""
    what = f"not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}{likely}"
    return _problem(place_at(before, len(before)), what, hint="save the file as UTF-8")
