"""linux.seccomp in a running container (config-linux.md, Seccomp; docs/compatibility.md)."""

from __future__ import annotations

import array
import errno
import fcntl
import json
import os
import select
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.box import Box

SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_SEND = 0xC0502100, 0xC0182101  # seccomp_unotify(2)
FILTERED = "grep -E '^(NoNewPrivs|Seccomp|CapEff)' /proc/self/status"


def seccomp(box: Box, *rules: dict[str, Any], default: str = "SCMP_ACT_ALLOW", **more: Any) -> None:
    box.linux["seccomp"] = {"defaultAction": default, "syscalls": list(rules), **more}


def deny(*names: str, **more: Any) -> dict[str, Any]:
    return {"names": list(names), "action": "SCMP_ACT_ERRNO", **more}


def test_a_call_is_denied_with_its_error_number(box: Box) -> None:
    seccomp(box, deny("mkdir", "mkdirat", errnoRet=errno.ENOSPC))
    outcome = box.run("mkdir /tmp/x")
    assert outcome.status == 1 and "No space left on device" in outcome.err


@pytest.mark.parametrize("uid", [0, 1000])
@pytest.mark.parametrize("no_new_privileges", [True, False])
def test_the_filter_comes_after_everything_that_it_may_deny(box: Box, uid: int, no_new_privileges: bool) -> None:
    """Only execve, and capset without noNewPrivileges, meet the filter; the program's start needs no more."""
    names = "setresuid setresgid setgroups prctl chdir close_range prlimit64 umask personality".split()
    seccomp(box, deny(*names))
    box.process.update(user={"uid": uid, "gid": uid}, noNewPrivileges=no_new_privileges)
    outcome = box.run(FILTERED)
    assert outcome.status == 0, outcome.err
    assert f"NoNewPrivs:\t{int(no_new_privileges)}" in outcome.lines and "Seccomp:\t2" in outcome.lines
    assert "CapEff:\t0000000000000000" in outcome.lines or uid == 0


def test_sys_admin_is_gone_after_the_filter(box: Box) -> None:
    seccomp(box, deny("mkdir"))
    box.process["noNewPrivileges"] = False
    outcome = box.run(FILTERED)
    assert "CapEff:\t0000000020000020" in outcome.lines


def test_calls_newer_than_the_profile_do_not_exist(box: Box) -> None:
    """What glibc sees of a call of the future under the engines' profile, which denies with EPERM."""
    if not os.path.exists("/usr/bin/python3"):
        pytest.skip("needs a program that can make any system call: /usr/bin/python3")
    box.linux["seccomp"] = json.loads((Path(__file__).parents[2] / "conformance/data/seccomp.json").read_text())
    for directory in ("/usr", "/lib", "/lib64"):
        if os.path.isdir(directory):
            box.mount(directory, directory, "bind", "rbind", "ro")
    script = "import ctypes; c = ctypes.CDLL(None, use_errno=True); c.syscall(1000); print(ctypes.get_errno())"
    outcome = box.run("/usr/bin/python3", "-ISc", script)
    assert outcome.lines == [str(errno.ENOSYS)], outcome.err


def test_exec_gets_the_filter_too(box: Box) -> None:
    seccomp(box, deny("mkdir", "mkdirat"))
    box.up("sleep", "1000")
    outcome = box.exec("sh", "-c", FILTERED)
    assert outcome.status == 0 and "Seccomp:\t2" in outcome.lines


def test_a_profile_that_nobody_can_mean_leaves_nothing(box: Box) -> None:
    seccomp(box, {"names": ["write"], "action": "SCMP_ACT_NOTIFY"}, listenerPath="/nowhere")
    outcome = box.run("true")
    assert outcome.status == 1 and "SCMP_ACT_NOTIFY" in outcome.err and "/linux/seccomp/syscalls/0/names" in outcome.err


class Listener:
    """The agent at listenerPath: takes one listener, answers one notification with EACCES."""

    def __init__(self, path: Path) -> None:
        self.message: dict[str, Any] = {}
        self.notified = 0
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.server.bind(str(path))
        self.server.listen(1)
        self.server.settimeout(20)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        connection, _ = self.server.accept()
        connection.settimeout(20)
        content, fds, _, _ = socket.recv_fds(connection, 65536, 4)
        while part := connection.recv(65536):
            content += part
        connection.close()
        self.message = json.loads(content)
        (listener,) = fds
        request = array.array("B", bytes(80))
        fcntl.ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, request, True)
        self.notified = int.from_bytes(request[8:12].tobytes(), "little")
        answer = request[:8].tobytes() + bytes(8) + (-errno.EACCES & 0xFFFFFFFF).to_bytes(4, "little") + bytes(4)
        fcntl.ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, answer)
        os.close(listener)

    def close(self) -> None:
        self.thread.join(20)
        self.server.close()


