"""JSON in and out, strictly, at a price a hot command can pay.

`import json` costs 5 ms (it compiles regular expressions), its C scanner alone 0.2 ms, so this
module drives the scanner itself. It is stricter than json: a property given twice, NaN, Infinity,
a number beyond the range of a double, a byte order mark and half a surrogate pair are refused.

The scanner has one trap: on a broken string it reports SystemError, because json.decoder is not
loaded to provide the real exception (seen on CPython 3.11). So any problem means "no", and the
comfortable tier reads the text again to find the words.
"""

from __future__ import annotations

from ociruntime.core.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

# What a scanner may raise on a text it does not like; StopIteration is its word for "no value here".
_REFUSALS = (ValueError, StopIteration, SystemError, RecursionError)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("duplicate property")
    return value


def _float(digits: str) -> float:
    value = float(digits)
    if value - value != 0.0:  # infinite: the number does not fit in a double
        raise ValueError("number out of range")
    return value


def _constant(name: str) -> object:
    raise ValueError(name)


class _Rules:
    """What `_json.make_scanner` asks of a json.JSONDecoder."""

    strict = True
    object_hook = None
    object_pairs_hook = staticmethod(_object)
    parse_float = staticmethod(_float)
    parse_int = int
    parse_constant = staticmethod(_constant)


def _no_json(value: object) -> object:
    raise TypeError(f"no JSON for {type(value).__name__}")


class _Codec:
    """The scanner and the encoder, made when the first document is read or written: the one module in C that
    every command needs and that is no part of the interpreter's image (native/image.c).
    """

    scan: Callable[[str, int], tuple[object, int]]
    encode: Callable[[object, int], Iterable[str]]

    def __getattr__(self, name: str) -> object:
        self.scan, self.encode = _of_c() or _of_python()
        return self.__dict__[name]


def _of_c() -> tuple[Any, Any] | None:
    """By a private module of CPython; the public one does the same for five milliseconds more."""
    try:
        from _json import encode_basestring_ascii, make_encoder, make_scanner

        encode = make_encoder(None, _no_json, encode_basestring_ascii, None, ":", ",", False, False, False)
        return make_scanner(_Rules), encode  # type: ignore[arg-type]
    except (ImportError, TypeError):  # not there, or not as CPython 3.11 to 3.14 have it
        return None


def _of_python() -> tuple[Any, Any]:
    from json import JSONDecoder, JSONEncoder

    decoder = JSONDecoder(object_pairs_hook=_object, parse_float=_float, parse_constant=_constant)
    scan: Any = decoder.scan_once  # type: ignore[attr-defined]
    return scan, lambda value, _: JSONEncoder(separators=(",", ":"), allow_nan=False).iterencode(value)


_codec = _Codec()


def loads(data: bytes, what: str) -> object:
    """The value of a JSON document in UTF-8.

    `what` names the document in sentences, e.g. its path. Raises ConfigError: "config-json" or
    "config-duplicate-key", with line and column in the sentence and the property as the origin.
    """
    try:
        text = data.decode()
        stripped = text.lstrip(" \t\r\n")
        value, end = _codec.scan(stripped, 0)
        if stripped[end:].strip(" \t\r\n"):
            raise ValueError("trailing data")
        # Only an escape can bring half a surrogate pair, which no system call could take as a path.
        if b"\\ud" in data or b"\\uD" in data:
            _reject_surrogates(value)
    except _REFUSALS as refusal:
        raise _explained(data, what, refusal) from None
    return value


def _reject_surrogates(value: object) -> None:
    if isinstance(value, str):
        value.encode()  # UnicodeEncodeError is a ValueError
    elif isinstance(value, list):
        for item in value:
            _reject_surrogates(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            name.encode()
            _reject_surrogates(item)


def _explained(data: bytes, what: str, refusal: Exception) -> ConfigError:
    from ociruntime.explain.config_json import explain

    return explain(data, what, refusal)


def dumps(value: object, indent: int = 0) -> str:
    """A value as JSON in ASCII, members in their own order; on several lines where `indent` > 0.

    Raises TypeError or ValueError for what JSON cannot say (NaN too).
    """
    if not indent:
        return "".join(_codec.encode(value, 0))
    return _indented(value, " " * indent, "\n")


def _indented(value: object, step: str, line: str) -> str:
    inner = line + step
    if isinstance(value, dict) and value:
        # A name that is not a string goes through the encoder too, which knows what to do with it.
        members = [dumps({name: 0})[1:-3] + ": " + _indented(item, step, inner) for name, item in value.items()]
        return "{" + inner + ("," + inner).join(members) + line + "}"
    if isinstance(value, (list, tuple)) and value:
        return "[" + inner + ("," + inner).join([_indented(item, step, inner) for item in value]) + line + "]"
    return "".join(_codec.encode(value, 0))
