"""process.terminal: the console socket, the foreground, /dev/console, sizes (docs/compatibility.md)."""

from __future__ import annotations

import array
import fcntl
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from tests.e2e.box import Box


def read_until(fd: int, word: bytes, seconds: float = 10) -> bytes:
    """What a terminal says until a word is in it."""
    said = b""
    while word not in said:
        assert select.select([fd], [], [], seconds)[0], f"no {word!r} in {said!r}"
        try:
            part = os.read(fd, 4096)
        except OSError:
            part = b""
        assert part, f"ended without {word!r}: {said!r}"
        said += part
    return said


def receive(listener: socket.socket) -> tuple[bytes, list[int]]:
    connection, _ = listener.accept()
    with connection:
        message, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(64))
        fds = array.array("i")
        for _, _, data in ancillary:
            fds.frombytes(data)
        assert connection.recv(1) == b""
        return message, list(fds)


@pytest.fixture
def listener(box: Box) -> socket.socket:
    box.process["terminal"] = True
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(box.place / "tty.sock"))
    listener.listen()
    listener.settimeout(20)
    return listener


def test_console_socket(box: Box, listener: socket.socket) -> None:
    box.process["consoleSize"] = {"height": 10, "width": 20}
    script = "tty; stty size; stat -c '%t:%T %n' /dev/console /dev/pts/0; echo x > /dev/console; exec sleep 1000"
    with listener:
        options = ("--console-socket", str(box.place / "tty.sock"))
        assert box.create(script, options=options) == (0, "", "")
        message, fds = receive(listener)
        assert message and len(fds) == 1
        assert box.start().status == 0
        said = read_until(fds[0], b"x\r\n").decode()
        os.close(fds[0])
    assert "/dev/pts/0\r\n10 20\r\n" in said
    assert "88:0 /dev/console" in said and "88:0 /dev/pts/0" in said  # major 136


@pytest.mark.parametrize("linked", ["dev/console", "dev/pts"])
def test_links_in_the_image_lead_nowhere(box: Box, listener: socket.socket, linked: str) -> None:
    """CVE-2025-52565, CVE-2026-88264: without a /dev mount, the image decides what /dev is."""
    box.spec["mounts"] = [mount for mount in box.spec["mounts"] if not mount["destination"].startswith("/dev")]
    victim = box.place / "victim"
    victim.write_text("untouched")
    (box.rootfs / linked).symlink_to(victim)
    before = victim.stat()
    with listener:
        outcome = box.create("sleep", "1000", options=("--console-socket", str(box.place / "tty.sock")))
    assert outcome.status == 1
    assert victim.read_text() == "untouched" and victim.stat().st_ctime_ns == before.st_ctime_ns


def test_the_rules_of_terminal_and_socket(box: Box, listener: socket.socket) -> None:
    outcome = box.create("true")
    assert outcome.status == 1 and "without setting console socket" in outcome.err
    box.process["terminal"] = False
    outcome = box.create("true", options=("--console-socket", str(box.place / "tty.sock")))
    assert outcome.status == 1 and "will not detach or allocate tty" in outcome.err
    listener.close()


def in_terminal(box: Box, *words: str) -> tuple[subprocess.Popen[bytes], int]:
    """The runtime on a terminal of ours, 33 rows by 44 columns."""
    master, slave = pty.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 44, 0, 0))
    command = [box.runtime, "--root", str(box.root), *words]
    running = subprocess.Popen(command, cwd=box.bundle, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    return running, master


def test_foreground_terminal(box: Box) -> None:
    box.process["terminal"] = True
    box.process["args"] = [
        "sh",
        "-c",
        "stty size; trap 'stty size; exit 3' WINCH; read line; echo got $line; while :; do sleep 0.05; done",
    ]
    box.write()
    running, master = in_terminal(box, "run", box.name)
    read_until(master, b"33 44")
    os.write(master, b"hello\r")
    read_until(master, b"got hello")
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 60, 0, 0))
    running.send_signal(signal.SIGWINCH)
    read_until(master, b"50 60")
    assert running.wait(20) == 3
    os.close(master)


def test_exec_with_a_terminal(box: Box) -> None:
    box.up()
    running, master = in_terminal(box, "exec", "--tty", box.name, "sh", "-c", "tty; exit 5")
    read_until(master, b"/dev/pts/")
    assert running.wait(20) == 5
    os.close(master)


def test_the_terminal_of_exec_follows_the_size_of_ours(box: Box) -> None:
    box.up()
    script = "stty size; until [ \"$(stty size)\" = '50 60' ]; do sleep 0.05; done; stty size; exit 3"
    running, master = in_terminal(box, "exec", "--tty", box.name, "sh", "-c", script)
    read_until(master, b"33 44")
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 60, 0, 0))
    running.send_signal(signal.SIGWINCH)
    read_until(master, b"50 60")
    assert running.wait(20) == 3
    os.close(master)


def test_exec_with_a_console_socket(box: Box, listener: socket.socket) -> None:
    box.process["terminal"] = False
    box.up()
    with listener:
        options = ("--tty", "--detach", "--console-socket", str(box.place / "tty.sock"))
        pid_file = box.place / "pid"
        outcome = box.exec("sh", "-c", "echo inside; exec sleep 1000", options=(*options, "--pid-file", str(pid_file)))
        assert outcome == (0, "", "")
        _, fds = receive(listener)
        read_until(fds[0], b"inside")
        os.close(fds[0])
    assert Path(f"/proc/{pid_file.read_text()}/comm").exists()


def test_a_terminal_handed_over_as_standard_input(box: Box) -> None:
    """CRI-O and buildkit bring a terminal of their own and no --tty."""
    box.process["args"] = ["sh", "-c", "test -t 0 && echo is a terminal"]
    box.write()
    running, master = in_terminal(box, "run", box.name)
    read_until(master, b"is a terminal")
    assert running.wait(20) == 0
    os.close(master)
