"""create, start, state, kill, delete, run, list (runtime.md; docs/compatibility.md)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.box import Box


def test_the_whole_life(box: Box) -> None:
    assert box.create("sleep", "1000") == (0, "", "")
    state = box.state()
    assert state["status"] == "created"
    assert state["bundle"] == str(box.bundle) and state["rootfs"] == str(box.rootfs)
    assert Path(f"/proc/{state['pid']}/comm").read_text() == "memfd:ociruntime-init\n"[:15] + "\n"
    assert box.start() == (0, "", "")
    assert box.state()["status"] == "running"
    assert Path(f"/proc/{state['pid']}/cmdline").read_text() == "sleep\x001000\x00"
    assert box.kill("KILL") == (0, "", "")
    box.wait_for("stopped")
    assert box.state()["pid"] == 0
    assert box.delete() == (0, "", "")
    gone = box.call("state", box.name)
    assert gone.status == 1 and "does not exist" in gone.err


def test_run_passes_the_exit_status(box: Box) -> None:
    assert box.run("exit 7").status == 7
    assert box.run("kill -9 $$; true").status == 0  # the first process of a pid namespace is deaf to itself
    assert box.run("echo out; echo err >&2") == (0, "out\n", "err\n")


def test_run_ends_with_the_signal_of_the_program(box: Box) -> None:
    box.namespaces("mount", "uts")
    assert box.run("kill -9 $$").status == 128 + 9


def test_run_detached_and_keep(box: Box) -> None:
    assert box.run("sleep", "1000", options=("--detach", "--pid-file", str(box.place / "pid"))).status == 0
    assert int((box.place / "pid").read_text()) == box.pid()
    assert not (box.place / "pid").read_text().endswith("\n")
    assert box.delete("--force").status == 0
    assert box.run("true", options=("--keep",)).status == 0
    assert box.state()["status"] == "stopped"


def test_signals_are_forwarded_by_run(box: Box) -> None:
    box.process["args"] = ["sh", "-c", "trap 'echo got; exit 5' USR1; echo ready; while :; do sleep 0.05; done"]
    box.write()
    command = [box.runtime, "--root", str(box.root), "run", box.name]
    with subprocess.Popen(command, cwd=box.bundle, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        assert running.stdout.readline() == "ready\n"
        running.send_signal(signal.SIGUSR1)
        assert running.stdout.read() == "got\n"
        assert running.wait() == 5


def test_signals_are_forwarded_by_exec(box: Box) -> None:
    box.up()
    script = "trap 'echo got; exit 5' USR1; echo ready; while :; do sleep 0.05; done"
    command = [box.runtime, "--root", str(box.root), "exec", box.name, "sh", "-c", script]
    with subprocess.Popen(command, cwd=box.bundle, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        assert running.stdout.readline() == "ready\n"
        running.send_signal(signal.SIGUSR1)
        assert running.stdout.read() == "got\n"
        assert running.wait() == 5
    assert box.state()["status"] == "running"


@pytest.mark.parametrize("way", [(), ("--detach",)])
def test_a_failed_exec_leaves_nobody(box: Box, way: tuple[str, ...]) -> None:
    """Unreaped it would be a zombie in the container's pid namespace, which could not end before it."""
    for name, text in (("interpreter", "#!/no/such\n"), ("format", "\0no program")):
        (box.rootfs / "bin" / name).write_text(text)
        (box.rootfs / "bin" / name).chmod(0o755)
    box.up()
    for failing in (["nope"], ["/tmp"], ["interpreter"], ["format"]):
        assert box.exec(*failing, options=way).status == 255, failing
    assert box.exec("true", options=(*way, "--cwd", "/nope")).status == 255
    assert box.exec("ps", "-o", "comm").lines == ["COMMAND", "sleep", "ps"]


def test_create_of_a_taken_id(box: Box) -> None:
    box.create("sleep", "1000")
    second = box.create()
    assert second.status == 1 and "already exists" in second.err
    assert box.state()["status"] == "created"


def test_the_longest_id(box: Box) -> None:
    """As long as the name of a file may be; the keyring and the cgroup are called by it, too."""
    short, box.name = box.name, (box.name + "x" * 255)[:255]
    box.linux["cgroupsPath"] = f"/{short}"
    try:
        box.up()
        assert box.exec("echo", "here").out == "here\n"
        assert box.call("list", "-q").out == box.name + "\n"
        assert box.delete("--force").status == 0
        box.write()
        assert box.call("create", box.name + "x").status == 1
    finally:
        box.delete("--force")
        box.name = short


def test_two_creates_at_once_one_wins(box: Box) -> None:
    box.process["args"] = ["sleep", "1000"]
    box.write()
    command = [box.runtime, "--root", str(box.root), "create", box.name]
    with (box.place / "said").open("w+b") as said:
        racers = [subprocess.Popen(command, cwd=box.bundle, stdout=said, stderr=said) for _ in range(6)]
        codes = sorted(racer.wait() for racer in racers)
    assert codes == [0, 1, 1, 1, 1, 1]
    assert (box.place / "said").read_text().count("already exists") == 5
    assert box.state()["status"] == "created"


