"""What each option of create, run and exec does to a container (docs/compatibility.md)."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.box import Box
from tests.e2e.test_seccomp import wait_for_writer


class Receiver:
    """The caller's end of --console-socket or --pidfd-socket."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.server.bind(self.path)
        self.server.listen(1)
        self.server.settimeout(10)

    def receive(self) -> tuple[bytes, int]:
        """The one message: its payload, and its one descriptor."""
        connection, _ = self.server.accept()
        with connection:
            connection.settimeout(10)
            payload, descriptors, flags, _ = socket.recv_fds(connection, 1024, 4)
            assert len(descriptors) == 1 and not flags & socket.MSG_CTRUNC
            assert connection.recv(1) == b""  # nothing follows
        return payload, descriptors[0]


@pytest.fixture
def receiver(tmp_path: Path) -> Any:
    made = Receiver(tmp_path / "socket")
    yield made
    made.server.close()


def read_line(master: int) -> str:
    """What a program writes to its terminal, up to a line's end."""
    text = b""
    while not text.endswith(b"\n"):
        text += os.read(master, 1)
    return text.decode().strip()


def pid_of(pidfd: int) -> int:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines())
    return int(fields["Pid"])


def test_run_detach_console_socket(box: Box, receiver: Receiver) -> None:
    box.process["terminal"] = True
    assert box.run("echo here", options=("--detach", "--console-socket", receiver.path)).status == 0
    _, master = receiver.receive()
    assert read_line(master) == "here"
    os.close(master)


def test_create_pidfd_socket(box: Box, receiver: Receiver) -> None:
    assert box.create("sleep", "1000", options=("--pidfd-socket", receiver.path)).status == 0
    payload, pidfd = receiver.receive()
    assert payload == b"standard"
    assert pid_of(pidfd) == box.pid()
    os.close(pidfd)


def test_exec_pidfd_socket(box: Box, receiver: Receiver) -> None:
    box.up()
    assert box.exec("sleep", "1000", options=("--detach", "--pidfd-socket", receiver.path)).status == 0
    payload, pidfd = receiver.receive()
    assert payload == b"setns"
    assert pid_of(pidfd) in json.loads(box.call("ps", "--format", "json", box.name).out)
    os.close(pidfd)


def test_pid_file_is_complete_when_it_appears(box: Box) -> None:
    assert box.create("true", options=("--pid-file", "a-file")).status == 0
    assert (box.bundle / "a-file").read_text() == str(box.pid())
    assert sorted(path.name for path in box.bundle.iterdir()) == ["a-file", "config.json", "rootfs"]


def test_pid_file_that_cannot_be_written(box: Box) -> None:
    outcome = box.create("true", options=("--pid-file", "/nonexistent/pid"))
    assert outcome.status == 1
    assert "/nonexistent" in outcome.err and "no such file or directory" in outcome.err


def test_no_pid_file_of_a_create_that_fails(box: Box) -> None:
    assert box.create("/nope", "x", options=("--pid-file", "a-file")).status == 1
    assert not (box.bundle / "a-file").exists()


def test_bundle_by_relative_and_absolute_path(box: Box) -> None:
    box.process["args"] = ["echo", "here"]
    box.write()
    for bundle in (str(box.bundle), "bundle", "./bundle/", "bundle/../bundle"):
        outcome = box.call("run", "--bundle", bundle, box.name, cwd=box.place)
        assert (outcome.status, outcome.out) == (0, "here\n"), outcome


def test_a_bundle_by_a_link(box: Box) -> None:
    """The state names the directory itself, as with runc and crun."""
    box.process["args"] = ["sleep", "1000"]
    box.write()
    link = box.place / "link"
    link.symlink_to("bundle")
    assert box.call("create", "--bundle", str(link), box.name).status == 0
    link.unlink()
    assert box.state()["bundle"] == str(box.bundle)
    assert box.start().status == 0 and box.exec("true").status == 0


