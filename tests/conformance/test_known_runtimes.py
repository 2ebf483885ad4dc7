"""Debian's runc and crun behave as recorded, and the checks notice when they are made to misbehave.

The fast subset of every change; the whole is ``python -m conformance check`` and ``… sabotage``.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from conformance import expected
from conformance.control import control
from conformance.judge import Judgement, Status, judge
from conformance.probe import NoCompiler, build
from conformance.registry import Check, load

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="makes containers, which needs root")]

# One area each of the life of a container, what it sees, and what it may do.
FAST = (
    "runtime.",
    "config.hostname",
    "config.root",
    "hooks.order",
    "mounts.order",
    "mounts.bind",
    "process.user",
    "process.capabilities/",
    "namespaces.new",
    "devices.default",
    "resources.memory",
    "seccomp.operator",
    "maskedPaths",
)


def _runtimes() -> list[str]:
    found = [name for name in ("runc", "crun") if shutil.which(name)]
    if not found:
        pytest.skip("neither runc nor crun is installed")
    return found


def _probe() -> Path:
    try:
        return build()
    except NoCompiler as failure:
        pytest.skip(str(failure))


def _fast() -> list[Check]:
    return [check for check in load().select(list(FAST)) if not check.slow]


@pytest.fixture(scope="module")
def judgement() -> Judgement:
    return judge(_runtimes(), _fast(), _probe())


def test_known_runtimes_are_as_recorded(judgement: Judgement) -> None:
    known = [name for name, version in judgement.versions.items() if expected.Known.of(version)]
    if not known:
        pytest.skip(f"no record for {', '.join(judgement.versions.values())}")
    assert [one.tell() for one in expected.surprises(judgement)] == []


def test_no_check_is_at_fault(judgement: Judgement) -> None:
    wrong = [v.detail for v in judgement.verdicts.values() if v.status is Status.ERROR]
    assert wrong == []


SABOTAGED = (
    "runtime.create.id-taken",
    "runtime.kill.signal/TERM",
    "runtime.state.pid",
    "runtime.lifecycle.program-waits",
    "runtime.delete.resources",
    "config.hostname",
    "config.root.readonly",
    "hooks.order/createRuntime",
    "mounts.order",
    "process.user.uid",
    "process.fds",
    "process.capabilities/ambient",
    "namespaces.new/network",
    "devices.default/null",
    "resources.memory.enforced",
    "seccomp.errno",
    "maskedPaths/file",
)


@pytest.fixture(scope="module")
def proofs() -> dict[str, str]:
    registry = load()
    results = control(_runtimes(), [registry.checks[name] for name in SABOTAGED], _probe())
    return {result.check: "" if result.caught else result.tell() for result in results}


@pytest.mark.parametrize("name", SABOTAGED)
def test_a_broken_clause_is_noticed(name: str, proofs: dict[str, str]) -> None:
    assert proofs[name] == ""
