"""The front door: one line, one record and the right status, whatever happens behind it."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ociruntime.__main__ import run
from ociruntime.cli import Arguments
from ociruntime.core import log
from ociruntime.core.errors import ConfigError


@pytest.fixture(autouse=True)
def _fresh_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ociruntime.__main__.LOG", log.Log())


def replace(monkeypatch: pytest.MonkeyPatch, name: str, outcome: Exception | int) -> list[Arguments]:
    """Put a command in the place of a real one, which returns or raises the outcome."""
    calls: list[Arguments] = []

    def stand_in(args: Arguments) -> int:
        calls.append(args)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    module: Any = ModuleType(f"ociruntime.commands.{name}")
    module.OPTIONS, module.OPERANDS, module.run = (), (0, -1), stand_in
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return calls


@pytest.mark.parametrize("status", [0, 3, 143])
def test_the_status_of_a_command_is_ours(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (calls, words) = replace(monkeypatch, "run", status), ["--root", "/x", "run", "a", "b"]
    assert run(words) == status
    assert (calls[0].operands, calls[0].g.root) == (["a", "b"], "/x")


@pytest.mark.parametrize(
    ("outcome", "line", "code"),
    [
        (ConfigError("no", code="config-type", origin="/x"), "no (config property /x)", "config-type"),
        (OSError(errno.ENOENT, "x", "/some/file"), "/some/file: no such file or directory", "system"),
        (OSError(errno.EPERM, "x"), "system call: operation not permitted", "system"),
        (ValueError("surprise\nnext"), "internal error: ValueError: surprise next; this is a mistake", "internal"),
        (RecursionError("deep"), "internal error: RecursionError: deep", "internal"),
        (MemoryError(), "internal error: MemoryError", "internal"),
    ],
)
@pytest.mark.parametrize(("name", "status"), [("state", 1), ("run", 1), ("exec", 255)])
def test_one_line_and_one_record(  # noqa: PLR0917 - the columns of a table
    name: str,
    status: int,
    outcome: Exception,
    line: str,
    code: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    replace(monkeypatch, name, outcome)
    assert run(["--log", str(tmp_path / "log"), "--log-format=json", name, "x"]) == status
    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(line) and shown.err.count("\n") == 1
    record = json.loads((tmp_path / "log").read_text())
    assert (record["level"], record["code"], record["msg"] + "\n") == ("error", code, shown.err)


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        ("--root / --log LOG --log-format json list", 1, "root-directory"),
        ("--log LOG --log-format json --root= list", 1, "root-directory"),
        ("-nonsense -log=LOG -log-format=json list", 1, "usage"),
        ("--rootless maybe --log LOG --log-format json list", 1, "option-value"),
        ("--debug=maybe --log file:LOG --log-format json list", 1, "usage"),
        ("--log LOG --log-format json --criu", 1, "usage"),
        ("--log LOG --log-format json help nonsense", 3, "unknown-command"),
        ("--log LOG --log-format json nonsense", 3, "unknown-command"),
        ("--log LOG --log-format json list --nonsense", 1, "usage"),
    ],
)
def test_wrong_options_are_recorded(
    words: str, status: int, code: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """An engine has nothing but the log to show: wherever in the line the log is named."""
    assert run(words.replace("LOG", str(tmp_path / "log")).split()) == status
    record = json.loads((tmp_path / "log").read_text())
    assert (record["level"], record["code"]) == ("error", code)
    assert capfd.readouterr().err == record["msg"] + "\n"


def test_a_wrong_format_is_recorded_as_text(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["--log-format", "yaml", "--log", str(tmp_path / "log"), "list"]) == 1
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert line.startswith('time="') and ' level=error msg="invalid value' in line
    assert capfd.readouterr().err.count("\n") == 1


def test_a_log_that_cannot_be_is_the_lesser_failure(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--log", "/nonexistent/log", "--root", "/", "list"]) == 1
    assert capfd.readouterr().err.startswith("option --root must not be")


def test_debug_shows_where(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    replace(monkeypatch, "state", ValueError("surprise"))
    assert run(["--debug", "state", "x"]) == 1
    assert "Traceback" in capfd.readouterr().err


def test_an_explanation_that_breaks_does_not_break_the_report(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    replace(monkeypatch, "state", ConfigError("the verdict"))
    monkeypatch.setattr("ociruntime.explain.refine.refine", None)
    assert run(["state", "x"]) == 1
    assert capfd.readouterr().err == "the verdict\n"


def test_a_closed_stderr_is_no_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ociruntime", "--root", str(tmp_path), "state", "x"]
    result = subprocess.run(["sh", "-c", 'exec "$@" 2>&-', "sh", *command], capture_output=True)
    assert (result.returncode, result.stdout) == (1, b"")


def test_interrupts_end_it_at_once() -> None:
    """Python would raise KeyboardInterrupt at any point of a create."""
    script = (
        "import os, signal, sys\n"
        "import ociruntime.__main__ as door\n"
        "door.run = lambda words: os.kill(os.getpid(), signal.SIGINT)\n"
        "door.main(sys.argv)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], stderr=subprocess.DEVNULL).returncode == -2
