"""What only the unified hierarchy has: threaded and busy subtrees, ownership, OOM, freezer, the device program."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.box import PATIENCE, Box
from tests.e2e.test_cgroup import FUSE, UNIFIED, V2, place, resources

pytestmark = [
    pytest.mark.guest,
    pytest.mark.skipif(not V2, reason="needs the unified hierarchy alone: run tests/vm/test.sh"),
]


def until(done: Callable[[], bool]) -> None:
    """What the container does by itself is announced by no file; so it is looked for again."""
    deadline = time.monotonic() + 6 * PATIENCE
    while not done():
        assert time.monotonic() < deadline
        os.sched_yield()


@pytest.fixture
def above(box: Box) -> Iterator[Path]:
    """A cgroup of somebody else, under which the container is to live."""
    path = Path(f"{UNIFIED}/{box.name}-above")
    path.mkdir()
    box.linux["cgroupsPath"] = f"/{path.name}/{box.name}"
    yield path
    box.call("delete", "--force", box.name)
    path.rmdir()


@pytest.fixture
def busy(above: Path) -> Iterator[Path]:
    """One with a process of its own."""
    with subprocess.Popen(["sleep", "inf"]) as holder:
        (above / "cgroup.procs").write_text(str(holder.pid))
        yield above
        holder.kill()


def test_below_a_busy_cgroup_without_limits(box: Box, busy: Path) -> None:
    box.up()
    assert box.exec("cat", "/proc/self/cgroup").lines == ["0::/"]


def test_a_limit_that_a_busy_cgroup_prevents_says_why(box: Box, busy: Path) -> None:
    resources(box, memory={"limit": 64 << 20})
    outcome = box.create()
    assert outcome.status == 1
    assert "/linux/resources/memory/limit" in outcome.err
    assert f"{busy} has processes of its own" in outcome.err


def test_a_threaded_subtree_takes_what_counts_threads(box: Box, above: Path) -> None:
    (above / "cgroup.type").write_text("threaded")
    resources(box, pids={"limit": 20}, cpu={"shares": 512})
    box.up("sleep 1000 & wait")
    inside = place(box, "pids")
    assert (inside / "cgroup.type").read_text() == "threaded\n"
    assert ((inside / "pids.max").read_text(), (inside / "cpu.weight").read_text()) == ("20\n", "59\n")
    assert box.exec("cat", "/proc/self/cgroup").lines == ["0::/"]
    assert box.pid() in json.loads(box.call("ps", "--format", "json", box.name).out)
    assert box.call("pause", box.name) == (0, "", "")
    assert box.call("resume", box.name) == (0, "", "")
    assert box.kill().status == 0
    box.wait_for("stopped")
    assert box.delete() == (0, "", "")


def test_a_threaded_subtree_has_no_memory_limit(box: Box, above: Path) -> None:
    (above / "cgroup.type").write_text("threaded")
    resources(box, memory={"limit": 64 << 20})
    outcome = box.create()
    assert outcome.status == 1
    assert "/linux/resources/memory/limit" in outcome.err and "threaded" in outcome.err


def test_exec_into_a_container_that_divided_itself(box: Box) -> None:
    """As systemd does in it: nobody can live in the container's own cgroup then."""
    box.mount("/sys/fs/cgroup", "cgroup", "cgroup", "rw")
    cgroup = "/sys/fs/cgroup"
    box.up(
        f"mkdir {cgroup}/init && echo 1 > {cgroup}/init/cgroup.procs && "
        f"echo +memory > {cgroup}/cgroup.subtree_control && exec sleep 1000"
    )
    control = place(box, "") / "cgroup.subtree_control"
    until(lambda: "memory" in control.read_text())
    assert box.exec("cat", "/proc/self/cgroup").lines == ["0::/init"]


OWNERS = [  # namespaces beside the usual ones, options of the mount, the uid that owns the cgroup
    (["cgroup"], ["rw"], 1000),
    (["cgroup"], ["ro"], 0),
    (["cgroup"], None, 0),
    ([], ["rw"], 0),
    (["cgroup", "user"], ["rw"], 101000),
]


