"""NOTIFY_SOCKET (sd_notify(3), docs/compatibility.md): the container is ready when it says so."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from tests.e2e.box import Box


class Manager:
    """A service manager's end: collects what it is told."""

    def __init__(self, place: Path) -> None:
        self.path = place / "manager.sock"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.settimeout(20)
        self.environment = {**os.environ, "NOTIFY_SOCKET": str(self.path)}

    def hear(self) -> str:
        message, fds, _, _ = socket.recv_fds(self.socket, 4096, 4)
        for fd in fds:
            os.close(fd)  # which is how a manager answers a barrier
        return message.decode()


def say(box: Box, message: str) -> str:
    """A shell line that sends a datagram: busybox has no tool for it, so the host's python is bound in."""
    box.mount("/usr", "/usr", "bind", "rbind", "ro")
    for name in ("lib", "lib64"):
        if os.path.islink(f"/{name}"):
            (box.rootfs / name).symlink_to(os.readlink(f"/{name}"))
    code = "import os,socket; s=socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)"
    return f"/usr/bin/python3 -c \"{code}; s.sendto(b'{message}', os.environ['NOTIFY_SOCKET'])\""


@pytest.fixture
def manager(box: Box) -> Manager:
    return Manager(box.place)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("how", ["start", "run"])
def test_ready_is_passed_on(box: Box, manager: Manager, how: str) -> None:
    box.process["args"] = ["sh", "-c", f"{say(box, 'READY=1')}; exec sleep 1000"]
    box.write()
    root = ["--root", str(box.root)]
    if how == "start":
        assert box.call("create", box.name, env=manager.environment).status == 0
        command = [box.runtime, *root, "start", box.name]
    else:
        command = [box.runtime, *root, "run", "--detach", box.name]
    with subprocess.Popen(command, cwd=box.bundle, env=manager.environment, stdout=subprocess.DEVNULL) as running:
        heard = [manager.hear() for _ in range(3)]
        assert running.wait(20) == 0
    assert heard == ["READY=1", f"MAINPID={box.pid()}", "BARRIER=1"]
    assert box.exec("stat", "-c", "%F", "/run/notify/notify.sock").out == "socket\n"
    manager.socket.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_container_that_ends_is_not_waited_for(box: Box, manager: Manager) -> None:
    box.process["args"] = ["true"]
    box.write()
    assert box.call("create", box.name, env=manager.environment).status == 0
    assert box.call("start", box.name, env=manager.environment, timeout=20).status == 0
    manager.socket.close()


def test_without_a_manager_there_is_no_socket(box: Box) -> None:
    assert box.run("ls /run/notify; echo $NOTIFY_SOCKET").lines == [""]
