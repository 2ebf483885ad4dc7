"""The same containers under runc and under ociruntime, and the answers of both side by side."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.box import OCIRUNTIME, Box, Outcome

RUNC = shutil.which("runc")
pytestmark = pytest.mark.skipif(RUNC is None, reason="this machine has no runc to compare with")


class Pair(NamedTuple):
    """Two boxes that are treated alike."""

    runc: Box
    ours: Box

    def call(self, *words: str) -> tuple[Outcome, Outcome]:
        """The same words for both; ID stands for the name of the container."""
        outcomes = [box.call(*(box.name if word == "ID" else word for word in words)) for box in self]
        return outcomes[0], outcomes[1]

    def up(self) -> None:
        for box in self:
            box.up("sleep", "1000")


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    assert RUNC
    boxes = []
    for runtime in (RUNC, OCIRUNTIME):
        place = tmp_path / Path(runtime).name
        place.mkdir()
        boxes.append(Box(place, f"e2e-{os.getpid()}-{place.name}", runtime))
        boxes[-1].root.mkdir()
    yield Pair(*boxes)
    for box in boxes:
        box.call("delete", "--force", box.name)


def keys(text: str) -> list[str]:
    return list(json.loads(text))


def test_silent_commands_print_nothing(pair: Pair) -> None:
    """containerd takes whatever is printed for the message of an error."""
    for box in pair:
        box.write()
    pair.ours.process["args"] = pair.runc.process["args"] = ["sleep", "1000"]
    for box in pair:
        box.write()
    for words in (
        ["create", "ID"],
        ["start", "ID"],
        ["pause", "ID"],
        ["resume", "ID"],
        ["update", "--pids-limit", "100", "ID"],
        ["exec", "--detach", "ID", "true"],
        ["kill", "ID", "KILL"],
    ):
        for outcome in pair.call(*words):
            assert (outcome.status, outcome.out) == (0, ""), (words, outcome)
    for box in pair:
        box.wait_for("stopped")
    for outcome in pair.call("delete", "ID"):
        assert outcome == (0, "", "")


@pytest.mark.parametrize("status", ["created", "running", "paused", "stopped"])
def test_state(pair: Pair, status: str) -> None:
    documents = []
    for box in pair:
        box.spec["annotations"] = {"a": "b"}
        bring_to(box, status)
        document = json.loads(box.call("state", box.name).out)
        assert document["status"] == status
        assert (document["pid"] == 0) == (status == "stopped")
        assert document["bundle"] == str(box.bundle) and document["rootfs"] == str(box.rootfs)
        assert datetime.fromisoformat(document["created"][:26].rstrip("Z")).year > 2000
        assert document["created"].endswith("Z")
        documents.append(document)
    assert list(documents[1]) == list(documents[0])
    assert {name: type(value) for name, value in documents[1].items()} == {
        name: type(value) for name, value in documents[0].items()
    }


def bring_to(box: Box, status: str) -> None:
    created = box.create("sleep", "1000")
    assert created.status == 0, created
    if status != "created":
        assert box.start().status == 0
    if status == "paused":
        assert box.call("pause", box.name).status == 0
    if status == "stopped":
        assert box.kill().status == 0
        box.wait_for("stopped")


def test_list(pair: Pair) -> None:
    pair.up()
    tables = [outcome.lines for outcome in pair.call("list")]
    for box, (heading, row) in zip(pair, tables, strict=True):
        assert heading.split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
        # every cell begins where its heading does
        starts = [heading.index(word) for word in heading.split()]
        cells = [row[start:].split(" ", 1)[0] for start in starts]
        assert cells[0] == box.name and cells[2] == "running" and cells[3] == str(box.bundle) and cells[5] == "root"
    for box, outcome in zip(pair, pair.call("list", "--quiet"), strict=True):
        assert outcome.out == box.name + "\n"
    reference, ours = (json.loads(outcome.out) for outcome in pair.call("list", "--format", "json"))
    assert list(ours[0]) == list(reference[0])
    assert ours[0]["owner"] == reference[0]["owner"] == "root"


@pytest.mark.parametrize("peer", ["runc", "crun"])
def test_a_container_of_another_runtime_is_left_alone(box: Box, peer: str) -> None:
    """Under one --root: nothing is known of its processes and cgroups, so nothing is done to it."""
    runtime = shutil.which(peer)
    if not runtime:
        pytest.skip(f"this machine has no {peer}")
    box.spec["ociVersion"] = "1.0.2"
    box.root.mkdir()
    theirs = copy.copy(box)
    theirs.runtime = runtime
    made = theirs.run("sleep", "1000", options=("--detach",))
    if made.status:
        pytest.skip(f"{peer} does not run here: {made.err}")
    before = sorted(path.name for path in (box.root / box.name).iterdir())
    try:
        for words in ("state", "start", "kill", "delete", "delete --force", "pause", "ps", "update", "exec ID true"):
            outcome = box.call(*(words.replace("ID", box.name) if "ID" in words else f"{words} {box.name}").split())
            assert outcome.status == (255 if "ID" in words else 1)
            assert "was created by another runtime" in outcome.err, words
        listed = box.call("list", "--quiet")
        assert (listed.status, listed.out) == (0, "") and "was created by another runtime" in listed.err
        assert sorted(path.name for path in (box.root / box.name).iterdir()) == before
    finally:
        theirs.call("delete", "--force", box.name)


@pytest.mark.parametrize("content", ["", "[]", "garbage", "null", '{"startTime":'])
def test_a_damaged_state_spoils_no_list(box: Box, content: str) -> None:
    box.up()
    state = box.root / box.name / "state.json"
    whole = state.read_text()
    state.write_text(content)
    refused = box.call("state", box.name)
    assert refused.status == 1 and box.records()[-1]["code"] == "state-damaged"
    listed = box.call("list", "--quiet")
    assert (listed.status, listed.out) == (0, "") and "state.json is damaged" in listed.err
    state.write_text(whole)


def test_ps(pair: Pair) -> None:
    pair.up()
    for box, outcome in zip(pair, pair.call("ps", "--format", "json", "ID"), strict=True):
        assert json.loads(outcome.out) == [box.pid()]
    for box, outcome in zip(pair, pair.call("ps", "ID"), strict=True):
        heading, line = outcome.lines
        assert heading.split()[:3] == ["UID", "PID", "PPID"] and line.split()[1] == str(box.pid())
    for box, outcome in zip(pair, pair.call("ps", "ID", "-o", "pid,comm"), strict=True):
        assert [line.split() for line in outcome.lines] == [["PID", "COMMAND"], [str(box.pid()), "sleep"]]


def test_ps_of_a_stopped_container(pair: Pair) -> None:
    for box in pair:
        bring_to(box, "stopped")
    reference, ours = pair.call("ps", "--format", "json", "ID")
    assert ours == reference


@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("exit 255", 255)]
)
def test_exec_passes_the_status_on(pair: Pair, script: str, status: int) -> None:
    pair.up()
    for outcome in pair.call("exec", "ID", "sh", "-c", script):
        assert outcome.status == status, outcome


def test_exec_options(pair: Pair) -> None:
    pair.up()
    script = "id -u; id -g; id -G; pwd; echo $A; tr '\\0' ' ' < /proc/self/cmdline; grep NoNewPrivs /proc/self/status"
    words = "--user 5:6 -g 7 -g 8 --cwd /tmp --env A=b --no-new-privs".split()
    reference, ours = pair.call("exec", *words, "ID", "sh", "-c", script, "--env", "C=d")
    assert ours.status == 0, ours
    assert ours.out == reference.out


def test_exec_capabilities(pair: Pair) -> None:
    pair.up()
    reference, ours = pair.call("exec", "--cap", "CAP_NET_RAW", "ID", "grep", "^Cap", "/proc/self/status")
    assert ours.out == reference.out


def test_exec_reads_a_process_document(pair: Pair) -> None:
    pair.up()
    document = {"args": ["sh", "-c", "echo $A; pwd; exit 3"], "cwd": "/tmp", "env": ["PATH=/bin", "A=b"], "user": {}}
    document["user"] = {"uid": 0, "gid": 0}
    for box in pair:
        (box.bundle / "process.json").write_text(json.dumps(document))
    reference, ours = pair.call("exec", "--process", "process.json", "ID")
    assert ours == reference
    assert (ours.status, ours.out) == (3, "b\n/tmp\n")


@pytest.mark.parametrize("more", [{}, {"capabilities": {}}, {"capabilities": {"bounding": ["CAP_KILL"]}}])
def test_exec_takes_over_capabilities(pair: Pair, more: dict[str, object]) -> None:
    """Those of the container, where the document says nothing of them."""
    pair.up()
    document = {"args": ["grep", "^Cap", "/proc/self/status"], "cwd": "/", "env": ["PATH=/bin"], **more}
    for box in pair:
        (box.bundle / "process.json").write_text(json.dumps({**document, "user": {"uid": 0, "gid": 0}}))
    reference, ours = pair.call("exec", "--process", "process.json", "ID")
    assert ours == reference and ours.status == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["exec", "ID", "/nope"], "no such file or directory"),
        (["exec", "ID", "nope"], "executable file not found in $path"),
        (["exec", "ID", "/tmp"], "permission denied"),
        (["exec", "--cwd", "tmp", "ID", "true"], "absolute"),
        (["exec", "ID"], "process args cannot be empty"),
        (["exec", "--tty", "--detach", "ID", "true"], "cannot allocate tty"),
    ],
)
def test_exec_fails_with_255(pair: Pair, words: list[str], sentence: str) -> None:
    pair.up()
    for box, outcome in zip(pair, pair.call(*words), strict=True):
        assert outcome.status == 255, outcome
        assert sentence in outcome.err.lower()
        assert [record["level"] for record in box.records()] == ["error"]


def test_pid_files_hold_digits_alone(pair: Pair) -> None:
    """go-runc parses them strictly."""
    for box in pair:
        box.process["args"] = ["sleep", "1000"]
        box.write()
    pair.call("create", "--pid-file", "init.pid", "ID")
    pair.call("start", "ID")
    pair.call("exec", "--detach", "--pid-file", "exec.pid", "ID", "sleep", "1000")
    for box in pair:
        init, second = ((box.bundle / name).read_text() for name in ("init.pid", "exec.pid"))
        assert init == str(box.pid())
        assert second.isdigit() and second in {
            str(pid) for pid in json.loads(box.call("ps", "-f", "json", box.name).out)
        }
        modes = [(box.bundle / name).stat().st_mode & 0o777 for name in ("init.pid", "exec.pid")]
        assert modes == [0o644, 0o644]


@pytest.mark.parametrize(
    ("status", "words", "sentence"),
    [
        ("running", ["start", "ID"], "cannot start an already running container"),
        ("running", ["delete", "ID"], "that is not stopped: running"),
        ("running", ["create", "ID"], "container with given id already exists"),
        ("stopped", ["start", "ID"], "cannot start a container that has stopped"),
        ("stopped", ["kill", "ID", "KILL"], "container not running"),
        ("stopped", ["exec", "ID", "true"], "cannot exec in a stopped container"),
        ("stopped", ["pause", "ID"], "container not running"),
        ("paused", ["exec", "ID", "true"], "paused container"),
    ],
)
def test_refusals_by_status(pair: Pair, status: str, words: list[str], sentence: str) -> None:
    for box in pair:
        bring_to(box, status)
    reference, ours = pair.call(*words)
    assert ours.status == reference.status != 0
    for box, outcome in zip(pair, (reference, ours), strict=True):
        assert sentence in outcome.err.lower(), outcome
        (record,) = box.records()
        assert record["level"] == "error" and sentence in record["msg"].lower()


@pytest.mark.parametrize("signal", ["TERM", "INT", "HUP", "KILL", "USR1"])
def test_signals_before_the_start(pair: Pair, signal: str) -> None:
    """A container that waits for its start ends by those that end a runtime, too."""
    for box in pair:
        bring_to(box, "created")
    for outcome in pair.call("kill", "ID", signal):
        assert outcome == (0, "", "")
    for box in pair:
        if signal != "USR1":
            box.wait_for("stopped")
        else:
            assert box.state()["status"] == "created"


@pytest.mark.parametrize("words", [["kill", "--all", "ID", "KILL"], ["delete", "--force", "ID"]])
def test_what_a_stopped_container_allows(pair: Pair, words: list[str]) -> None:
    for box in pair:
        bring_to(box, "stopped")
    for outcome in pair.call(*words):
        assert outcome.status == 0, outcome


@pytest.mark.parametrize("signal", ["15", "TERM", "SIGTERM", "sigterm", ""])
def test_signals(pair: Pair, signal: str) -> None:
    for box in pair:
        box.up("trap 'exit 3' TERM; while :; do sleep 1; done")
    for outcome in pair.call("kill", "ID", *[signal][: bool(signal)]):
        assert outcome.status == 0, outcome
    for box in pair:
        box.wait_for("stopped")


def test_stats(pair: Pair) -> None:
    pair.up()
    reference, ours = (json.loads(outcome.out) for outcome in pair.call("events", "--stats", "ID"))
    assert (ours["type"], ours["id"]) == ("stats", pair.ours.name)
    assert list(ours) == list(reference)
    assert shape(reference["data"]) - shape(ours["data"]) == set()


def shape(value: object, path: str = "") -> set[str]:
    """Every member of a document by its path; hardware decides about the sizes of huge pages and raw counters."""
    if not isinstance(value, dict) or path in ("/hugetlb", "/memory/raw"):
        return {path}
    return {path, *(inner for name, entry in value.items() for inner in shape(entry, f"{path}/{name}"))}


@pytest.mark.parametrize(
    ("words", "file", "value"),
    [
        (["--memory", "64m"], "memory/memory.limit_in_bytes", str(64 << 20)),
        (["--memory", "64m", "--memory-swap", "128m"], "memory/memory.memsw.limit_in_bytes", str(128 << 20)),
        (["--memory-reservation", "32m"], "memory/memory.soft_limit_in_bytes", str(32 << 20)),
        (["--cpu-share", "77"], "cpu/cpu.shares", "77"),
        (["--cpu-quota", "50000", "--cpu-period", "100000"], "cpu/cpu.cfs_quota_us", "50000"),
        (["--cpu-period", "50000"], "cpu/cpu.cfs_period_us", "50000"),
        (["--cpu-rt-period", "900000", "--cpu-rt-runtime", "0"], "cpu/cpu.rt_period_us", "900000"),
        (["--cpuset-cpus", "0"], "cpuset/cpuset.cpus", "0"),
        (["--cpuset-mems", "0"], "cpuset/cpuset.mems", "0"),
        (["--memory", "64m", "--memory-swap", "-1"], "memory/memory.memsw.limit_in_bytes", "9223372036854771712"),
        (["--pids-limit", "33"], "pids/pids.max", "33"),
        (["--pids-limit", "-1"], "pids/pids.max", "max"),
    ],
)
def test_update(pair: Pair, words: list[str], file: str, value: str) -> None:
    pair.up()
    controller, _, name = file.partition("/")
    for box, outcome in zip(pair, pair.call("update", *words, "ID"), strict=True):
        assert (outcome.status, outcome.out, outcome.err) == (0, "", ""), outcome
        path = cgroup_file(box, controller, name)
        if path is None:
            pytest.skip(f"this host has no cgroup v1 {controller} controller")
        assert path.read_text().strip() == value


@pytest.mark.parametrize("words", [["--kernel-memory", "64m"], ["--kernel-memory-tcp", "64m"]])
def test_update_flags_that_are_ignored(pair: Pair, words: list[str]) -> None:
    """The kernel has dropped these limits; beside another flag they change nothing."""
    pair.up()
    for box, outcome in zip(pair, pair.call("update", *words, "--pids-limit", "33", "ID"), strict=True):
        assert outcome == (0, "", "")
        pids, memory = cgroup_file(box, "pids", "pids.max"), cgroup_file(box, "memory", "memory.limit_in_bytes")
        if pids is None or memory is None:
            pytest.skip("this host has no cgroup v1")
        assert pids.read_text() == "33\n" and int(memory.read_text()) > 1 << 60


@pytest.mark.parametrize(
    ("words", "controller", "name", "value"),
    [
        (["--blkio-weight", "77"], "blkio", "blkio.bfq.weight", "77"),
        (["--cpu-quota", "50000", "--cpu-burst", "7000"], "cpu", "cpu.cfs_burst_us", "7000"),
        (["--cpu-idle", "1"], "cpu", "cpu.idle", "1"),
    ],
)
def test_update_flags_of_later_runtimes(box: Box, words: list[str], controller: str, name: str, value: str) -> None:
    """What this runc has no flag for, or writes to another file than later ones."""
    box.up()
    path = cgroup_file(box, controller, name)
    if path is None or not path.exists():
        pytest.skip(f"this kernel has no {name}")
    assert box.call("update", *words, box.name) == (0, "", "")
    assert path.read_text().strip() == value


def cgroup_file(box: Box, controller: str, name: str) -> Path | None:
    """A v1 file of the container's own cgroup, by the mounts of this host."""
    for line in Path(f"/proc/{box.pid()}/cgroup").read_text().splitlines():
        _, controllers, inside = line.split(":", 2)
        if controller in controllers.split(","):
            for mount in Path("/proc/self/mountinfo").read_text().splitlines():
                fields = mount.split()
                if fields[fields.index("-") + 1] == "cgroup" and controller in fields[-1].split(","):
                    return Path(fields[4]) / os.path.relpath(inside, fields[3]) / name
    return None


