"""The guest itself: a command's status, output, input, user and what it may write."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.vm import wire
from tests.vm.__main__ import CACHE, FAILED
from tests.vm.build import probe
from tests.vm.conftest import Apart
from tests.vm.run import OUT_OF_TIME

TOP = Path(__file__).parents[2]


@pytest.fixture
def image() -> None:
    """Looked for when a test begins: the tests before may have made it."""
    if not (CACHE / "image/stamp").exists():
        pytest.skip("no guest: run `python -m tests.vm build` first")


needs_image = pytest.mark.usefixtures("image")


def guest(*argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "tests.vm", "run", *argv]
    return subprocess.run(line, cwd=TOP, input=stdin, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("size", [1, 3, 5, 1000])
def test_frames_survive_any_cut(size: int) -> None:
    sent = [(wire.OUTPUT, b"hello"), (wire.ERRORS, b""), (wire.EXIT, b"0")]
    stream = b"".join(wire.frame(*each) for each in sent)
    frames = wire.Frames()
    received: list[tuple[bytes, bytes]] = []
    for cut in range(0, len(stream), size):
        received += frames.feed(stream[cut : cut + size])
    assert received == sent


def test_a_run_is_no_child_of_the_tests() -> None:
    """Those that take every child for a container's would kill it."""
    run = Apart("sh", "-c", "echo said; ps -o ppid= -p $PPID; exit $NUMBER", NUMBER="7")
    status, output = run.finish()
    run.end()
    said, parent = output.split()
    assert (status, said) == (7, "said") and int(parent) != os.getpid()


def test_a_run_that_is_killed_has_a_status_too() -> None:
    run = Apart("sh", "-c", "echo said; kill -KILL $PPID")
    assert run.finish() == (-1, "said\n")
    run.end()


def test_a_run_is_ended_with_the_tests() -> None:
    run = Apart("sleep", "1000")
    shell = os.pidfd_open(run.session)
    run.end()
    assert select.select([shell], [], [], 60)[0]
    os.close(shell)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to do without a capability")
@pytest.mark.parametrize(("capability", "word"), [("mknod", "mknod"), ("sys_admin", "unshare")])
def test_what_a_machine_does_not_allow_is_named(tmp_path: Path, capability: str, word: str) -> None:
    script = f"from pathlib import Path; from tests.vm.build import probe; print(probe(Path({str(tmp_path)!r})))"
    line = ["setpriv", f"--bounding-set=-{capability}", sys.executable, "-c", script]
    said = subprocess.check_output(line, cwd=TOP, text=True)
    assert word in said and "not permitted" in said
    assert probe(tmp_path) == ""


@needs_image
@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("exec /none", 127)])
def test_status_is_the_commands(script: str, status: int) -> None:
    assert guest("--", "sh", "-c", script).returncode == status


@needs_image
def test_output_and_errors_are_kept_apart() -> None:
    done = guest("--", "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


@needs_image
def test_input_reaches_the_command_up_to_its_end() -> None:
    assert guest("-i", "--", "wc", "-c", stdin="x" * 200_000).stdout.split() == ["200000"]


@needs_image
def test_systemd_runs_on_pure_cgroup_v2() -> None:
    done = guest("--", "sh", "-c", "systemctl is-system-running; stat -fc %T /sys/fs/cgroup")
    assert done.stdout.split() == ["running", "cgroup2fs"]


@needs_image
def test_a_user_has_a_session_that_may_delegate() -> None:
    script = "id -u; cat /sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)/cgroup.controllers"
    done = guest("--user", "tester", "--", "sh", "-c", script)
    uid, *controllers = done.stdout.split()
    assert uid == "1000"
    assert {"cpu", "memory", "pids"} <= set(controllers)


@needs_image
@pytest.mark.parametrize(("mode", "status", "text"), [("rw", 0, "new"), ("cow", 0, "old"), ("ro", 2, "old")])
def test_what_a_share_lets_through(tmp_path: Path, mode: str, status: int, text: str) -> None:
    (tmp_path / "file").write_text("old")
    script = "grep -q old /s/file && printf new > /s/file && grep -q new /s/file"
    done = guest("--share", f"{tmp_path}:/s:{mode}", "--", "sh", "-c", script)
    assert (done.returncode, (tmp_path / "file").read_text()) == (status, text)


@needs_image
def test_a_command_that_takes_too_long_is_ended() -> None:
    assert guest("--timeout", "0.5", "--", "sleep", "inf").returncode == OUT_OF_TIME


@needs_image
def test_a_guest_that_dies_says_how() -> None:
    done = guest("--", "sh", "-c", "echo c > /proc/sysrq-trigger")
    assert done.returncode == FAILED
    assert "no status from the guest, qemu exited with status 0; its console:" in done.stderr
    assert "Kernel panic - not syncing: sysrq triggered crash" in done.stderr
