"""The last calls on the tape, played by the real player; and the same calls made for a hook."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

import ociruntime.core.launch
from ociruntime.core.launch.play import confine
from ociruntime.core.launch.tape import Tape
from ociruntime.core.launch.transcribe import inherited, transcribe
from ociruntime.core.plan.draft import LastCall
from ociruntime.core.plan.last import AddressOfResult, Filter, Found, Handle, ReportFd, ResultOf, Strings
from ociruntime.core.plan.process import Surroundings, plan_process
from ociruntime.core.steps.base import Scene
from tests.unit.recorder import Recorder

PLAYER = Path(ociruntime.core.launch.__file__).with_name("player")
ALLOW_ALL = struct.pack("<HBBI", 0x06, 0, 0, 0x7FFF0000)
FILTER_CALL = LastCall(name="seccomp", args=(1, 0, Filter(name="seccomp")))


def play(calls: list[LastCall], report: int = 1, *keep: int, **found: bytes) -> tuple[int, bytes]:
    """Exit status and output of the player with these calls."""
    if not PLAYER.exists():
        pytest.skip("the player is not built: run make")
    scene = Scene()
    scene.found = dict(found)
    scene.handles = {f"fd{fd}": fd for fd in keep}
    tape = Tape()
    written = transcribe(tape, calls, scene, report)
    assert [call.name for call in written.values()] == [call.name for call in calls if call.when in ("", *found)]
    assert inherited(calls, scene) == list(keep)
    fd = os.memfd_create("tape", 0)
    os.write(fd, tape.assemble())
    try:
        done = subprocess.run(
            ["player", str(fd)],
            executable=PLAYER,
            pass_fds=(fd, *keep),
            stdout=subprocess.PIPE,
            timeout=20,
            check=False,
        )
    finally:
        os.close(fd)
    return done.returncode, done.stdout


def execve(*argv: bytes, found: tuple[str, ...] = ()) -> LastCall:
    env = Strings(items=(b"A=1",), found=found)
    return LastCall(name="execve", args=(Found(name="program"), Strings(items=argv), env))


def test_a_program_its_arguments_and_what_was_found_for_its_environment() -> None:
    assert play([execve(b"env", found=("HOME",))], program=b"/usr/bin/env", HOME=b"/h") == (0, b"A=1\nHOME=/h\n")
    assert play([execve(b"env", found=("HOME",))], program=b"/usr/bin/env") == (0, b"A=1\n")


def test_the_result_of_the_latest_call_of_a_name() -> None:
    calls = [
        LastCall(name="dup", args=(2,)),
        LastCall(name="dup", args=(1,)),
        LastCall(name="write", args=(ResultOf(call="dup"), b"out", 3)),
    ]
    assert play(calls) == (0, b"out")


def test_a_result_can_be_written() -> None:
    calls = [LastCall(name="dup", args=(1,)), LastCall(name="write", args=(1, AddressOfResult(call="dup"), 8))]
    status, output = play(calls)
    assert status == 0 and 3 <= int.from_bytes(output, "little") < 20


def test_reports_and_handles_are_descriptors() -> None:
    ours, theirs = os.pipe()
    handle = LastCall(name="write", args=(Handle(name=f"fd{theirs}"), b"handle ", 7))
    assert play([handle, LastCall(name="write", args=(ReportFd(), b"report", 6))], theirs, theirs)[0] == 0
    os.close(theirs)
    assert os.read(ours, 64) == b"handle report"
    os.close(ours)


def test_conditions_failures_and_the_end_of_a_peer() -> None:
    leave = LastCall(name="exit_group", args=(7,))
    never = LastCall(name="exit_group", args=(9,), when="never")
    failing = LastCall(name="dup", args=(-1,), ignore=True)
    gone = LastCall(name="getppid", args=(), nonzero=True)
    assert play([never, failing, gone, leave])[0] == 7
    assert (
        play([LastCall(name="umask", args=(0,), ignore=True), LastCall(name="umask", args=(0,), nonzero=True), leave])[
            0
        ]
        == 1
    )


def test_a_filter_is_installed() -> None:
    calls = [
        LastCall(name="prctl", args=(38, 1, 0, 0, 0)),
        FILTER_CALL,
        execve(b"grep", b"^Seccomp:", b"/proc/self/status"),
    ]
    program = next(path for path in (b"/usr/bin/grep", b"/bin/grep") if os.path.exists(path))
    assert play(calls, program=program, seccomp=ALLOW_ALL) == (0, b"Seccomp:\t2\n")


def test_what_has_no_place_in_a_call_is_an_error() -> None:
    with pytest.raises(TypeError):
        transcribe(Tape(), [LastCall(name="write", args=("text",))], Scene(), 1)


def hook_calls(**document: Any) -> list[tuple[Any, ...]]:
    """What a startContainer hook does before its program."""
    whole = {"cwd": "/", "args": ["x"], "env": [], "user": {"uid": 7, "gid": 8}, **document}
    listener = (LastCall(name="write", args=(ReportFd(), AddressOfResult(call="seccomp"), 8)),
                LastCall(name="close", args=(ResultOf(call="seccomp"),)))  # fmt: skip
    planned = plan_process(whole, Surroundings(id="c", seccomp=FILTER_CALL, seccomp_after=listener))
    scene = Scene()
    scene.found = {"seccomp": ALLOW_ALL, "program": b"/x"}
    kernel = Recorder(syscall=5)
    confine(kernel, planned.last, scene)
    return kernel.calls


@pytest.mark.parametrize("no_new_privileges", [True, False])
def test_a_hook_gives_up_what_the_program_does(no_new_privileges: bool) -> None:
    limits = [{"type": "RLIMIT_CPU", "soft": 1, "hard": 2}]
    made = hook_calls(noNewPrivileges=no_new_privileges, rlimits=limits)
    names = [call[1] if call[0] == "syscall" else call[0] for call in made]
    last = [] if no_new_privileges else ["capset"]
    assert [name for name in names if name != "prctl"] == [
        "setresgid",
        "setresuid",
        "capset",
        "prlimit64",
        "seccomp",
        *last,
    ]
    assert ("seccomp", 1, 0, ALLOW_ALL) in made


def test_a_capability_that_no_kernel_has_does_not_stop_a_hook() -> None:
    def syscall(name: str, *args: Any) -> int:
        if name == "prctl" and args[0] == 24 and args[1] > 40:
            raise OSError(22, "")
        return 0

    kernel = Recorder(syscall=syscall)
    scene = Scene()
    confine(kernel, plan_process({"cwd": "/", "args": ["x"]}, Surroundings(id="c")).last, scene)
    refusing = Recorder(syscall=OSError(1, ""))
    with pytest.raises(OSError):
        confine(refusing, plan_process({"cwd": "/", "args": ["x"]}, Surroundings(id="c")).last, scene)
