"""An init that borrows the runtime's memory until it executes the player (native/borrow.h, plan/namespaces.py)."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.box import OCIRUNTIME, Box
from tests.e2e.test_namespaces import mapped, sleeper

INTERPRETER = next((Path(OCIRUNTIME).parents[1] / "lib").glob("python3*/site-packages/ociruntime/interpreter"), None)

pytestmark = [
    pytest.mark.skipif(not shutil.which("strace"), reason="needs strace: apt-get install strace"),
    pytest.mark.skipif(not INTERPRETER, reason="needs the runtime's own interpreter: libpython as an archive"),
]


def traced(box: Box, *options: str) -> tuple[int, str]:
    """`run` of true under strace: its status, and the calls that were traced."""
    calls = box.place / "calls"
    box.before = ["strace", "-f", "-o", str(calls), *options]
    status = box.run("true").status
    return status, calls.read_text()


def clones(box: Box) -> list[str]:
    """The flags of the container's clone in a run of true."""
    status, calls = traced(box, "-e", "trace=clone3,clone")
    assert status == 0
    return [flags for flags in re.findall(r"clone3?\(.*?flags=([A-Z_|]*)", calls) if "CLONE_NEW" in flags]


def test_the_usual_init_borrows(box: Box) -> None:
    (flags,) = clones(box)
    assert "CLONE_VM" in flags.split("|") and "CLONE_NEWPID" in flags and "CLONE_NEWNS" not in flags


def test_a_user_namespace_is_a_reason_not_to(box: Box) -> None:
    box.linux["namespaces"].append({"type": "user"})
    mapped(box)
    assert clones(box) and "CLONE_VM" not in "".join(clones(box))


def test_who_can_be_seen_does_not_borrow(box: Box) -> None:
    """Processes of another container live in the pid namespace."""
    with sleeper("--fork", "--kill-child", "--pid") as pid:
        (child,) = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=True).stdout.split()
        box.namespaces("mount", "ipc", "uts", "cgroup", "network", pid=f"/proc/{child}/ns/pid")
        assert clones(box) and "CLONE_VM" not in "".join(clones(box))


@pytest.mark.parametrize("how", ["borrowed", "copied", "clone"])
def test_the_filter_is_there_however_the_child_was_made(box: Box, how: str) -> None:
    """The parent takes it from the cache before the clone or after it. --debug is a reason for a copy."""
    box.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["sethostname"], "action": "SCMP_ACT_ERRNO"}],
    }
    box.process["args"] = ["grep", "^Seccomp:.*2$", "/proc/self/status"]
    box.write()
    if how == "clone":  # as where the filter of an outer container does not know clone3
        box.before = ["strace", "-f", "-o", "/dev/null", "-e", "inject=clone3:error=ENOSYS"]
    outcome = box.call(*["--debug"] * (how == "copied"), "run", box.name)
    assert outcome.status == 0, outcome


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        ("unshare", "ENOSPC", "cannot create the container's namespaces"),
        ("unshare", "EPERM", "needs CAP_SYS_ADMIN"),
        ("socket", "EMFILE", "ip link set lo up"),
    ],
)
def test_what_fails_ahead_is_explained(box: Box, call: str, error: str, said: str) -> None:
    """The child meets the refusal once more in Python, which has words for it."""
    status, calls = traced(box, "-e", f"trace={call}", "-e", f"inject={call}:error={error}")
    assert status == 1 and calls.count("(INJECTED)") >= 2
    assert said in (box.place / "err").read_text()
    assert not (box.root / box.name).exists()