def test_update_reads_a_document_from_stdin(pair: Pair, tmp_path: Path) -> None:
    """containerd and CRI-O send it this way; other options are ignored then."""
    pair.up()
    (tmp_path / "resources.json").write_text('{"pids": {"limit": 44}}')
    for box in pair:
        with (tmp_path / "resources.json").open() as document:
            outcome = box.call("update", "--resources", "-", "--pids-limit", "5", box.name, stdin=document)
        assert outcome.status == 0, outcome
        path = cgroup_file(box, "pids", "pids.max")
        if path is None:
            pytest.skip("this host has no cgroup v1 pids controller")
        assert path.read_text() == "44\n"


def test_events_tell_of_memory_and_end_with_the_container(box: Box) -> None:
    box.linux["resources"]["memory"] = {"limit": 8 << 20}
    box.up("sleep", "1000")
    command = [box.runtime, "--root", str(box.root), "events", "--interval", "100ms", box.name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as events:
        assert events.stdout
        assert json.loads(events.stdout.readline())["type"] == "stats"
        eaten = box.exec("sh", "-c", "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done")
        assert eaten.status == 137, eaten
        kinds = (json.loads(line)["type"] for line in events.stdout)
        assert "oom" in kinds
        assert "stats" in kinds  # the container lives, so do the events
        box.kill()
        assert events.wait(timeout=10) == 0
