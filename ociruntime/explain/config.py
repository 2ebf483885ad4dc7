"""Why a document was refused, in one sentence with line and column.

The hot tier said no (core/spec/check.py). Here jsonschema finds the reasons, by the schema that was
generated from the same declaration as the hot tier's table, and each becomes a Problem.
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
from jsonschema.exceptions import best_match

from ociruntime.core.errors import ConfigError
from ociruntime.core.jsonio import dumps
from ociruntime.explain.position import pointer_of
from ociruntime.explain.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from ociruntime.core.spec.finding import Broken

SCHEMAS = Path(__file__).parents[1] / "model" / "schema"
LONGEST_VALUE = 60  # characters of a value that a sentence shows

_TYPES = {
    "object": "an object",
    "array": "an array",
    "string": "a string",
    "integer": "an integer",
    "boolean": "true or false",
}


def misfit(document: Any, kind: str, what: str, data: bytes) -> ConfigError:
    """The best reason why a document does not fit the schema `kind`; `what` names it in the sentence."""
    error = best_match(_errors(document, kind))
    if error is None:  # the two verdicts disagree, which a test rules out
        return ConfigError(f"{what} does not fit the specification", code="config-invalid")
    return _problem(error).located(data).failure(what)


def misfits(document: Any, kind: str) -> list[Problem]:
    """All reasons why a document does not fit the schema `kind`, in the order of the document."""
    return [_problem(error) for error in _errors(document, kind)]


def broken_rule(broken: Broken, what: str, data: bytes) -> ConfigError:
    """A rule of core/spec/rules.py that the document breaks."""
    return problem_of(broken).located(data).failure(what)


def problem_of(broken: Broken) -> Problem:
    """What a rule found, as a Problem."""
    code, origin, sentence, hint = broken
    return Problem(code=code, origin=origin, what=sentence, hint=hint)


def schema(kind: str) -> dict[str, Any]:
    """The generated schema of a document: config, process, resources, state or features."""
    loaded: dict[str, Any] = json.loads((SCHEMAS / f"{kind}.json").read_text())
    return loaded


def _errors(document: Any, kind: str) -> list[jsonschema.ValidationError]:
    """One error per place: what has the wrong type needs no second reason."""
    found: dict[tuple[Any, ...], jsonschema.ValidationError] = {}
    for error in jsonschema.Draft4Validator(schema(kind)).iter_errors(document):
        place = (*error.absolute_path, error.message if error.validator == "required" else None)
        if place not in found or error.validator == "type":
            found[place] = error
    return list(found.values())


def shown(value: Any) -> str:
    """A value of a document for a sentence, with its kind: 'the string "abc"'."""
    text = dumps(value)
    if len(text) > LONGEST_VALUE:
        text = text[: LONGEST_VALUE - 3] + "..."
    if isinstance(value, bool) or value is None:
        return text
    if isinstance(value, str):
        return f"the string {text}"
    if isinstance(value, int):
        return f"the integer {text}"
    if isinstance(value, float):
        return f"the number {text}"
    return "an object" if isinstance(value, dict) else "an array"


def _problem(error: jsonschema.ValidationError) -> Problem:
    code, explain = _EXPLAINED[str(error.validator)]
    what, hint, member = explain(error)
    origin = pointer_of((*error.absolute_path, *member))
    return Problem(code=code, origin=origin, what=what, hint=hint)


# What an explanation says: the sentence, a hint, and the member of the value that is at fault. The
# errors are Any because the stubs of jsonschema take every part of one for possibly unset.
if TYPE_CHECKING:
    Words = tuple[str, str, tuple[str, ...]]


def _type(error: Any) -> Words:
    return f"expected {_TYPES[str(error.validator_value)]}, found {shown(error.instance)}", "", ()


def _required(error: Any) -> Words:
    name = error.message.split("'")[1]
    return f'the required property "{name}" is missing', "", (name,)


def _range(error: Any) -> Words:
    low, high = error.schema.get("minimum"), error.schema.get("maximum")
    allowed = f"from {low} to {high}" if high is not None else f"of at least {low}"
    return f"expected an integer {allowed}, found {error.instance}", "", ()


def _choice(error: Any) -> Words:
    known = [value for value in error.validator_value if value]
    close = difflib.get_close_matches(str(error.instance), known, n=1, cutoff=0.8)
    hint = f'did you mean "{close[0]}"?' if close else ""
    return f"unknown value {dumps(error.instance)}, expected one of {', '.join(known)}", hint, ()


def _pattern(error: Any) -> Words:
    if "\0" in error.instance:
        return f"{shown(error.instance)} has a NUL in it", "", ()
    return f"expected {error.schema['title']}, found {shown(error.instance)}", "", ()


def _few(error: Any) -> Words:
    return f"expected at least {error.validator_value} item, found {len(error.instance)}", "", ()


def _name(error: Any) -> Words:
    wrong = next(name for name in error.instance if not name or "\0" in name)
    return f"{dumps(wrong)} cannot be a name here", "", ()


_EXPLAINED: dict[str, tuple[str, Callable[[Any], Words]]] = {
    "type": ("config-type", _type),
    "required": ("config-missing", _required),
    "minimum": ("config-range", _range),
    "maximum": ("config-range", _range),
    "enum": ("config-unknown-value", _choice),
    "pattern": ("config-format", _pattern),
    "minItems": ("config-empty", _few),
    "additionalProperties": ("config-name", _name),
}
