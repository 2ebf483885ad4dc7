"""Command lines that fail or print, given to runc and to ociruntime: same exit status, same words that clients match.

runc is the reference for what callers rely on; where this runtime departs on purpose, the case says why.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pytest

RUNC = shutil.which("runc")
OCIRUNTIME = str(Path(sys.executable).parent / "ociruntime")

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(RUNC is None, reason="this machine has no runc to compare with"),
    pytest.mark.skipif(
        not os.access(OCIRUNTIME, os.X_OK), reason="no ociruntime beside the interpreter; make builds it"
    ),
]


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


def call(runtime: str, *words: str, root: Path, cwd: Path | None = None) -> Outcome:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    command = [runtime, "--root", str(root), *words]
    result = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=60)
    return Outcome(result.returncode, result.stdout, result.stderr)


def both(words: str, tmp_path: Path) -> tuple[Outcome, Outcome]:
    """The same words for both, each with an empty state directory and current directory of its own."""
    outcomes = []
    for runtime in (RUNC, OCIRUNTIME):
        assert runtime
        directory = tmp_path / Path(runtime).name
        for part in ("root", "cwd"):
            (directory / part).mkdir(parents=True)
        outcomes.append(call(runtime, *words.split(), root=directory / "root", cwd=directory / "cwd"))
    return outcomes[0], outcomes[1]


COMMANDS = "create delete events exec kill list pause ps resume run spec start state update features".split()

# what is typed; the words (in lower case) that are in both answers, on whichever stream
FAILURES = [
    ("state nope", "container does not exist"),
    ("start nope", "container does not exist"),
    ("kill nope", "container does not exist"),
    ("kill nope KILL", "container does not exist"),
    ("kill nope 9", "container does not exist"),
    ("kill --all nope 9", "container does not exist"),
    ("kill -a nope 9", "container does not exist"),
    ("delete nope", "container does not exist"),
    ("pause nope", "container does not exist"),
    ("resume nope", "container does not exist"),
    ("ps nope", "container does not exist"),
    ("ps --format json nope", "container does not exist"),
    ("update nope", "container does not exist"),
    ("update --memory 1g nope", "container does not exist"),
    ("events nope", "container does not exist"),
    ("events --stats nope", "container does not exist"),
    ("exec nope true", "container does not exist"),
    ("exec --tty nope true", "container does not exist"),
    ("state a/b", "invalid container id format"),
    ("state ..", "invalid container id format"),
    ("kill a:b 9", "invalid container id format"),
    ("state", "requires exactly 1 argument"),
    ("state a b", "requires exactly 1 argument"),
    ("create", "requires exactly 1 argument"),
    ("run a b", "requires exactly 1 argument"),
    ("start", "requires exactly 1 argument"),
    ("delete", "requires exactly 1 argument"),
    ("pause", "requires exactly 1 argument"),
    ("resume", "requires exactly 1 argument"),
    ("update", "requires exactly 1 argument"),
    ("events", "requires exactly 1 argument"),
    ("list x", "requires exactly 0 argument"),
    ("spec x", "requires exactly 0 argument"),
    ("features x", "requires exactly 0 argument"),
    ("kill", "requires a minimum of 1 argument"),
    ("kill a TERM c", "requires a maximum of 2 argument"),
    ("exec", "requires a minimum of 1 argument"),
    ("ps", "requires a minimum of 1 argument"),
    ("state --nonsense x", "flag provided but not defined: -"),
    ("create --nonsense x", "incorrect usage"),
    ("--nonsense list", "flag provided but not defined: -"),
    ("create --bundle", "flag needs an argument: -"),
    ("--log", "flag needs an argument: -"),
    ("run --preserve-fds=abc x", 'invalid value "abc" for flag -'),
    ("list --format yaml", "invalid"),
    ("--log-format yaml list", "invalid"),
    ("create -b /nonexistent x", "no such file or directory"),
    ("create x", "config.json"),
    ("run x", "config.json"),
    ("--log /nonexistent/log list", "no such file or directory"),
    ("nonsense", "nonsense"),
    ("help nonsense", "nonsense"),
    ("version", "version"),
]


@pytest.mark.parametrize(("words", "sentence"), FAILURES, ids=[words for words, _ in FAILURES])
def test_fails_as_runc_does(words: str, sentence: str, tmp_path: Path) -> None:
    reference, ours = both(words, tmp_path)
    assert reference.status != 0
    assert ours.status == reference.status
    for outcome in (reference, ours):
        assert sentence in (outcome.out + outcome.err).lower()
    assert len(ours.err.splitlines()) == 1 and "Traceback" not in ours.err
    # Help goes to stdout where runc puts it there, and nothing else does.
    assert bool(ours.out) == bool(reference.out)


SUCCESSES = [
    "",
    "--help",
    "-h",
    "-help",
    "help",
    "h",
    "--version",
    "-v",
    "list",
    "list -q",
    "list --quiet",
    "list -f json",
    "list --format=json",
    "-debug=false list",
    "--rootless=true list",
    "--rootless auto list",
    "--log-format json list",
    "--systemd-cgroup --systemd-cgroup list",
    "-- list",
    "delete --force nope",
    "delete nope --force",
    "delete -f nope",
    "spec",
    "spec --rootless",
    "spec -b .",
    "features",
    *(f"{name} --help" for name in COMMANDS),
    *(f"help {name}" for name in COMMANDS),
    "state x --help",
    "exec -h",
]


@pytest.mark.parametrize("words", SUCCESSES)
def test_succeeds_as_runc_does(words: str, tmp_path: Path) -> None:
    reference, ours = both(words, tmp_path)
    assert (reference.status, ours.status) == (0, 0)
    assert ours.err == ""
    assert bool(ours.out) == bool(reference.out)


@pytest.mark.parametrize("words", ["list", "list -q", "list -f json"])
def test_empty_lists_are_equal_to_the_byte(words: str, tmp_path: Path) -> None:
    reference, ours = both(words, tmp_path)
    assert ours.out == reference.out


@pytest.mark.parametrize("words", ["spec", "spec --rootless", "spec --bundle ."])
def test_spec_is_runcs_apart_from_the_version(words: str, tmp_path: Path) -> None:
    both(words, tmp_path)
    texts = [(tmp_path / name / "cwd/config.json").read_text() for name in ("runc", "ociruntime")]
    version = json.loads(texts[0])["ociVersion"]
    assert texts[1] == texts[0].replace(f'"{version}"', '"1.3.0"', 1)


def test_spec_with_another_name(tmp_path: Path) -> None:
    """crun's --file."""
    (tmp_path / "bundle").mkdir()
    words = ("spec", "--bundle", "bundle", "--file", "other.json")
    assert call(OCIRUNTIME, *words, root=tmp_path / "root", cwd=tmp_path).status == 0
    assert [path.name for path in (tmp_path / "bundle").iterdir()] == ["other.json"]
    assert json.loads((tmp_path / "bundle/other.json").read_text())["ociVersion"] == "1.3.0"


