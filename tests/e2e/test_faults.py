"""Commands that are killed or refused at a system call: a sample of tests/e2e/sweep.py, and what it has found."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import inject
from tests.e2e.box import OCIRUNTIME, PATIENCE
from tests.e2e.sweep import DEEDS, ERRORS, Place, after_kill, baseline, faults, hurt, with_fault

SAMPLED = (
    "create", "create-terminal", "create-user", "create-joined", "create-hooks", "start", "run", "exec",
    "exec-terminal", "update", "delete", "delete-force",
)  # fmt: skip
SAMPLE = 3  # trials of each mode for each deed
INSTANTS = 60
BY_NAME = {deed.name: deed for deed in DEEDS}
FLOCK, WAIT4, LINKAT, UNLINK_SOCKET = "73", "61", "265", "263 start.sock"
SENDMSG, RECVMSG = "46", "47"

strace = pytest.mark.skipif(not shutil.which("strace"), reason="needs strace: apt-get install strace")
x86_64 = pytest.mark.skipif(not inject.can_fail, reason="how a call is made to fail is known for x86_64 only")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    for directory in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        directory.chmod(0o755)  # or root of a user namespace could not reach the bundle
    place = Place(tmp_path, OCIRUNTIME, f"faults-{os.getpid()}")
    yield place
    place.close()


@pytest.mark.parametrize("mode", [pytest.param("kill", marks=strace), "alone", pytest.param("error", marks=x86_64)])
@pytest.mark.parametrize("name", SAMPLED)
def test_a_fault_leaves_nothing(place: Place, name: str, mode: str) -> None:
    """Evenly spread over the calls that are not the interpreter's start."""
    every = faults(place, BY_NAME[name], mode)
    begin = len(every) // 3
    step = (len(every) - begin) // SAMPLE
    for fault in every[begin + step // 2 :: step]:
        trial = hurt(place, BY_NAME[name], mode, fault)
        assert not trial.wrong, trial


def test_start_killed_before_it_forgets_the_socket(place: Place) -> None:
    """It had been heard: "created" would be a lie, and a second start would fail."""
    trial = hurt(place, BY_NAME["start"], "alone", inject.Fault(0, 1, call=UNLINK_SOCKET))
    assert UNLINK_SOCKET in trial.where and not trial.wrong, trial


def test_create_killed_at_the_pid_file(place: Place) -> None:
    """No file of a half name may be left beside it, for nobody would remove that one."""
    trial = hurt(place, BY_NAME["create"], "alone", inject.Fault(0, 1, call=LINKAT))
    assert LINKAT in trial.where and not trial.wrong, trial
    assert list(place.pid_file.parent.iterdir()) == []


@x86_64
@pytest.mark.parametrize("name", ["create-user", "create-joined", "create-idmap", "exec"])
def test_a_child_that_fails_at_once_is_not_taken_for_its_parent(place: Place, name: str) -> None:
    """Between the clone and its own code: two processes would report, and clean up, one beneath the other."""
    for nth in range(1, 9):
        trial = hurt(place, BY_NAME[name], "error", inject.Fault(1, nth, ERRORS[0]))
        assert not trial.wrong, trial


@x86_64
@pytest.mark.parametrize("call", [SENDMSG, RECVMSG])
@pytest.mark.parametrize("process", [0, 1])
def test_a_message_that_is_lost(place: Place, process: int, call: str) -> None:
    """Of a conversation in borrowed memory: the other side would wait for it, or run beside who gives up."""
    for nth in (1, 2, 3):
        trial = hurt(place, BY_NAME["create"], "error", inject.Fault(process, nth, ERRORS[0], call))
        assert not trial.wrong, trial


@x86_64
def test_create_that_cannot_lock_what_it_reserved(place: Place) -> None:
    trial = hurt(place, BY_NAME["create"], "error", inject.Fault(0, 1, ERRORS[0], FLOCK))
    assert FLOCK in trial.where and not trial.wrong, trial


@x86_64
def test_run_that_cannot_wait_takes_its_container_away(place: Place) -> None:
    deed = BY_NAME["run"]
    place.prepare(deed)
    told = with_fault(place, deed, inject.Fault(0, 1, ERRORS[0], WAIT4))
    assert (told.hit, told.status) == (WAIT4, 1)
    assert place.left() == []


def test_init_killed_while_it_waits_for_start(place: Place) -> None:
    """Whatever call of its tape it was at: the container is stopped, start says so, delete takes it away."""
    deed = BY_NAME["create"]
    made = baseline(place, deed)[1]
    for nth in range(len(made) - 4, len(made) + 1):
        place.prepare(deed)
        told = with_fault(place, deed, inject.Fault(1, nth))
        assert told.hit
        if told.status == 0:
            assert place.status() == "stopped"
            assert place.call("start", "{id}")[0] == 1
        assert after_kill(place, deed) == []
        place.clean()


@pytest.mark.parametrize("sign", [signal.SIGSTOP, signal.SIGKILL])
def test_a_start_that_waits_for_a_stopped_init(place: Place, sign: signal.Signals) -> None:
    """It waits as long as init does, without the lock: killed or not, delete --force ends both."""
    place.prepare(BY_NAME["start"])
    os.kill(place.state()["pid"], signal.SIGSTOP)
    start = subprocess.Popen(place.words("start", "{id}"), stdin=subprocess.DEVNULL)
    heard = place.box.root / place.box.name / "start.sock"
    deadline = time.monotonic() + PATIENCE
    while heard.exists():
        assert time.monotonic() < deadline, "start was not heard"
    if sign == signal.SIGKILL:
        start.kill()
        start.wait()
    assert place.delete() == []
    assert start.wait(PATIENCE) in (0, -signal.SIGKILL)
    assert place.left() == []


@pytest.mark.parametrize("who", ["init", "runtime"])
def test_killed_at_some_instant(place: Place, who: str) -> None:
    """Not at a system call but wherever it is: an init that borrows memory leaves it as it was then."""
    deed = BY_NAME["create"]
    for trial in range(INSTANTS):
        place.prepare(deed)
        with (place.box.place / "err").open("wb") as err:
            words = place.words(*deed.words)
            process = subprocess.Popen(words, cwd=place.box.bundle, stdin=subprocess.DEVNULL, stdout=err, stderr=err)
        victim = process.pid if who == "runtime" else first_child(process)
        time.sleep(trial / INSTANTS * (0.012 if who == "runtime" else 0.005))
        if victim:
            os.kill(victim, signal.SIGKILL)
        status = process.wait(PATIENCE)
        said = (place.box.place / "err").read_text()
        if who == "init" and status:
            assert "the container's init was killed while it was being set up" in said and said.count("\n") == 1
        assert after_kill(place, deed) == []
        place.clean()


def first_child(process: subprocess.Popen[bytes]) -> int:
    """As soon as there is one; 0 where there was none."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None:
        if pids := children.read_text().split():
            return int(pids[0])
    return 0
