"""Every code that the package can raise has a page, and every page a code that is raised."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from ociruntime.explain.codes import DERIVED, Page, pages
from tests.law.source import files, tree

# Codes that are put together, as the source writes them, and what they become.
COMPOSED = {
    "f'{kind}-socket'": {"console-socket", "pidfd-socket"},
}
# Where a code comes by another way: as the first of a tuple, by a rule's name.
TABLES = {"ociruntime/explain/config.py": "_EXPLAINED"}


def spoken() -> dict[str, str]:
    """Codes in the source, with one place of each."""
    found = {}
    for name in files("ociruntime"):
        for code, line in _codes(name, tree(name)):
            found[code] = f"{name}:{line}"
    return found


def _codes(name: str, module: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(module):
        for value in _values(node):
            if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value:
                yield value.value, value.lineno
            elif isinstance(value, ast.JoinedStr):
                for code in COMPOSED.get(ast.unparse(value), ()):
                    yield code, value.lineno
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == TABLES.get(name):
            assert isinstance(node.value, ast.Dict)
            yield from [(ast.literal_eval(entry.elts[0]), entry.lineno) for entry in node.value.values]  # type: ignore[attr-defined]


def _values(node: ast.AST) -> Iterator[ast.expr]:
    """Expressions that become a code: code=..., default_code = ..., and the default of a parameter."""
    given = isinstance(node, ast.keyword) and node.arg == "code"
    if given or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("code", "default_code")):
        assert isinstance(node, (ast.keyword, ast.Assign))
        yield from _branches(node.value)
    elif isinstance(node, ast.FunctionDef):
        for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
            if argument.arg == "code" and default is not None:
                yield default


def _branches(value: ast.expr) -> list[ast.expr]:
    return [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]


def test_every_code_has_a_page() -> None:
    """Otherwise: add it to ociruntime/explain/pages, and run python -m ociruntime.docsgen"""
    known = pages()
    assert not [f"{code} ({place})" for code, place in spoken().items() if code not in known]


def test_every_page_has_a_code() -> None:
    derived = tuple(f"{prefix}-" for prefix, *_ in DERIVED)
    said = spoken()
    written = [page.code for page in pages().values() if not (page.group in GROUPS and page.code.startswith(derived))]
    assert not [code for code in written if code not in said]


GROUPS = {title for _, title, *_ in DERIVED}


def test_the_walk_sees_codes() -> None:
    """The laws above would pass on an empty list."""
    found = spoken()
    assert len(found) > 140
    assert {"config-type", "config-json", "config-duplicate-key", "program-denied", "hook", "pidfd-socket"} <= {*found}


@pytest.mark.parametrize("page", pages().values(), ids=lambda page: page.code)
def test_a_page_says_something(page: Page) -> None:
    assert page.meaning.endswith(".") and page.meaning[0] != " "
    assert page.do, "what to do"
    if page.group not in GROUPS:
        assert page.why.endswith(".")
        assert page.example or page.code in ("step", "state", "host", "hook", "program", "failure", "config-invalid")