@pytest.mark.parametrize(("kinds", "options", "owner"), OWNERS)
def test_who_owns_the_cgroup(box: Box, kinds: list[str], options: list[str] | None, owner: int) -> None:
    """config-linux.md, Cgroup ownership."""
    box.process["user"] = {"uid": 1000, "gid": 1000}
    box.namespaces("pid", "mount", "ipc", "uts", "network", *kinds)
    if "user" in kinds:
        for kind in ("uid", "gid"):
            box.linux[f"{kind}Mappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        for path in (box.place, *box.place.parents[:-1]):
            path.chmod(path.stat().st_mode | 0o055)
    if options is not None:
        box.mount("/sys/fs/cgroup", "cgroup", "cgroup", *options)
    created = box.create()
    assert created.status == 0, created
    delegated = {".", *Path("/sys/kernel/cgroup/delegate").read_text().split()}
    for path in (place(box, ""), *place(box, "").iterdir()):
        name = path.name if path != place(box, "") else "."
        assert path.stat().st_uid == (owner if name in delegated else 0), name


@pytest.mark.parametrize("unified", [{}, {"memory.oom.group": "1"}])
def test_memory_oom_group_is_the_callers_choice(box: Box, unified: dict[str, str]) -> None:
    resources(box, memory={"limit": 64 << 20}, unified=unified)
    box.up()
    assert box.call("update", "--memory", str(32 << 20), box.name) == (0, "", "")
    assert (place(box, "") / "memory.oom.group").read_text().strip() == unified.get("memory.oom.group", "0")


@pytest.mark.parametrize("limit", [{"memory": {"limit": 4096}}, {"unified": {"memory.max": "4096"}}])
def test_a_limit_that_init_does_not_survive_is_an_error_of_create(box: Box, limit: dict[str, Any]) -> None:
    """The kernel takes every limit, and kills until it holds."""
    resources(box, **limit)
    outcome = box.create("true")
    assert (outcome.status, outcome.lines) == (1, [])
    assert "the container's init was killed" in outcome.err and "/linux/resources/" in outcome.err
    assert [record["code"] for record in box.records()] == ["init-killed"]


def test_an_oom_kill_is_an_event(box: Box) -> None:
    resources(box, memory={"limit": 16 << 20, "swap": 16 << 20})
    box.up("trap : USR1; sleep 1000 & wait; dd if=/dev/zero of=/dev/null bs=64M count=1; sleep 1000")
    line = [box.runtime, "--root", str(box.root), "events", "--interval", "1s", box.name]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as events:
        try:
            assert events.stdout
            assert json.loads(events.stdout.readline())["type"] == "stats"
            assert box.kill("USR1").status == 0
            deadline = time.monotonic() + 6 * PATIENCE
            while (event := json.loads(events.stdout.readline()))["type"] == "stats":
                assert time.monotonic() < deadline, "no event"
            assert event == {"type": "oom", "id": box.name}
        finally:
            events.kill()
    assert "oom_kill 1\n" in (place(box, "") / "memory.events").read_text()
    assert box.state()["status"] == "running"


def test_the_freezer_is_settled_when_pause_returns(box: Box) -> None:
    box.up("sleep 1000 & sleep 1000 & wait")
    events = place(box, "") / "cgroup.events"
    for verb, frozen in (("pause", "1"), ("resume", "0")):
        assert box.call(verb, box.name) == (0, "", "")
        assert (place(box, "") / "cgroup.freeze").read_text() == f"{frozen}\n"
        if frozen == "1":
            assert "frozen 1\n" in events.read_text()


@pytest.mark.skipif(not FUSE.exists(), reason="this kernel has no fuse, the device to try rules on")
def test_there_is_no_moment_without_device_rules(box: Box) -> None:
    """Each update replaces the program in one step: what both allow always opens, what neither allows never."""
    for kind in ("bounding", "effective", "permitted"):
        box.process["capabilities"][kind].append("CAP_MKNOD")
    rules: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    resources(box, devices=rules)
    box.up(
        "mknod /tmp/fuse c 10 229; while :; do "
        "{ true < /dev/null; } 2> /tmp/why || cp /tmp/why /tmp/lost; { true < /tmp/fuse; } 2> /tmp/no && : > /tmp/won; "
        ": > /tmp/lap; done"
    )
    lap, given = box.rootfs / "tmp/lap", box.place / "resources.json"
    for minor in range(200, 208):
        more = [*rules, {"allow": True, "type": "c", "major": 10, "minor": minor, "access": "rw"}]
        given.write_text(json.dumps({"devices": more}))
        until(lap.exists)
        lap.unlink()
        assert box.call("update", "--resources", str(given), box.name) == (0, "", "")
    until(lap.exists)
    assert [path.name for path in (box.rootfs / "tmp").glob("[lw]o*")] == []
