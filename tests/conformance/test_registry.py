"""The registry is what the documentation says it is: every clause judged or excused, in words and with a link."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from conformance.expected import HERE, UNSTEADY
from conformance.judge import Status
from conformance.registry import Level, Registry, load

ANCHOR = re.compile(r"^[a-z-]+\.md(#[a-z0-9-]+)?$")


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load()


def test_every_clause_is_judged_or_excused(registry: Registry) -> None:
    for clause in registry.clauses.values():
        checks = registry.checks_of(clause)
        assert bool(checks) != bool(clause.unobservable), clause.id


def test_every_clause_has_words_and_a_place(registry: Registry) -> None:
    for clause in registry.clauses.values():
        assert ANCHOR.match(clause.where), clause.where
        assert len(clause.text) > 10, clause.id
        assert clause.level in Level


def test_the_figure_of_coverage_does_not_shrink(registry: Registry) -> None:
    seen, hidden, count = (sum(row[i] for row in registry.coverage().values()) for i in range(3))
    assert seen + hidden == count
    assert seen / count >= 0.88


def test_a_must_clause_without_check_has_a_reason_longer_than_a_word(registry: Registry) -> None:
    for clause in registry.clauses.values():
        if clause.unobservable is not None:
            assert len(clause.unobservable.split()) > 2, clause.id


@pytest.mark.parametrize("path", sorted(HERE.glob("*.json")), ids=lambda path: path.stem)
def test_every_recorded_departure_is_of_a_check_and_has_a_reason(path: Path, registry: Registry) -> None:
    document = json.loads(path.read_text())
    assert document["version"]
    for check, entry in document["departures"].items():
        assert check in registry.checks, f"{check} is recorded but no such check exists"
        assert entry["status"] in {*Status, UNSTEADY}
        assert len(entry["reason"].split()) > 2, f"{check} has no reason"


def test_the_page_of_the_documentation_names_the_figure(registry: Registry) -> None:
    seen, count = (sum(row[i] for row in registry.coverage().values()) for i in (0, 2))
    page = (HERE.parent.parent / "docs" / "conformance.md").read_text()
    assert f"{seen} of {count} clauses" in page
    assert f"{len(registry.checks)} checks" in page
