"""Lint and types are clean."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from tests.law.source import CHECKOUT, TREES


def run(*words: str) -> None:
    if importlib.util.find_spec(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    result = subprocess.run([sys.executable, "-m", *words, *TREES], cwd=CHECKOUT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_ruff() -> None:
    run("ruff", "check", "--quiet")


@pytest.mark.slow
def test_mypy() -> None:
    run("mypy", "--no-error-summary")
