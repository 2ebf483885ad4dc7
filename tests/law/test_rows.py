"""Every row of the contract has tests that exist (tests/rows.py)."""

from __future__ import annotations

import ast
from functools import cache

import pytest

from tests.law.source import CHECKOUT
from tests.rows import ROWS

SECTIONS = "1.1 1.2 1.4 1.5 1.6 1.7 1.8 1.9 1.10 1.11 1.12 5.1 5.2 5.3 5.4 5.5 5.6 5.7 5.8 5.9 5.10 5.11".split()


@cache
def functions(file: str) -> frozenset[str]:
    directory, _, name = file.rpartition("/")
    path = CHECKOUT / "tests" / directory / f"test_{name}.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


@pytest.mark.parametrize("row", ROWS)
def test_every_row_has_tests_that_exist(row: str) -> None:
    assert ROWS[row]
    missing = [test for test in ROWS[row] if test.partition("::")[2] not in functions(test.partition("::")[0])]
    assert not missing


def test_every_section_has_rows() -> None:
    assert {row.partition(" ")[0] for row in ROWS} == set(SECTIONS)