def test_spec_does_not_overwrite(tmp_path: Path) -> None:
    for runtime in (RUNC, OCIRUNTIME):
        assert runtime
        (tmp_path / "config.json").write_text("mine")
        outcome = call(runtime, "spec", root=tmp_path / "root", cwd=tmp_path)
        assert outcome.status == 1
        assert "config.json exists" in outcome.err
        assert (tmp_path / "config.json").read_text() == "mine"


def test_a_missing_root_that_was_named_is_an_error_of_list(tmp_path: Path) -> None:
    """As runc 1.5; 1.1.5 prints an empty list, which hides a misspelt directory."""
    outcome = call(OCIRUNTIME, "list", root=tmp_path / "missing")
    assert outcome.status == 1
    assert "no such file or directory" in outcome.err


def test_the_root_directory_is_refused_as_root() -> None:
    """As runc 1.5; 1.1.5 takes every directory of the host for a container."""
    outcome = call(OCIRUNTIME, "list", root=Path("/"))
    assert outcome.status == 1
    assert "--root" in outcome.err


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_one_record_in_the_log_for_one_failure(log_format: str, tmp_path: Path) -> None:
    records = []
    for runtime in (RUNC, OCIRUNTIME):
        assert runtime
        log = tmp_path / f"{Path(runtime).name}.log"
        root = tmp_path / Path(runtime).name
        root.mkdir()
        outcome = call(runtime, "--log", str(log), "--log-format", log_format, "state", "nope", root=root)
        assert outcome.status == 1
        assert "container does not exist" in outcome.err and "level=" not in outcome.err
        records.append(log.read_text())
    for record in records:
        assert record.endswith("\n") and record.count("\n") == 1
        if log_format == "json":
            parsed = json.loads(record)
            assert parsed["level"] == "error" and "container does not exist" in parsed["msg"]
            assert datetime.fromisoformat(parsed["time"])
        else:
            assert record.startswith('time="') and ' level=error msg="container does not exist' in record


def test_version_is_what_go_runc_and_dockerd_parse(tmp_path: Path) -> None:
    lines = call(OCIRUNTIME, "--version", root=tmp_path).out.splitlines()
    assert lines[0].startswith("ociruntime version ")
    fields = dict(line.split(": ", 1) for line in lines[1:])
    assert fields["spec"] == "1.3.0" and fields["commit"]
    assert set(fields) <= {"commit", "spec", "libseccomp"}


# All that runc and crun take (clients probe for some of it)
BOTH = "image-path work-path tcp-established ext-unix-sk shell-job file-locks manage-cgroups-mode empty-ns lazy-pages"
CHECKPOINT = f"{BOTH} leave-running tcp-skip-in-flight link-remap parent-path pre-dump status-fd page-server auto-dedup"
RESTORE = f"{BOTH} bundle detach pid-file console-socket no-pivot no-subreaper lsm-profile lsm-mount-context tcp-close"


@pytest.mark.parametrize(
    "words",
    [
        "checkpoint --help", "checkpoint x", "help checkpoint", "help restore", "restore --lsm-mount-context",
        *(f"checkpoint --{name} x" for name in CHECKPOINT.split()), *(f"restore --{name}" for name in RESTORE.split()),
    ],
)  # fmt: skip
def test_there_is_no_checkpoint(words: str, tmp_path: Path) -> None:
    """podman and CRI-O take a working `checkpoint --help` for the ability (runc has it, this runtime has not)."""
    outcome = call(OCIRUNTIME, *words.split(), root=tmp_path)
    assert outcome.status == 3
    said = outcome.out + outcome.err
    assert "unknown command" in said and "flag needs an argument" not in said and "requires an argument" not in said


def test_a_closed_stdout_is_no_traceback(tmp_path: Path) -> None:
    command = [OCIRUNTIME, "--root", str(tmp_path), "features"]
    with open("/dev/full", "w") as full:
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1
    assert "no space left on device" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize("words", [["-m", "ociruntime"]])
def test_the_module_runs_too(words: list[str], tmp_path: Path) -> None:
    result = subprocess.run([sys.executable, *words, "--root", str(tmp_path), "list"], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("ID ")
