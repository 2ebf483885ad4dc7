"""The declaration as data: what each class and property says, for the generators and for convert."""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
import typing
from typing import Annotated, Any, Literal

import attrs

from ociruntime.model.vocabulary import NAME, TEXT, AtLeast, Format, Laxer, Part, Range, Tighter


@attrs.frozen
class Text:
    """A string in a format."""

    format: Format


@attrs.frozen
class Integer:
    """A number without a fraction."""

    low: int | None
    high: int | None


@attrs.frozen
class Boolean:
    """true or false."""


@attrs.frozen
class Choice:
    """One of some strings."""

    values: tuple[str, ...]


@attrs.frozen
class ListOf:
    """An array."""

    item: Kind
    least: int


@attrs.frozen
class MapOf:
    """An object whose names are free."""

    item: Kind
    name: Format


@attrs.frozen
class ObjectOf:
    """An object that one of our classes declares."""

    cls: type[Part]


@attrs.frozen
class AnyObject:
    """An object that nobody looks into."""


Kind = Text | Integer | Boolean | Choice | ListOf | MapOf | ObjectOf | AnyObject


@attrs.frozen
class Property:
    """One property of one class."""

    name: str  # in JSON
    attribute: str  # in Python
    kind: Kind
    required: bool
    doc: str
    departures: tuple[Tighter | Laxer, ...]


_ACRONYMS = {"cpu": "CPU", "id": "ID", "io": "IO", "iops": "IOPS", "oom": "OOM", "tcp": "TCP"}


def json_name(attribute: str) -> str:
    """The JSON name of an attribute: host_id is hostID, oom_score_adj is oomScoreAdj."""
    first, *rest = attribute.rstrip("_").split("_")
    return first + "".join(_ACRONYMS.get(word, word[:1].upper() + word[1:]) for word in rest)


_CACHE: dict[type[Part], tuple[Property, ...]] = {}


def properties(cls: type[Part]) -> tuple[Property, ...]:
    """The properties of a class in the order of their declaration; raises TypeError for what it cannot read."""
    if cls not in _CACHE:
        _CACHE[cls] = _properties(cls)
    return _CACHE[cls]


def _properties(cls: type[Part]) -> tuple[Property, ...]:
    hints = typing.get_type_hints(cls, include_extras=True)
    docs = _docs(cls)
    return tuple(
        Property(
            name=json_name(field.name),
            attribute=field.name,
            kind=_kind(hints[field.name], ()),
            required=field.default is attrs.NOTHING,
            doc=docs[field.name],
            departures=tuple(_departures(hints[field.name])),
        )
        for field in attrs.fields(cls)
        if field.name != "unknown"
    )


def classes(root: type[Part]) -> tuple[type[Part], ...]:
    """A class and all that it contains, contents first."""
    found: dict[type[Part], None] = {}

    def visit(cls: type[Part]) -> None:
        for item in properties(cls):
            kind = item.kind
            while isinstance(kind, (ListOf, MapOf)):
                kind = kind.item
            if isinstance(kind, ObjectOf):
                visit(kind.cls)
        found.setdefault(cls)

    visit(root)
    return tuple(found)


def _docs(cls: type[Part]) -> dict[str, str]:
    """The string below each annotated attribute."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(definition, ast.ClassDef)
    found: dict[str, str] = {}
    for statement, below in zip(definition.body, definition.body[1:], strict=False):
        match statement, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(doc))):
                found[name] = doc
    return found


def _departures(hint: Any) -> list[Tighter | Laxer]:
    found = [word for word in getattr(hint, "__metadata__", ()) if isinstance(word, (Tighter, Laxer))]
    for argument in typing.get_args(hint):
        found += _departures(argument)
    return found


def _kind(hint: Any, words: tuple[Any, ...]) -> Kind:
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin is Annotated:
        return _kind(arguments[0], hint.__metadata__ + words)
    if origin in (types.UnionType, typing.Union):
        (inner,) = [argument for argument in arguments if argument is not type(None)]
        return _kind(inner, words)
    if origin is Literal:
        return Choice(arguments)
    if origin is list:
        return ListOf(_kind(arguments[0], ()), next((word.count for word in words if isinstance(word, AtLeast)), 0))
    if origin is dict:
        return AnyObject() if arguments[1] is Any else MapOf(_kind(arguments[1], ()), NAME)
    return _plain(hint, words)


def _plain(hint: Any, words: tuple[Any, ...]) -> Kind:
    if hint is bool:
        return Boolean()
    if hint is str:
        return Text(next((word for word in words if isinstance(word, Format)), TEXT))
    if hint is int:
        bounds = next(word for word in words if isinstance(word, Range))
        return Integer(bounds.low, bounds.high)
    if isinstance(hint, type) and issubclass(hint, Part):
        return ObjectOf(hint)
    raise TypeError(f"no kind for {hint!r}")