@pytest.mark.parametrize("word", ["created", "running", "stopped"])
def test_what_each_status_refuses(box: Box, word: str) -> None:
    box.create("sleep", "1000")
    if word != "created":
        box.start()
    if word == "stopped":
        box.kill()
        box.wait_for("stopped")
    again = box.start() if word != "created" else None
    if again:
        wanted = "cannot start a container that has stopped" if word == "stopped" else "already running"
        assert again.status == 1 and wanted in again.err
    if word == "stopped":
        late = box.kill("TERM")
        assert late.status == 1 and "container not running" in late.err
    if word == "running":
        refused = box.delete()
        assert refused.status == 1 and f"cannot delete container {box.name} that is not stopped: running" in refused.err


def test_delete_of_a_created_container(box: Box) -> None:
    box.create("sleep", "1000")
    assert box.delete() == (0, "", "")


def test_delete_force(box: Box) -> None:
    assert box.delete("--force") == (0, "", "")
    box.up()
    assert box.delete("--force") == (0, "", "")


def test_delete_of_a_missing_container(box: Box) -> None:
    outcome = box.delete()
    assert outcome.status == 1 and "does not exist" in outcome.err


def test_the_program_does_not_run_before_start(box: Box) -> None:
    box.create("touch /tmp/ran; sleep 1000")
    assert box.state()["status"] == "created"
    comm = Path(f"/proc/{box.pid()}/comm").read_text().strip()
    assert comm not in ("sh", "busybox", "touch") and not (box.rootfs / "tmp/ran").exists()
    box.start()
    box.wait_for("running")
    deadline = time.monotonic() + 10
    while not (box.rootfs / "tmp/ran").exists():
        assert time.monotonic() < deadline, "the program did not run after start"
        os.sched_yield()


def test_later_edits_of_the_bundle_have_no_effect(box: Box) -> None:
    box.create("sleep", "1000")
    (box.bundle / "config.json").write_text("not even JSON")
    assert box.start().status == 0
    assert box.exec("hostname").out == "box\n"


def test_a_recycled_pid_is_not_mistaken(box: Box) -> None:
    box.up()
    state = box.root / box.name / "state.json"
    document = json.loads(state.read_text())
    document["startTime"] += 1
    state.write_text(json.dumps(document))
    assert box.state()["status"] == "stopped"
    assert "container not running" in box.kill().err
    document["startTime"] -= 1
    state.write_text(json.dumps(document))


def test_list(box: Box) -> None:
    box.up()
    listed = json.loads(box.call("list", "--format", "json").out)
    assert [(entry["id"], entry["status"], entry["owner"]) for entry in listed] == [(box.name, "running", "root")]
    assert box.call("list", "--quiet").out == f"{box.name}\n"
    assert box.call("list").lines[0].split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]


def test_init_is_reparented_to_its_caller(box: Box) -> None:
    """conmon and buildah wait for init themselves: it must not hang below another process of ours."""
    box.up()
    script = "import ctypes,os,sys,subprocess as s; ctypes.CDLL(None).prctl(36,1); s.run(sys.argv[1:], check=True)"
    box.delete("--force")
    pid_file = box.place / "pid"
    script += f"; print(os.waitpid(int(open({str(pid_file)!r}).read()), os.WNOHANG))"
    command = [box.runtime, "--root", str(box.root), "create", "--pid-file", str(pid_file), box.name]
    with (box.place / "said").open("w+b") as said:
        subprocess.run([sys.executable, "-c", script, *command], cwd=box.bundle, stdout=said, check=True)
    assert (box.place / "said").read_text() == "(0, 0)\n"  # our child, alive; ECHILD were it somebody else's


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["/bin/nope"], ["/bin/nope", "no such file or directory"]),
        (["nope"], ["executable file not found in $PATH"]),
        (["/etc"], ["is a directory"]),
        (["/etc/passwd"], ["permission denied"]),
    ],
)
def test_a_program_that_is_not_there_fails_create(box: Box, args: list[str], words: list[str]) -> None:
    box.process["args"] = args
    box.write()
    outcome = box.call("create", box.name)
    assert outcome.status == 1
    assert all(word in outcome.err for word in words), outcome
    assert len(outcome.err.splitlines()) == 1
    (record,) = box.records()
    assert record["level"] == "error" and record["origin"] == "/process/args/0"


def test_start_reports_a_program_that_cannot_be_executed(box: Box) -> None:
    """No other runtime tells: the error of execve is known only after create has ended."""
    script = box.rootfs / "bin/script"
    script.write_text("#!/bin/missing-interpreter\n")
    script.chmod(0o755)
    assert box.create("/bin/script", "x").status == 0
    outcome = box.start()
    assert outcome.status == 1 and "no such file or directory" in outcome.err
    (record,) = box.records()
    assert record["origin"] == "/process/args" and record["errno"] == 2
    box.wait_for("stopped")


def test_delete_force_of_an_init_that_somebody_froze_elsewhere(box: Box) -> None:
    freezer = Path("/sys/fs/cgroup/freezer")
    if not (freezer / "cgroup.procs").exists():
        pytest.skip("cgroup v1's freezer is not mounted")
    box.up()
    elsewhere = freezer / f"{box.name}-elsewhere"
    elsewhere.mkdir()
    try:
        (elsewhere / "cgroup.procs").write_text(str(box.pid()))
        (elsewhere / "freezer.state").write_text("FROZEN")
        assert box.delete("--force").status == 0
    finally:
        (elsewhere / "freezer.state").write_text("THAWED")
        elsewhere.rmdir()