def test_config_from_another_file(box: Box) -> None:
    box.process["args"] = ["echo", "other"]
    box.write()
    (box.bundle / "config.json").rename(box.place / "other.json")
    outcome = box.call("run", "--bundle", str(box.bundle), "--config", "other.json", box.name, cwd=box.place)
    assert (outcome.status, outcome.out) == (0, "other\n"), outcome


def test_new_session_keyring(box: Box) -> None:
    assert f"_ses.{box.name}" not in box.run("cat /proc/keys", options=("--no-new-keyring",)).out
    assert f"_ses.{box.name}" in box.run("cat /proc/keys").out


def test_preserve_fds_that_are_not_open(box: Box) -> None:
    outcome = box.run("true", options=("--preserve-fds", "1"))
    assert outcome.status == 1
    assert "unable to stat preserved-fd" in outcome.err


def test_signals_are_as_a_program_expects_them(box: Box) -> None:
    """Python ignores SIGPIPE and SIGXFSZ for itself, and run blocks what it forwards: nothing of it is inherited."""
    box.up("sleep", "1000")
    inside = [box.exec("cat", "/proc/self/status").lines, Path(f"/proc/{box.pid()}/status").read_text().splitlines()]
    box.delete("--force")
    script = "trap '' HUP INT QUIT USR1 WINCH RTMIN; exec \"$@\""  # as nohup and & do
    box.before = ["sh", "-c", script, "sh"]
    inside.append(box.run("cat", "/proc/self/status").lines)
    for lines in inside:
        masks = dict(line.split(":\t") for line in lines)
        assert (int(masks["SigBlk"], 16), int(masks["SigIgn"], 16)) == (0, 0)


def test_run_keep(box: Box) -> None:
    assert box.run("true", options=("--keep",)).status == 0
    assert box.state()["status"] == "stopped"
    assert box.delete().status == 0


@pytest.mark.guest  # whose kernel, 6.12, keeps the number of a process that its session outlives
@pytest.mark.parametrize("option", ["--no-subreaper", "--no-subreaper=false"])
def test_run_no_subreaper(box: Box, option: str) -> None:
    """Who inherits the orphans of a container without a pid namespace: the runtime, or whoever would without it."""
    box.namespaces("mount", "uts")
    for name in ("done", "end"):
        os.mkfifo(box.rootfs / "tmp" / name)
    orphan = "(sleep 1000 & echo $! > /tmp/orphan); echo > /tmp/done; read end < /tmp/end; exit 3"
    box.process["args"] = ["sh", "-c", orphan]
    box.write()
    command = [box.runtime, "--root", str(box.root), "run", option, box.name]
    with subprocess.Popen(command, cwd=box.bundle, stdout=subprocess.DEVNULL) as running:
        wait_for_writer(box.rootfs / "tmp/done")
        pid = int((box.rootfs / "tmp/orphan").read_text())
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        assert (int(status["PPid"]) == running.pid) == (option != "--no-subreaper")
        (box.rootfs / "tmp/end").write_text("now\n")
        assert running.wait(timeout=20) == 3


def test_exec_in_a_paused_container(box: Box) -> None:
    box.up("sleep", "1000")
    assert box.call("pause", box.name).status == 0
    refused = box.exec("true")
    assert refused.status == 255 and "paused" in refused.err
    # allowed, it waits with the others until somebody resumes
    command = [box.runtime, "--root", str(box.root), "exec", "--ignore-paused", box.name, "sh", "-c", "exit 3"]
    with subprocess.Popen(command) as waiting:
        assert box.state()["status"] == "paused"
        assert box.call("resume", box.name).status == 0
        assert waiting.wait(timeout=10) == 3


@pytest.mark.parametrize("text", ["1:", ":1", "a", "", "-1", "1:2:3", "4294967295", "0x0", "1 "])
def test_exec_refuses_users_that_are_none(box: Box, text: str) -> None:
    """CVE-2026-30892: crun ran such a process as root."""
    box.up()
    outcome = box.exec("id", "-u", options=("--user", text))
    assert (outcome.status, outcome.out) == (255, "") and "--user" in outcome.err


