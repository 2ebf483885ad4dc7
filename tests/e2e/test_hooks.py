"""All six hooks (config.md, POSIX-platform Hooks): state, order, namespaces, timeout, failure."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.box import Box

KINDS = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]


def hook(script: str, **more: Any) -> dict[str, Any]:
    """A hook that is a shell script; in the container /bin/sh is busybox."""
    return {"path": "/bin/sh", "args": ["sh", "-c", script], **more}


def with_diary(box: Box) -> Path:
    """All six hooks write who they are, their state and their namespaces to a file outside."""
    diary = box.place / "diary"
    diary.mkdir()
    (box.rootfs / "diary").mkdir()
    box.mount("/diary", diary, "bind", "bind")
    box.spec["hooks"] = {}
    for kind in KINDS:
        place = "/diary" if kind == "startContainer" else diary
        script = f"cat > {place}/{kind}; echo {kind} >> {place}/order; readlink /proc/self/ns/mnt > {place}/{kind}.mnt"
        box.spec["hooks"][kind] = [hook(script, env=["PATH=/bin:/usr/bin"])]
    return diary


def test_order_state_and_namespaces(box: Box) -> None:
    diary = with_diary(box)
    box.spec["annotations"] = {"com.example": "kept"}
    box.create("sleep", "1000")
    before_start = (diary / "order").read_text().split()
    assert before_start == KINDS[:3]
    pid = box.pid()
    inside = os.readlink(f"/proc/{pid}/ns/mnt")
    assert box.start() == (0, "", "")
    assert (diary / "order").read_text().split() == KINDS[:5]
    box.delete("--force")
    assert (diary / "order").read_text().split() == KINDS
    states = {kind: json.loads((diary / kind).read_text()) for kind in KINDS}
    expected = dict(zip(KINDS, ["created", "creating", "creating", "created", "running", "stopped"], strict=True))
    assert {kind: state["status"] for kind, state in states.items()} == expected
    for state in states.values():
        assert state["id"] == box.name and state["bundle"] == str(box.bundle)
        assert state["annotations"] == {"com.example": "kept"} and state["ociVersion"] == "1.3.0"
    pids = {kind: state["pid"] for kind, state in states.items()}
    assert pids["prestart"] == pids["createRuntime"] == pids["poststart"] == pid
    assert pids["startContainer"] == 1 and pids["poststop"] == 0
    seen = {kind: (diary / f"{kind}.mnt").read_text().strip() for kind in KINDS}
    own = os.readlink("/proc/self/ns/mnt")
    assert [kind for kind in KINDS if seen[kind] == inside] == ["createContainer", "startContainer"]
    assert all(seen[kind] == own for kind in ("prestart", "createRuntime", "poststart", "poststop"))


def test_run_runs_them_too(box: Box) -> None:
    diary = with_diary(box)
    assert box.run("true").status == 0
    assert (diary / "order").read_text().split() == KINDS


@pytest.mark.parametrize("kind", KINDS[:3])
def test_a_failure_before_start_leaves_nothing(box: Box, kind: str) -> None:
    box.spec["hooks"] = {
        kind: [hook("echo reason >&2; exit 3"), hook(f"touch {box.place}/second")],
        "poststop": [hook(f"cat > {box.place}/poststop")],
    }
    outcome = box.create("sleep", "1000")
    assert outcome.status == 1 and "reason" in outcome.err and "3" in outcome.err
    (record,) = box.records()
    assert record["origin"] == f"/hooks/{kind}/0"
    assert not (box.place / "second").exists()
    assert not (box.root / box.name).exists()
    assert json.loads((box.place / "poststop").read_text())["status"] == "stopped"


def test_a_failing_start_container_hook_stops_the_start(box: Box) -> None:
    box.spec["hooks"] = {"startContainer": [hook("exit 4")]}
    assert box.create("touch /started").status == 0
    outcome = box.start()
    assert outcome.status == 1 and box.records()[0]["origin"] == "/hooks/startContainer/0"
    box.wait_for("stopped")
    assert not (box.rootfs / "started").exists()


def test_a_failing_poststart_hook_stops_the_container(box: Box) -> None:
    box.spec["hooks"] = {"poststart": [hook("exit 4")], "poststop": [hook(f"touch {box.place}/stopped")]}
    assert box.create("sleep", "1000").status == 0
    assert box.start().status == 1
    assert not (box.root / box.name).exists() and (box.place / "stopped").exists()


def test_a_failing_poststop_hook_is_a_warning(box: Box) -> None:
    box.spec["hooks"] = {"poststop": [hook("exit 4"), hook(f"touch {box.place}/second")]}
    box.create("sleep", "1000")
    assert box.delete().status == 0
    assert (box.place / "second").exists()


def test_timeout(box: Box) -> None:
    box.spec["hooks"] = {"createRuntime": [hook("sleep 1000", timeout=1)]}
    began = time.monotonic()
    outcome = box.create("true")
    assert outcome.status == 1 and 0.9 < time.monotonic() - began < 9
    assert "did not end within 1 s" in outcome.err


def test_a_hook_that_is_not_there(box: Box) -> None:
    box.spec["hooks"] = {"createRuntime": [{"path": "/no/such/hook"}]}
    outcome = box.create("true")
    assert outcome.status == 1 and "/no/such/hook" in outcome.err and "no such file" in outcome.err


def test_environment_and_arguments(box: Box) -> None:
    out = box.place / "seen"
    box.spec["hooks"] = {
        "createRuntime": [
            {"path": "/bin/sh", "args": ["zero", "-c", f'echo "$0 $A" > {out}; env >> {out}'], "env": ["A=b"]}
        ]
    }
    box.create("true")
    lines = out.read_text().splitlines()
    assert lines[0] == "zero b" and "A=b" in lines and not any(line.startswith("HOME=") for line in lines)


def test_a_hook_may_ask_for_the_state(box: Box) -> None:
    """A hook that calls the runtime must not wait for the create that waits for the hook."""
    out = box.place / "seen"
    box.spec["hooks"] = {
        "createRuntime": [hook(f"{box.runtime} --root {box.root} state {box.name} > {out}", timeout=9)]
    }
    assert box.create("true").status == 0
    assert json.loads(out.read_text())["status"] == "creating"


@pytest.mark.parametrize("no_new_privileges", [True, False])
def test_a_start_container_hook_is_the_programs_user(box: Box, no_new_privileges: bool) -> None:
    """It is a program of the image: as root with every capability it would own the host."""
    show = "id; grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; ulimit -n; umask; pwd; echo $HOME"
    sets = {kind: ["CAP_KILL", "CAP_CHOWN"] for kind in ("bounding", "effective", "permitted", "inheritable")}
    box.process.update(
        user={"uid": 1000, "gid": 1000, "additionalGids": [7], "umask": 0o77},
        capabilities={**sets, "ambient": ["CAP_KILL"]},
        rlimits=[{"type": "RLIMIT_NOFILE", "soft": 50, "hard": 60}],
        noNewPrivileges=no_new_privileges,
        cwd="/etc",
        env=["PATH=/bin"],
    )
    box.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_ERRNO"}],
    }
    (box.rootfs / "tmp").chmod(0o777)
    box.spec["hooks"] = {"startContainer": [hook(f"({show}) > /tmp/hook")]}
    program = box.run(show)
    assert program.status == 0, program
    assert (box.rootfs / "tmp/hook").read_text() == program.out
    assert "uid=1000(user)" in program.out and "CapAmb:\t0000000000000020" in program.out


def test_a_start_container_hook_reaches_no_descriptor_of_the_runtime(box: Box) -> None:
    box.spec["hooks"] = {"startContainer": [hook("ls -l /proc/self/fd /proc/1/exe /proc/1/fd > /tmp/hook 2>&1")]}
    assert box.run("true").status == 0
    said = (box.rootfs / "tmp/hook").read_text()
    assert "socket" not in said.partition("/proc/1")[0] and "memfd" not in said.partition("/proc/1")[0]
    assert "python" not in said
