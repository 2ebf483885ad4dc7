"""JSON in and out, strictly, at a price a hot command can pay.

`import json` costs 5 ms (it compiles regular expressions), so there is a scanner of our own (native/jsonio.c). It is
stricter than json: a property given twice, NaN, Infinity, a number beyond the range of a double, a byte order mark and
half a surrogate pair are refused. It only says no: the comfortable tier reads the text again to find the words.
"""

from __future__ import annotations

from ociruntime.core import _jsonio
from ociruntime.core.errors import ConfigError

# What the scanner raises on a text that it does not like, too deep a one included.
_REFUSALS = (ValueError, RecursionError)


def loads(data: bytes, what: str) -> object:
    """The value of a JSON document in UTF-8.

    `what` names the document in sentences, e.g. its path. Raises ConfigError: "config-json" or
    "config-duplicate-key", with line and column in the sentence and the property as the origin.
    """
    try:
        return _jsonio.scan(data)
    except _REFUSALS as refusal:
        raise _explained(data, what, refusal) from None


def _explained(data: bytes, what: str, refusal: Exception) -> ConfigError:
    from ociruntime.explain.config_json import explain

    return explain(data, what, refusal)


def dumps(value: object, indent: int = 0) -> str:
    """A value as JSON in ASCII, members in their own order; on several lines where `indent` > 0.

    Raises TypeError or ValueError for what JSON cannot say (NaN too).
    """
    if not indent:
        return _jsonio.write(value)
    return _indented(value, " " * indent, "\n")


def _indented(value: object, step: str, line: str) -> str:
    inner = line + step
    if isinstance(value, dict) and value:
        members = [_jsonio.write({name: 0})[1:-3] + ": " + _indented(item, step, inner) for name, item in value.items()]
        return "{" + inner + ("," + inner).join(members) + line + "}"
    if isinstance(value, (list, tuple)) and value:
        return "[" + inner + ("," + inner).join([_indented(item, step, inner) for item in value]) + line + "]"
    return _jsonio.write(value)