def wait_for_writer(fifo: Path) -> None:
    """Until somebody has written to a FIFO."""
    fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    ready, _, _ = select.select([fd], [], [], 20)
    os.close(fd)
    assert ready, f"nobody has written to {fifo}"


NOTIFY = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}


@pytest.mark.parametrize("no_new_privileges", [True, False])
@pytest.mark.parametrize("way", ["run", "start"])
def test_the_listener_gets_the_state_and_decides(box: Box, way: str, no_new_privileges: bool) -> None:
    path = box.place / "agent"
    agent = Listener(path)
    seccomp(box, NOTIFY, listenerPath=str(path), listenerMetadata="meta")
    box.spec["annotations"] = {"a": "b"}
    box.process["noNewPrivileges"] = no_new_privileges
    done = box.rootfs / "tmp/done"
    os.mkfifo(done)
    script = "(mkdir /tmp/x; ls -l /proc/self/fd) > /tmp/said 2>&1; echo > /tmp/done; sleep 1000"
    if way == "run":
        assert box.run(script, options=("--detach",)).status == 0
    else:
        box.create(script)
        assert box.start() == (0, "", "")
    agent.close()
    state = agent.message["state"]
    assert agent.message["fds"] == ["seccompFd"] and agent.message["metadata"] == "meta"
    assert agent.message["pid"] == state["pid"] == box.pid()
    assert (state["status"], state["id"], state["annotations"]) == ("creating", box.name, {"a": "b"})
    wait_for_writer(done)
    said = (box.rootfs / "tmp/said").read_text()
    assert "Permission denied" in said and "seccomp" not in said


@pytest.mark.parametrize(
    "flags",
    [
        [], ["SECCOMP_FILTER_FLAG_LOG"], ["SECCOMP_FILTER_FLAG_TSYNC"],
        ["SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_LOG"],
        ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],  # for a listener alone: left out without one
    ],
)  # fmt: skip
def test_the_kernel_takes_each_flag(box: Box, flags: list[str]) -> None:
    seccomp(box, deny("mkdir", "mkdirat"), flags=flags)
    assert box.run("mkdir /tmp/x").status == 1


@pytest.mark.parametrize("flags", [["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"], ["SECCOMP_FILTER_FLAG_TSYNC"]])
def test_the_kernel_takes_flags_with_a_listener(box: Box, flags: list[str]) -> None:
    path = box.place / "agent"
    agent = Listener(path)
    seccomp(box, NOTIFY, listenerPath=str(path), flags=flags)
    outcome = box.run("mkdir /tmp/x")
    agent.close()
    assert outcome.status == 1 and "Permission denied" in outcome.err


def test_exec_has_a_listener_of_its_own(box: Box) -> None:
    path = box.place / "agent"
    seccomp(box, NOTIFY, listenerPath=str(path))
    agent = Listener(path)
    box.up("mkdir /tmp/x; sleep 1000")
    agent.close()
    path.unlink()
    agent = Listener(path)
    outcome = box.exec("sh", "-c", "mkdir /tmp/x; echo $?")
    agent.close()
    assert outcome.lines == ["1"] and "Permission denied" in outcome.err
    state = agent.message["state"]
    assert state["status"] == "running" and "metadata" not in agent.message
    assert agent.message["pid"] != state["pid"] == box.pid()


def test_a_listener_that_is_not_there_stops_the_container(box: Box) -> None:
    seccomp(box, NOTIFY, listenerPath=str(box.place / "nobody"))
    box.create("touch /tmp/ran")
    outcome = box.start()
    assert outcome.status == 1 and "cannot send the seccomp listener to" in outcome.err
    box.wait_for("stopped")
    assert not (box.rootfs / "tmp/ran").exists()


def test_a_listener_path_without_notify_is_ignored(box: Box) -> None:
    seccomp(box, deny("mkdir"), listenerPath=str(box.place / "nobody"))
    assert box.run("true").status == 0


def test_a_filter_that_refuses_all_ends_the_container(box: Box) -> None:
    """Neither execve nor the report of its failure nor exit_group is allowed: it must not spin for ever."""
    box.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ERRNO"}
    assert box.run("true", timeout=30).status == 128 + 4
    found = json.loads(box.call("validate", "--format", "json", str(box.bundle)).out)
    assert "advice-filtered-execve" in [problem["code"] for problem in found["problems"]]
