"""Classes from JSON values and back, by the declaration.

Nothing is checked here beyond what is needed to build the objects: `core.spec.check` decides whether
a document is right.
"""

from __future__ import annotations

from typing import Any, TypeVar

import attrs

from ociruntime.model.reflect import Kind, ListOf, MapOf, ObjectOf, properties
from ociruntime.model.vocabulary import Part

P = TypeVar("P", bound=Part)


def from_json(cls: type[P], document: dict[str, Any]) -> P:
    """An object of `cls` from a JSON object that fits it; properties nobody knows go to `unknown`.

    Raises TypeError where a required property is missing.
    """
    declared = {item.name: item for item in properties(cls)}
    values: dict[str, Any] = {}
    unknown: dict[str, Any] = {}
    for name, value in document.items():
        if name in declared:
            values[declared[name].attribute] = _in(declared[name].kind, value)
        else:
            unknown[name] = value
    return cls(**values, unknown=unknown)


def to_json(part: Part) -> dict[str, Any]:
    """The JSON object of `part`: what is None is left out, the rest in the order of the declaration."""
    document = {
        item.name: _out(getattr(part, item.attribute))
        for item in properties(type(part))
        if getattr(part, item.attribute) is not None
    }
    return document | part.unknown


def _in(kind: Kind, value: Any) -> Any:
    if isinstance(kind, ObjectOf):
        return from_json(kind.cls, value)
    if isinstance(kind, ListOf):
        return [_in(kind.item, item) for item in value]
    if isinstance(kind, MapOf):
        return {name: _in(kind.item, item) for name, item in value.items()}
    return value


def _out(value: Any) -> Any:
    if attrs.has(type(value)):
        return to_json(value)
    if isinstance(value, list):
        return [_out(item) for item in value]
    if isinstance(value, dict):
        return {name: _out(item) for name, item in value.items()}
    return value
