"""Clauses of the specification and the checks that judge them.

A clause is one sentence of the spec, in our words, with its RFC 2119 level and a link to where it stands. A check is
a function that takes a `Trial` and returns when the runtime keeps the clause. The two stand side by side in
``checks/``, one decorator for both; a clause nobody can observe from outside stands there too, with the reason.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import attrs

from conformance.saboteur import Sabotage
from conformance.trial import Trial

SPEC = "https://github.com/opencontainers/runtime-spec/blob/v1.3.0/"


class Level(enum.StrEnum):
    """How much the spec asks (RFC 2119)."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


MUST, SHOULD, MAY = Level.MUST, Level.SHOULD, Level.MAY


@attrs.frozen
class Clause:
    """One sentence of the spec. ``unobservable`` is why no check can exist, None when checks do."""

    id: str
    level: Level
    where: str
    text: str
    unobservable: str | None = None

    @property
    def link(self) -> str:
        """Where the sentence stands, at the tagged version."""
        return SPEC + self.where

    @property
    def document(self) -> str:
        """The file of the spec."""
        return self.where.partition("#")[0]


@attrs.frozen
class Check:
    """One way to see whether a clause is kept."""

    id: str
    clause: Clause
    body: Callable[[Trial], None]
    broken_by: tuple[Sabotage, ...] = ()
    slow: bool = False


@attrs.define
class Registry:
    """All clauses and checks, in the order they were declared."""

    clauses: dict[str, Clause] = attrs.Factory(dict)
    checks: dict[str, Check] = attrs.Factory(dict)

    def add(self, clause: Clause) -> Clause:
        """Keep a clause; the same id may come again only with the same words."""
        known = self.clauses.setdefault(clause.id, clause)
        if known != clause:
            raise ValueError(f"clause {clause.id} is declared twice, differently")
        return clause

    def checks_of(self, clause: Clause) -> list[Check]:
        """The checks of one clause."""
        return [check for check in self.checks.values() if check.clause is clause]

    def select(self, patterns: list[str]) -> Iterator[Check]:
        """Checks whose id starts with, or is, one of the patterns; all for none."""
        for check in self.checks.values():
            if not patterns or any(check.id == p or check.id.startswith(p) for p in patterns):
                yield check

    def coverage(self) -> dict[Level, tuple[int, int, int]]:
        """Per level: clauses with a check, clauses not observable, all clauses."""
        table: dict[Level, tuple[int, int, int]] = {}
        for level in Level:
            clauses = [one for one in self.clauses.values() if one.level is level]
            hidden = sum(one.unobservable is not None for one in clauses)
            table[level] = (len(clauses) - hidden, hidden, len(clauses))
        return table


REGISTRY = Registry()


def clause(
    id: str, level: Level, where: str, text: str, **how: Any
) -> Callable[[Callable[[Trial], None]], Callable[[Trial], None]]:
    """Declare a clause and judge it by the decorated function.

    ``broken_by``: a sabotage, or several, that this check has to catch. ``variant``: a name, for a further check of a
    clause declared before. ``slow``: left out of the fast subset.
    """
    known = REGISTRY.add(Clause(id, level, where, text))
    return also(known.id, **how)


def also(
    id: str, *, variant: str = "", broken_by: Sabotage | tuple[Sabotage, ...] = (), slow: bool = False
) -> Callable[[Callable[[Trial], None]], Callable[[Trial], None]]:
    """A further check of a declared clause."""

    def keep(body: Callable[[Trial], None]) -> Callable[[Trial], None]:
        name = f"{id}/{variant}" if variant else id
        if name in REGISTRY.checks:
            raise ValueError(f"check {name} is declared twice")
        acts = broken_by if isinstance(broken_by, tuple) else (broken_by,)
        REGISTRY.checks[name] = Check(name, REGISTRY.clauses[id], body, acts, slow)
        return body

    return keep


def each(
    id: str, level: Level, where: str, text: str, cases: Mapping[str, tuple[Any, Any]], *, slow: bool = False
) -> Callable[[Callable[[Trial, Any], None]], Callable[[Trial, Any], None]]:
    """Declare a clause and judge it once per case: ``cases`` maps a variant's name to a value and its sabotage."""
    known = REGISTRY.add(Clause(id, level, where, text))

    def keep(body: Callable[[Trial, Any], None]) -> Callable[[Trial, Any], None]:
        for name, (value, acts) in cases.items():
            also(known.id, variant=name, broken_by=acts, slow=slow)(partial(_with, body, value))
        return body

    return keep


def _with(body: Callable[[Trial, Any], None], value: Any, t: Trial) -> None:
    body(t, value)


def unobservable(id: str, level: Level, where: str, text: str, reason: str) -> None:
    """Declare a clause that no check from outside can judge, and say why."""
    REGISTRY.add(Clause(id, level, where, text, reason))


def load() -> Registry:
    """The registry with every check module imported."""
    from conformance import checks

    checks.load()
    return REGISTRY
