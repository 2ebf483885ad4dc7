"""Standard streams belong to the container's user, so that /dev/stdout can be opened anew."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.box import OCIRUNTIME, Box
from tests.e2e.test_namespaces import mapped

USER = {"uid": 1000, "gid": 1000}


def piped(box: Box) -> subprocess.CompletedProcess[str]:
    box.process["args"] = ["sh", "-c", "echo out > /dev/stdout; echo err > /dev/stderr"]
    box.write()
    command = [OCIRUNTIME, "--root", str(box.root), "run", box.name]
    return subprocess.run(command, capture_output=True, text=True, cwd=box.bundle, timeout=60, check=False)


def test_a_pipe_is_opened_anew_by_a_user(box: Box) -> None:
    box.process["user"] = USER
    result = piped(box)
    assert (result.returncode, result.stdout, result.stderr) == (0, "out\n", "err\n")


def test_a_pipe_is_opened_anew_in_a_user_namespace(box: Box) -> None:
    mapped(box)
    box.namespaces("pid", "mount", "uts", "ipc", "network", "user")
    box.process["user"] = USER
    result = piped(box)
    assert (result.returncode, result.stdout, result.stderr) == (0, "out\n", "err\n")


def test_exec_gives_its_pipes(box: Box) -> None:
    box.up()
    command = [OCIRUNTIME, "--root", str(box.root), "exec", "--user", "1000:1000", box.name]
    script = ["sh", "-c", "echo out > /dev/stdout"]
    result = subprocess.run([*command, *script], capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout) == (0, "out\n"), result


@pytest.mark.parametrize("file", ["null", "regular"])
def test_files_and_devices_of_the_caller_keep_their_owner(box: Box, tmp_path: Path, file: str) -> None:
    path = Path("/dev/null") if file == "null" else tmp_path / "file"
    path.touch()
    before = os.stat(path).st_uid
    box.process["user"] = USER
    box.process["args"] = ["true"]
    box.write()
    with path.open("wb") as stream:
        command = [OCIRUNTIME, "--root", str(box.root), "run", box.name]
        subprocess.run(command, stdin=stream, stdout=stream, stderr=stream, cwd=box.bundle, timeout=60, check=True)
    assert os.stat(path).st_uid == before


def test_the_terminal_is_the_users(box: Box) -> None:
    box.process["user"] = USER
    box.process["terminal"] = True
    box.process["args"] = ["sh", "-c", "stat -c %u:%g $(tty) > /tmp/owner; echo hello > /dev/stdout"]
    (box.rootfs / "tmp").chmod(0o777)
    box.write()
    master, slave = os.openpty()
    try:
        command = [OCIRUNTIME, "--root", str(box.root), "run", box.name]
        subprocess.run(command, stdin=slave, stdout=slave, stderr=slave, cwd=box.bundle, timeout=60, check=True)
    finally:
        os.close(slave)
    seen = os.read(master, 4096)
    os.close(master)
    assert (box.rootfs / "tmp/owner").read_text() == "1000:5\n"
    assert b"hello" in seen
