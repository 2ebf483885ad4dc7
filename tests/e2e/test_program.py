"""Programs that cannot be executed: told by create where it can know, by start where only execve knows (1.9, 1.11)."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path

import pytest

from tests.e2e.box import Box

# The words before the hint are what engines match for 126 and 127
AT_CREATE = {
    "nope": 'exec: "nope": executable file not found in $PATH',
    "/bin/nope": 'exec: "/bin/nope": stat /bin/nope: no such file or directory',
    "/etc": 'exec: "/etc": permission denied (is a directory)',
    "/etc/passwd": 'exec: "/etc/passwd": permission denied',
    "/etc/passwd/x": 'exec: "/etc/passwd/x": stat /etc/passwd/x: not a directory',
    "/tmp/fifo": 'exec: "/tmp/fifo": permission denied (not a regular file)',
}
AT_START = {
    "interpreter": (b"#!/usr/bin/perl -w\n", "no such file or directory", '"/usr/bin/perl" is not in the container'),
    "carriage": (b"#!/bin/sh\r\nexit 0\r\n", "no such file or directory", "dos2unix"),
    "text": (b"exit 0\n", "exec format error", "#!/bin/sh"),
    "empty": (b"", "exec format error", "the file is empty"),
    "foreign": (
        b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 22, 1, 0, 64, 0, 0, 64, 56, 0, 0, 0, 0),
        "exec format error",
        "it was built for s390x",
    ),
}


def make(box: Box, name: str, content: bytes) -> str:
    path = box.rootfs / "bin" / name
    path.write_bytes(content)
    path.chmod(0o755)
    return name


def errors(box: Box) -> list[str]:
    return [record["msg"] for record in box.records() if record["level"] == "error"]


@pytest.mark.parametrize("name", AT_CREATE)
def test_create_knows(box: Box, name: str) -> None:
    fifo = box.rootfs / "tmp/fifo"
    fifo.unlink(missing_ok=True)
    os.mkfifo(fifo, 0o755)
    outcome = box.create(name, "argument")
    assert outcome.status == 1
    (line,) = errors(box)
    assert line.startswith(AT_CREATE[name]) and outcome.err.startswith(AT_CREATE[name])
    assert box.call("state", box.name).status == 1, "a failed create leaves nothing"


@pytest.mark.parametrize("way", ["start", "run", "exec"])
@pytest.mark.parametrize("name", AT_START)
def test_start_hears_what_execve_said(box: Box, name: str, way: str) -> None:
    content, words, hint = AT_START[name]
    make(box, name, content)
    if way == "exec":
        box.up("sleep", "1000")
        outcome = box.exec(name, "argument")
    elif way == "run":
        outcome = box.run(name, "argument")
    else:
        assert box.create(name, "argument").status == 0
        outcome = box.start()
    assert outcome.status == (255 if way == "exec" else 1)
    (line,) = errors(box)
    assert line.startswith(f"exec /bin/{name}: {words}") and hint in line
    assert outcome.err.strip() == line and outcome.out == ""
    if way == "start":
        box.wait_for("stopped")
    elif way == "run":
        assert box.call("state", box.name).status == 1


def test_a_missing_loader_is_named(box: Box) -> None:
    dynamic = next((path for path in ("/bin/ls", "/usr/bin/ls") if Path(path).exists()), "")
    if not dynamic or b"ld-" not in Path(dynamic).read_bytes()[:4096]:
        pytest.skip("needs a dynamic program of this machine")
    shutil.copy(dynamic, box.rootfs / "bin/dynamic")
    outcome = box.run("dynamic", "/")
    assert "it needs the loader" in outcome.err and "no such file or directory" in outcome.err


def test_a_program_on_a_noexec_mount(box: Box) -> None:
    source = box.place / "noexec"
    source.mkdir()
    shutil.copy(box.rootfs / "bin/busybox", source / "true")
    box.mount("/mnt", source, "bind", "bind", "noexec")
    (box.rootfs / "mnt").mkdir()
    outcome = box.run("/mnt/true", "x")
    assert outcome.status == 1 and "permission denied" in outcome.err


def test_the_hint_is_read_inside_of_the_image(box: Box) -> None:
    """A link that leads to a file of the host must not be read there, even for an explanation."""
    secret = box.place / "secret"
    secret.write_bytes(b"#!/secret-of-the-host\n")
    make(box, "leads", b"#!/bin/gone\n")
    (box.rootfs / "bin/gone").symlink_to(secret)
    outcome = box.run("leads", "x")
    assert "secret-of-the-host" not in outcome.err and '"/bin/gone" is not in the container' in outcome.err


@pytest.mark.parametrize(
    ("way", "name"),  # with exec, /proc/1/exe is the container's own program
    [
        ("run", "/proc/1/exe"),
        ("run", "/proc/self/exe"),
        ("run", "itself"),
        ("exec", "/proc/self/exe"),
        ("exec", "itself"),
    ],
)
def test_the_runtime_is_no_program_of_the_container(box: Box, way: str, name: str) -> None:
    """Such a link leads to the player, which the kernel executes a second time; it then says why nothing runs."""
    make(box, "itself", b"#!/proc/self/exe\n")
    if way == "exec":
        box.up("sleep", "1000")
    outcome = box.run(name, "argument") if way == "run" else box.exec(name, "argument")
    assert (outcome.status, outcome.out) == (121, "")
    (line,) = outcome.err.splitlines()
    assert "exec format error (ENOEXEC)" in line and "process.args" in line
