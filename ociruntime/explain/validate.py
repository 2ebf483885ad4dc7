"""Everything that is wrong with a bundle, and what deserves a warning, at once.

The hot tier stops at the first reason to refuse; here a person wants all of them: the schema, the
rules that no schema can say, what planning refuses, what this host cannot do, and risky choices.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ociruntime.core.errors import ConfigError, Failure
from ociruntime.core.jsonio import loads
from ociruntime.core.options import CreateOptions, Globals
from ociruntime.core.plan.build import build
from ociruntime.core.spec import table
from ociruntime.core.spec.check import conforms
from ociruntime.core.spec.load import read_document
from ociruntime.core.spec.rules import of_config
from ociruntime.explain.advice import ADVICE
from ociruntime.explain.config import misfits, problem_of
from ociruntime.explain.config_json import problem as json_problem
from ociruntime.explain.host import DOUBTFUL, IMPOSSIBLE, Site
from ociruntime.explain.problem import ERROR, WARNING, Problem
from ociruntime.explain.risks import RISKS

if TYPE_CHECKING:
    from ociruntime.core.plan.draft import Host
    from ociruntime.core.spec.finding import Finding


def validate(bundle: str, config: str = "", host: Host | None = None) -> list[Problem]:
    """All problems of a bundle, errors first, then in the order of its config.json; empty where there is none.

    `config` is another file than the bundle's config.json. `host` are the facts of the host that shall
    run it, from core.lifecycle.probe; without them only the document is looked at.
    """
    bundle = os.path.abspath(bundle)
    path = config or os.path.join(bundle, "config.json")
    try:
        data = read_document(path)
    except ConfigError as error:
        return [_of_failure(error)]
    try:
        document = loads(data, path)
    except ConfigError:
        return [json_problem(data)]
    found = [problem.located(data) for problem in _problems(document, bundle, host)]
    return sorted(found, key=lambda problem: (problem.severity != ERROR, problem.line, problem.column))


def _problems(document: Any, bundle: str, host: Host | None) -> Iterator[Problem]:
    if not conforms(document, table.SPEC):
        # Rules, plans and advice take a document of the right shape for granted.
        yield from misfits(document, "config")
        return
    broken = [problem_of(item) for item in of_config(document)]
    yield from broken
    yield from _found("risk", RISKS, document, WARNING)
    yield from _found("advice", ADVICE, document, WARNING)
    if host is not None:
        yield from _on_this_host(Site(spec=document, bundle=bundle, host=host), broken)


def _on_this_host(site: Site, broken: list[Problem]) -> Iterator[Problem]:
    impossible = list(_found("host", IMPOSSIBLE, site, ERROR))
    yield from impossible
    yield from _found("host", DOUBTFUL, site, WARNING)
    if not broken:
        known = {problem.origin for problem in impossible}
        yield from [problem for problem in _plan(site) if problem.origin not in known]


def _plan(site: Site) -> Iterator[Problem]:
    """What planning refuses; it changes nothing."""
    # A socket for the terminal is given at create, a state directory is not needed for a plan.
    options = CreateOptions(bundle=site.bundle, console_socket="/run/console")
    try:
        build(site.spec, "validate", options, Globals(root="/run/ociruntime"), site.host)
    except Failure as failure:
        yield _of_failure(failure)


def _of_failure(failure: Failure) -> Problem:
    what = failure.what + (f": {os.strerror(failure.errno).lower()}" if failure.errno else "")
    return Problem(code=failure.code, origin=failure.origin, what=what, hint=failure.hint)


def _found(
    kind: str, checks: Iterable[Callable[[Any], Iterator[Finding]]], subject: Any, severity: str
) -> Iterator[Problem]:
    for check in checks:
        code = f"{kind}-{check.__name__.replace('_', '-')}"
        for origin, what, hint in check(subject):
            yield Problem(code=code, origin=origin, what=what, hint=hint, severity=severity)
