"""Why a document is not JSON, in one sentence with line and column."""

from __future__ import annotations

from ociruntime.core.errors import ConfigError
from ociruntime.explain.position import BrokenText, place_at, scan

LONGEST_ORIGIN = 200  # characters; the pointer of a hundred brackets says nothing


def explain(data: bytes, what: str, refusal: Exception) -> ConfigError:
    """The best error for bytes that `core.jsonio.loads` refused; `refusal` is what its scanner said."""
    if not data.strip(b" \t\r\n"):
        return ConfigError(f"{what} is empty", code="config-json", hint="a JSON object is needed")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        return _not_utf8(data, what, error)
    try:
        scan(text)
    except BrokenText as broken:
        place = place_at(text, broken.offset)
        return ConfigError(
            f"{what} is not valid JSON: {place}: {broken.reason}",
            code="config-duplicate-key" if broken.duplicate else "config-json",
            origin=broken.pointer if len(broken.pointer) <= LONGEST_ORIGIN else "",
        )
    reason = "it nests too deeply" if isinstance(refusal, RecursionError) else str(refusal)
    return ConfigError(f"{what} is not valid JSON: {reason}", code="config-json")


def _not_utf8(data: bytes, what: str, error: UnicodeDecodeError) -> ConfigError:
    before = data[: error.start].decode()
    place = place_at(before, len(before))
    encoding = ""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = ", it looks like UTF-16"
    return ConfigError(
        f"{what} is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start} ({place}){encoding}",
        code="config-json",
        hint="save the file as UTF-8",
    )
