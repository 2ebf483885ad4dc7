"""Failures say what the caller may have meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from ociruntime import cli
from ociruntime.core.errors import Failure, StateError
from ociruntime.core.options import Globals
from ociruntime.explain.refine import refine
from ociruntime.explain.riddles import WITHOUT_PRIVILEGE


def hint(failure: Failure, command: str = "", *operands: str, root: str = "/nonexistent") -> str:
    args = cli.Arguments()
    args.operands = [*operands]
    args.g = Globals(root=root)
    return refine(failure, command, args).hint


def refusal(command: str, *words: str) -> Failure:
    table = cli.command_named(command).OPTIONS if command else cli.GLOBALS
    with pytest.raises(cli.ParseError) as caught:
        cli.parse(table, [*words])
    return caught.value


def unknown(name: str) -> Failure:
    with pytest.raises(cli.UnknownCommand) as caught:
        cli.command_named(name)
    return caught.value


def test_misspelt_commands() -> None:
    assert hint(unknown("creat")) == "did you mean create?"
    assert hint(unknown("xyzzy")) == ""


def test_misspelt_options() -> None:
    assert hint(refusal("create", "--bundel", "x"), "create") == "did you mean --bundle?"
    assert hint(refusal("create", "-bundel=x"), "create") == "did you mean --bundle?"
    assert hint(refusal("", "--log-fromat"), "") == "did you mean --log-format?"
    assert hint(refusal("create", "--xyzzy"), "create") == ""


def test_misspelt_containers(tmp_path: Path) -> None:
    (tmp_path / "web-1").mkdir()
    missing = StateError("container does not exist", code="container-missing", hint="as before")
    assert hint(missing, "state", "web1", root=str(tmp_path)) == "did you mean web-1?"
    missing = StateError("container does not exist", code="container-missing", hint="as before")
    assert hint(missing, "state", "other", root=str(tmp_path)) == "as before"
    assert hint(missing, "state", "other") == "as before"


def test_privilege(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert hint(Failure("mount", errno=1)) == WITHOUT_PRIVILEGE
    assert hint(Failure("mount", errno=13, hint="better")) == "better"
    assert hint(Failure("mount", errno=2)) == ""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert hint(Failure("mount", errno=1)) == ""
