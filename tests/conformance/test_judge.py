"""The judge tells crashes, hangs, litter and plain failures apart, and cleans up after all of them."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance import host, spawn
from conformance.judge import Status, court, judge
from conformance.probe import NoCompiler, build
from conformance.registry import Check, load
from conformance.runtime import Runtime

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="makes containers, which needs root")]


@pytest.fixture(scope="module")
def probe() -> Path:
    try:
        return build()
    except NoCompiler as failure:
        pytest.skip(str(failure))


@pytest.fixture(autouse=True)
def leaves_nothing() -> Iterator[None]:
    before = set(Path("/tmp").glob("conformance-*"))
    yield
    assert set(Path("/tmp").glob("conformance-*")) <= before
    assert host.groups_under(f"conformance-{os.getpid()}") == []


def _runtime(tmp_path: Path, body: str) -> str:
    program = tmp_path / "runtime"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return f"fake={program}"


def _checks(*names: str) -> list[Check]:
    registry = load()
    return [registry.checks[name] for name in names]


def _status(tmp_path: Path, probe: Path, body: str, check: str = "runtime.create.new") -> tuple[Status, str]:
    found = judge([_runtime(tmp_path, body)], _checks(check), probe, timeout=0.5)
    verdict = found.verdicts[check, "fake"]
    return verdict.status, verdict.detail


def test_a_runtime_that_fails(tmp_path: Path, probe: Path) -> None:
    status, detail = _status(tmp_path, probe, "echo no way >&2; exit 1")
    assert (status, "no way" in detail) == (Status.FAIL, True)


def test_a_runtime_that_crashes(tmp_path: Path, probe: Path) -> None:
    status, detail = _status(tmp_path, probe, "kill -SEGV $$")
    assert (status, "signal 11" in detail) == (Status.CRASH, True)


def test_a_runtime_that_hangs(tmp_path: Path, probe: Path) -> None:
    status, detail = _status(tmp_path, probe, 'test "$3" = create && exec sleep 1000')
    assert (status, "hung" in detail) == (Status.HANG, True)


def test_a_runtime_that_says_yes_to_everything(tmp_path: Path, probe: Path) -> None:
    status, _ = _status(tmp_path, probe, "exit 0", "runtime.start.unknown")
    assert status is Status.FAIL


def test_litter_is_named_and_removed(tmp_path: Path, probe: Path) -> None:
    body = 'mkdir -p "$2"; case "$3" in create) mkdir "$2/$6"; setsid sleep 1000 & esac; exit 0'
    found = judge([_runtime(tmp_path, body)], _checks("runtime.create.new"), probe, timeout=2)
    litter = found.verdicts["runtime.create.new", "fake"].litter
    assert [what.split()[0] for what in litter] == ["process", "state"]
    assert not spawn.children(os.getpid())


def test_a_check_that_is_wrong_itself_is_an_error_not_a_failure(probe: Path) -> None:
    def broken(_: object) -> None:
        raise KeyError("x")

    check = Check("broken", load().clauses["runtime.create.new"], broken)
    with court(probe) as seat:
        verdict = seat.try_(check, Runtime("true", (shutil.which("true") or "/bin/true",), seat.home / "state"))
    assert verdict.status is Status.ERROR


def test_the_probe_sees_this_process(probe: Path) -> None:
    outcome = spawn.call((str(probe), "report", "lstat:/dev/null", "read:/nowhere", "no-such-deed"))
    seen = json.loads(outcome.stdout)
    assert (seen["uid"], seen["argv"][1:2]) == (os.geteuid(), ["report"])
    null, nowhere, unknown = seen["deeds"]
    assert (null["kind"], null["major"], null["minor"]) == ("c", 1, 3)
    assert nowhere["errno"] == 2
    assert unknown["unknown"] == "no-such-deed"


def test_a_suite_that_is_told_to_end_cleans_up(tmp_path: Path, probe: Path) -> None:
    runtime = _runtime(tmp_path, f'test "$3" = create || exit 1; echo > {tmp_path}/waits; exec sleep 1000')
    argv = (
        sys.executable,
        "-m",
        "conformance",
        "check",
        "--runtime",
        runtime,
        "--probe",
        str(probe),
        "runtime.create.new",
    )
    with spawn.memory_file() as quiet:
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        pid = spawn.spawn(argv, stdin=quiet, stdout=quiet, stderr=quiet, env=env)
        deadline = time.monotonic() + 30
        while not (tmp_path / "waits").exists():
            assert time.monotonic() < deadline, spawn.content(quiet)
            select.select([], [], [], 0.01)
        os.kill(pid, signal.SIGTERM)
        assert spawn.wait(pid, 20) == 143, spawn.content(quiet)
    assert host.groups_under(f"conformance-{pid}") == []
    assert not [root for root in host.Hierarchies.read().all_roots() if (root / f"conformance-{pid}").exists()]
