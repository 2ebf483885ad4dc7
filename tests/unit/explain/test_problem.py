"""Sentences are safe to print, whatever they quote."""

from __future__ import annotations

from pathlib import Path

from ociruntime import cli
from ociruntime.commands import create, explain
from ociruntime.core.errors import ConfigError, one_line
from ociruntime.explain.problem import Problem
from ociruntime.explain.refine import refine


def test_control_characters_are_escaped() -> None:
    assert one_line("a\nb\x1b[2Jc\x9d\u202eé") == "a b\\x1b[2Jc\\x9d\\u202eé"
    error = ConfigError("cannot mount \x1b]0;title\x07", origin="/mounts/\r")
    assert error.line() == "cannot mount \\x1b]0;title\\x07 (config property /mounts/\\r)"


def test_a_problem_as_a_failure() -> None:
    problem = Problem(code="config-type", origin="/a", what="expected\na string", hint="see")
    located = problem.located(b'{\n "a": 5}')
    assert (located.line, located.column) == (2, 7)
    failure = located.failure("config.json")
    assert (failure.code, failure.origin, failure.place) == ("config-type", "/a", (2, 7))
    assert failure.line() == "config.json: expected a string (config property /a, line 2, column 7); see"


def test_a_failure_of_planning_gets_its_place(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{\n "linux": {\n  "cgroupsPath": "/.."}}')
    args = cli.parse(create.OPTIONS, ["--bundle", str(tmp_path), "name"])
    failure = refine(ConfigError("no", origin="/linux/cgroupsPath"), "create", args)
    assert failure.line() == "no (config property /linux/cgroupsPath, line 3, column 18)"
    args = cli.parse(explain.OPTIONS, [str(tmp_path)])
    assert refine(ConfigError("no", origin="/linux"), "explain", args).place == (2, 11)
    assert refine(ConfigError("no", origin="/linux"), "exec", args).place == (0, 0)
    (tmp_path / "config.json").unlink()
    assert refine(ConfigError("no", origin="/linux"), "explain", args).place == (0, 0)
