"""Sentences are safe to print, whatever they quote."""

from __future__ import annotations

from ociruntime.core.errors import ConfigError, one_line
from ociruntime.explain.problem import Problem


def test_control_characters_are_escaped() -> None:
    assert one_line("a\nb\x1b[2Jc\x9d\u202eé") == "a b\\x1b[2Jc\\x9d\\u202eé"
    error = ConfigError("cannot mount \x1b]0;title\x07", origin="/mounts/\r")
    assert error.line() == "cannot mount \\x1b]0;title\\x07 (config property /mounts/\\r)"


def test_a_problem_as_a_failure() -> None:
    problem = Problem(code="config-type", origin="/a", what="expected\na string", hint="see")
    located = problem.located(b'{\n "a": 5}')
    assert (located.line, located.column) == (2, 7)
    failure = located.failure("config.json")
    assert (failure.code, failure.origin) == ("config-type", "/a")
    assert failure.line() == "config.json: line 2, column 7: expected a string (config property /a); see"