def test_exec_detached_leaves_its_process(box: Box) -> None:
    box.up("sleep", "1000")
    assert box.exec("sleep", "999", options=("--detach", "--pid-file", "exec.pid")).status == 0
    pid = int((box.bundle / "exec.pid").read_text())
    assert Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\x00999\x00"
    assert stat.S_IMODE((box.bundle / "exec.pid").stat().st_mode) == 0o644


def test_exec_preserve_fds(box: Box, tmp_path: Path) -> None:
    box.up("sleep", "1000")
    (tmp_path / "file").write_text("kept\n")
    command = [box.runtime, "--root", str(box.root), "exec", "--preserve-fds", "1", box.name, "sh", "-c", "cat <&3"]
    with (tmp_path / "file").open() as file:
        result = subprocess.run(
            ["bash", "-c", f'exec 3<&{file.fileno()}; exec "$@"', "sh", *command],
            pass_fds=[file.fileno()],
            capture_output=True,
            text=True,
        )
    assert (result.returncode, result.stdout) == (0, "kept\n"), result


def test_debug_records_each_step(box: Box) -> None:
    box.process["args"] = ["true"]
    box.write()
    assert box.call("--debug", "run", box.name).status == 0
    records = box.records()
    assert {record["level"] for record in records} <= {"debug", "warning"}
    (proc,) = [record for record in records if "mount -t proc" in record["msg"]]
    assert proc["origin"] == "/mounts/0" and 0 < proc["microseconds"] < 60e6


@pytest.mark.parametrize(("level", "told"), [("debug", {"debug"}), ("warning", set()), ("error", set())])
def test_log_level(box: Box, level: str, told: set[str]) -> None:
    """crun's --log-level: debug is --debug, and nothing below error is told without it."""
    box.write()
    assert box.call("--log-level", level, "run", box.name).status == 0
    assert {record["level"] for record in box.records()} - {"warning"} == told


def test_no_record_without_a_failure(box: Box) -> None:
    """podman reads the file as one JSON document."""
    assert box.run("true").status == 0
    assert box.records() == []
    assert box.run("/nope", "x").status == 1
    assert [record["level"] for record in box.records()] == ["error"]


def test_trace_opens_in_viewers(box: Box) -> None:
    """Chrome's trace event format: complete events in an array, of both processes by their numbers on the host."""
    path = box.place / "trace.json"
    box.linux["namespaces"].append({"type": "time"})
    box.linux["timeOffsets"] = {"monotonic": {"secs": 100000}}
    box.process["args"] = ["true"]
    box.write()
    begin = time.time()
    assert box.call("--trace", str(path), "create", box.name).status == 0
    events = json.loads(path.read_text())
    spans = [event for event in events if event["ph"] == "X"]
    assert all(event["tid"] == event["pid"] and event["dur"] >= 0 and event["name"] for event in spans)
    assert all(begin - 1 <= event["ts"] / 1e6 <= time.time() for event in spans)
    names = {event["pid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
    assert sorted(names.values()) == ["container", "runtime"]
    assert names[box.pid()] == "container"
    stages = {(names[event["pid"]], event["name"]) for event in spans if event["cat"] == "stage"}
    assert {("runtime", "host"), ("container", "mounts"), ("container", "process")} <= stages
    (command,) = [event for event in spans if event["cat"] == "command"]
    for event in spans:
        assert event["ts"] >= command["ts"] and event["ts"] + event["dur"] <= command["ts"] + command["dur"] + 1
    steps = [event for event in spans if event["cat"] == "step"]
    assert {event["args"]["origin"] for event in steps if "args" in event} >= {"/mounts/0", "/hostname"}


def test_trace_of_a_failure_is_whole(box: Box) -> None:
    path = box.place / "trace.json"
    box.mount("/mnt", "/no/such/source", "bind", "bind")
    box.write()
    assert box.call("--trace", str(path), "create", box.name).status == 1
    events = json.loads(path.read_text())
    assert events[-1]["cat"] == "command"
    assert any("/no/such/source" in event["name"] for event in events)
    assert box.call("--trace", "/no/such/trace", "list").status == 1
    assert box.records()[-1]["code"] == "trace-file"
