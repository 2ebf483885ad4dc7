"""The source of the project as trees, for the laws to walk."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).resolve().parents[2]
TREES = ("ociruntime", "bundles", "conformance", "tests")
HOT = (
    "ociruntime/core/",
    "ociruntime/commands/",
    "ociruntime/cli.py",
    "ociruntime/__main__.py",
    "ociruntime/__init__.py",
)


class Import(NamedTuple):
    """One import statement's target."""

    file: str
    line: int
    target: str  # the module, as dotted as it can be told
    lazy: bool  # inside a function


def files(*trees: str) -> list[str]:
    """The Python files below these trees, relative to the checkout."""
    found = [path for tree in trees for path in (CHECKOUT / tree).rglob("*.py")]
    return sorted(str(path.relative_to(CHECKOUT)) for path in found if "__pycache__" not in path.parts)


def hot_files() -> list[str]:
    return [name for name in files("ociruntime") if name.startswith(HOT)]


@cache
def tree(name: str) -> ast.Module:
    return ast.parse((CHECKOUT / name).read_text(encoding="utf-8"), name)


def lines(name: str) -> int:
    return len((CHECKOUT / name).read_text(encoding="utf-8").splitlines())


def imports(name: str) -> list[Import]:
    """What a file imports when it runs: not what is below `if TYPE_CHECKING`."""
    return list(_imports(name, tree(name), lazy=False))


def _imports(name: str, node: ast.AST, *, lazy: bool) -> Iterator[Import]:
    for child in _running(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(name, child.lineno, alias.name, lazy)
        elif isinstance(child, ast.ImportFrom):
            for alias in child.names:
                yield Import(name, child.lineno, _target(child.module or "", alias.name), lazy)
        else:
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from _imports(name, child, lazy=lazy or inside)


def _running(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            yield from child.orelse
        else:
            yield child


def _target(module: str, name: str) -> str:
    """`from a.b import c` imports the module a.b.c where there is one, else a.b."""
    path = CHECKOUT / module.replace(".", "/") / name
    return f"{module}.{name}" if path.is_dir() or path.with_suffix(".py").is_file() else module
