"""Three verdicts on a document agree: our schema, the hot tier's table, and the official schema.

The documents are the examples of the specification, and for each property the smallest document that
has it with everything in WRONG in its place. Our two verdicts must be equal; from the official one
they may depart only where the declaration says so and why (Tighter, Laxer). Two things are not in the
declaration: a NUL, which no schema of the specification mentions, is refused everywhere, and so is a
line feed after the end of a pattern, which Python's `$` lets pass and ECMAScript's does not.

There are some ten thousand documents; every third is tried, all of them with SPEC_THOROUGH=1.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import referencing
from referencing.jsonschema import DRAFT4

from ociruntime.core.errors import ConfigError
from ociruntime.core.jsonio import loads
from ociruntime.core.spec import table
from ociruntime.core.spec.check import conforms
from ociruntime.explain.config import schema
from ociruntime.model import Features, Process, Resources, Spec, State, from_json, to_json
from ociruntime.model.vocabulary import Laxer, Part, Tighter
from tests.unit.spec.samples import WRONG, departures, documents, removed, replaced

CHECKOUT = Path(__file__).parents[3]
OFFICIAL = Path(os.environ.get("OCI_SCHEMA") or CHECKOUT.parent / "shared" / "oci-schema")
THOROUGH = bool(os.environ.get("SPEC_THOROUGH"))
needs_official = pytest.mark.skipif(
    not (OFFICIAL / "config-schema.json").exists(),
    reason=f"no official schema in {OFFICIAL}; OCI_SCHEMA names its place",
)

ROOTS: dict[str, type[Part]] = {
    "config": Spec,
    "process": Process,
    "resources": Resources,
    "state": State,
    "features": Features,
}
TABLES = {"config": table.SPEC, "process": table.PROCESS, "resources": table.RESOURCES}


def ours(kind: str) -> Any:
    return jsonschema.Draft4Validator(schema(kind))


def official(kind: str) -> Any:
    registry: referencing.Registry[Any] = referencing.Registry().with_resources(
        (path.name, DRAFT4.create_resource(json.loads(path.read_text()))) for path in OFFICIAL.glob("*.json")
    )
    return jsonschema.Draft4Validator({"$ref": f"{kind}-schema.json"}, registry=registry)


def variants(root: type[Part]) -> Iterator[Any]:
    """Documents that have one property each, right and wrong in many ways."""
    return itertools.islice(all_variants(root), None, None, 1 if THOROUGH else 3)


def all_variants(root: type[Part]) -> Iterator[Any]:
    for document, path in documents(root):
        yield document
        yield removed(document, path)
        for value in WRONG:
            yield replaced(document, path, value)
        yield replaced(document, (*path[:-1], "unheard-of"), 5) if isinstance(path[-1], str) else document


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for name, value in items:
        yield from places(value, (*path, name))


def mutations(document: Any, count: int, seed: int) -> Iterator[Any]:
    """Copies of a document in which one or two things are wrong."""
    rng = random.Random(seed)
    for _ in range(count):
        changed = copy.deepcopy(document)
        for _ in range(rng.choice((1, 1, 2))):
            path = rng.choice(list(places(changed)))
            changed = removed(changed, path) if rng.random() < 0.2 else replaced(changed, path, rng.choice(WRONG))
            if not list(places(changed)):
                break
        yield changed


@pytest.mark.parametrize("kind", TABLES)
def test_schema_and_table_agree(kind: str) -> None:
    validator, count, refused = ours(kind), 0, 0
    for document in variants(ROOTS[kind]):
        valid = validator.is_valid(document)
        assert conforms(document, TABLES[kind]) == valid, json.dumps(document)
        count, refused = count + 1, refused + (not valid)
    assert count > 50 and count / 2 < refused < count


def explained(document: Any, kind: str, check: Callable[[Any], Any], official_check: Callable[[Any], Any]) -> None:
    """Fail unless the verdicts on a document agree, or the declaration says why they do not."""
    errors, theirs = list(check(document)), list(official_check(document))
    if bool(errors) == bool(theirs):
        return
    for error in errors or theirs:
        path = tuple(error.absolute_path)
        if error.validator == "required":
            path += (error.message.split("'")[1],)
        if errors and error.validator == "pattern" and ("\0" in error.instance or error.instance.endswith("\n")):
            continue
        wanted = Tighter if errors else Laxer
        reasons = [reason for reason in departures(ROOTS[kind], path) if isinstance(reason, wanted)]
        assert reasons, (f"{'ours' if errors else 'theirs'} alone refuses", path, error.message, json.dumps(document))


@needs_official
@pytest.mark.parametrize("kind", ["config", "state", "features"])
def test_our_schema_departs_from_the_official_one_only_as_declared(kind: str) -> None:
    check, official_check = ours(kind).iter_errors, official(kind).iter_errors
    for document in variants(ROOTS[kind]):
        explained(document, kind, check, official_check)


EXAMPLES = sorted((OFFICIAL / "examples").glob("*/*/*.json")) if OFFICIAL.exists() else []


@needs_official
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: "-".join(path.parts[-3:]))
def test_the_official_examples(path: Path) -> None:
    kind, verdict = path.parts[-3:-1]
    try:
        document: Any = loads(path.read_bytes(), path.name)
    except ConfigError:
        assert path.name == "invalid-json.json"
        return
    foreign = verdict == "bad" and path.name.startswith(("freebsd", "zos", "windows", "solaris"))
    assert ours(kind).is_valid(document) == (verdict == "good" or foreign)
    assert official(kind).is_valid(document) == (verdict == "good")
    if kind in TABLES:
        assert conforms(document, TABLES[kind]) == (verdict == "good" or foreign)
    if verdict == "good":
        assert to_json(from_json(ROOTS[kind], document)) == document


@needs_official
@pytest.mark.parametrize("path", [path for path in EXAMPLES if path.parent.name == "good"], ids=lambda path: path.name)
def test_broken_examples(path: Path) -> None:
    kind = path.parts[-3]
    check, official_check = ours(kind).iter_errors, official(kind).iter_errors
    document = json.loads(path.read_text())
    for changed in mutations(document, 3000 if THOROUGH else 300, seed=1):
        explained(changed, kind, check, official_check)
        if kind in TABLES:
            assert conforms(changed, TABLES[kind]) == (not list(check(changed))), json.dumps(changed)
