"""The shape of the code: nothing over a screen, no rag-bag of a module, files generated anew each time."""

from __future__ import annotations

import ast

import pytest

from ociruntime.docsgen.__main__ import files as generated_files
from tests.law.source import CHECKOUT, HOT, TREES, files, lines, tree

FUNCTION_LINES = 60
HOT_LINES = 400
OTHER_LINES = 600
RAG_BAGS = {"util", "utils", "helper", "helpers", "common", "misc", "tools", "lib"}
# Generated, so nobody reads them from top to bottom.
GENERATED = {"ociruntime/core/spec/types.py", "ociruntime/core/spec/table.py"}


def long_functions(name: str, module: ast.Module) -> list[str]:
    functions = [node for node in ast.walk(module) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    spans = [(node, (node.end_lineno or node.lineno) - node.lineno + 1) for node in functions]
    return [f"{name}:{node.lineno} {node.name}: {span} lines" for node, span in spans if span > FUNCTION_LINES]


@pytest.mark.parametrize("tree_name", TREES)
def test_functions_fit_a_screen(tree_name: str) -> None:
    assert not [found for name in files(tree_name) for found in long_functions(name, tree(name))]


def test_a_long_function_would_be_found() -> None:
    module = ast.parse("def long():\n" + "    x = 1\n" * FUNCTION_LINES)
    assert long_functions("x.py", module) == [f"x.py:1 long: {FUNCTION_LINES + 1} lines"]


@pytest.mark.parametrize("tree_name", TREES)
def test_files_need_no_map(tree_name: str) -> None:
    sizes = {name: lines(name) for name in files(tree_name) if name not in GENERATED}
    limits = {name: HOT_LINES if name.startswith(HOT) else OTHER_LINES for name in sizes}
    assert not {name: size for name, size in sizes.items() if size > limits[name]}


def test_no_module_is_a_rag_bag() -> None:
    names = [name for found in TREES for name in files(found)]
    assert not [name for name in names if RAG_BAGS & set(name.removesuffix(".py").split("/"))]


def test_every_module_says_what_it_is() -> None:
    silent = [name for name in files("ociruntime", "bundles", "conformance") if not ast.get_docstring(tree(name))]
    assert not silent


def test_manual_pages_and_completions_are_current() -> None:
    """Otherwise: python -m ociruntime.docsgen"""
    expected = generated_files()
    for name, text in expected.items():
        assert (CHECKOUT / name).read_text(encoding="utf-8") == text, f"{name} is not what the tables say"
    present = [path for tree_name in ("docs/man", "docs/completions") for path in (CHECKOUT / tree_name).iterdir()]
    assert {str(path.relative_to(CHECKOUT)) for path in present} == set(expected) - {"docs/errors.md"}
