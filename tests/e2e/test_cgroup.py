"""Control groups of real containers, seen from outside (cgroup files) and from inside; v1, hybrid and v2 hosts."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ociruntime.core.cgroup.device_rules import effective_rules
from ociruntime.core.cgroup.devices import attached, replace_filter
from ociruntime.core.cgroup.host import probe_cgroups
from ociruntime.core.kernel import Kernel
from ociruntime.core.plan.draft import Host
from tests.e2e.box import Box, Outcome
from tests.e2e.test_seccomp import wait_for_writer

pytestmark = pytest.mark.guest

KERNEL = Kernel()
HOST = Host()
probe_cgroups(KERNEL, HOST)
V2 = HOST.cgroup == "v2"
UNIFIED = HOST.cgroup_mounts.get("")

needs_v1 = pytest.mark.skipif(HOST.cgroup != "v1", reason=f"needs v1 controllers, this host has {HOST.cgroup}")
needs_v2 = pytest.mark.skipif(not V2, reason=f"needs the unified hierarchy alone, this host has {HOST.cgroup}")


def has(controller: str) -> bool:
    if V2:
        return controller in Path(f"{UNIFIED}/cgroup.controllers").read_text().split()
    return controller in HOST.cgroup_mounts


def place(box: Box, controller: str) -> Path:
    """The container's directory for a controller."""
    return Path(HOST.cgroup_mounts["" if V2 else controller] + box.linux["cgroupsPath"])


def value(box: Box, v1: str, v2: str) -> str:
    """What is in the file of the container's cgroup, by its name on either version."""
    name = v2 if V2 else v1
    return (place(box, name.partition(".")[0]) / name).read_text().strip()


def resources(box: Box, **parts: Any) -> None:
    box.linux["resources"].update(parts)


def update(box: Box, document: dict[str, Any]) -> Outcome:
    (box.place / "resources.json").write_text(json.dumps(document))
    return box.call("update", "--resources", str(box.place / "resources.json"), box.name)


# --- where, and who -------------------------------------------------------------------------------


def test_init_is_in_every_hierarchy(box: Box) -> None:
    box.up()
    lines = Path(f"/proc/{box.pid()}/cgroup").read_text().splitlines()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers.split(",")[0] in HOST.cgroup_mounts:
            assert path.endswith(box.linux["cgroupsPath"]), line


def test_parents_go_when_they_were_made_for_it_and_are_empty(box: Box) -> None:
    top = f"/{box.name}-top"
    for mount in set(HOST.cgroup_mounts.values()):
        os.mkdir(f"{mount}{top}")
    try:
        box.linux["cgroupsPath"] = f"{top}/mid/{box.name}"
        box.up()
        assert place(box, "pids").is_dir()
        assert box.delete("--force").status == 0
        for mount in set(HOST.cgroup_mounts.values()):
            children = [entry.name for entry in Path(f"{mount}{top}").iterdir() if entry.is_dir()]
            assert children == []
    finally:
        for mount in set(HOST.cgroup_mounts.values()):
            os.rmdir(f"{mount}{top}")


def test_without_a_path_it_is_named_by_the_id(box: Box) -> None:
    del box.linux["cgroupsPath"]
    box.up()
    lines = Path(f"/proc/{box.pid()}/cgroup").read_text().splitlines()
    assert any(line.endswith(f"/{box.name}") for line in lines)


@pytest.mark.parametrize("path", ["/../x", "a/../../b", "/"])
def test_a_path_that_is_no_place_is_refused(box: Box, path: str) -> None:
    box.linux["cgroupsPath"] = path
    outcome = box.create()
    assert outcome.status == 1
    assert "/linux/cgroupsPath" in outcome.err


@pytest.fixture
def occupied(box: Box) -> Iterator[Path]:
    """The cgroup that the container wants, made by somebody else."""
    path = place(box, "pids")
    path.mkdir()
    yield path
    if path.exists():
        path.rmdir()


def test_a_cgroup_with_processes_is_refused_and_left(box: Box, occupied: Path) -> None:
    pid = os.posix_spawn("/bin/sleep", ["sleep", "1000"], {})
    try:
        (occupied / "cgroup.procs").write_text(str(pid))
        outcome = box.create()
        assert outcome.status == 1
        assert "container's cgroup is not empty: 1 process(es) found" in outcome.err
        assert occupied.is_dir()
        assert [path for path in Path("/sys/fs/cgroup").glob(f"*/{box.name}") if path != occupied] == []
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_an_empty_cgroup_is_used(box: Box, occupied: Path) -> None:
    assert box.run("true").status == 0


def test_two_containers_do_not_share_one(box: Box, tmp_path: Path) -> None:
    box.up()
    other = Box(tmp_path / "other", f"{box.name}-2")
    other.linux["cgroupsPath"] = box.linux["cgroupsPath"]
    try:
        assert "is not empty" in other.create().err
        assert place(box, "pids").is_dir()
    finally:
        other.call("delete", "--force", other.name)


# --- what is limited --------------------------------------------------------------------------------

LIMITS: list[tuple[str, dict[str, Any], str, str, str, str]] = [
    # controller, resources, file on v1 and its content, on v2 and its content
    ("cpu", {"cpu": {"shares": 512}}, "cpu.shares", "512", "cpu.weight", "59"),
    ("cpu", {"cpu": {"quota": 50000, "period": 80000}}, "cpu.cfs_quota_us", "50000", "cpu.max", "50000 80000"),
    ("cpu", {"cpu": {"quota": 50000, "burst": 20000}}, "cpu.cfs_burst_us", "20000", "cpu.max.burst", "20000"),
    ("cpu", {"cpu": {"idle": 1}}, "cpu.idle", "1", "cpu.idle", "1"),
    ("cpuset", {"cpu": {"cpus": "0", "mems": "0"}}, "cpuset.cpus", "0", "cpuset.cpus", "0"),
    ("memory", {"memory": {"limit": 16 << 20}}, "memory.limit_in_bytes", str(16 << 20), "memory.max", str(16 << 20)),
    (
        "memory", {"memory": {"limit": 16 << 20, "swap": 24 << 20}},
        "memory.memsw.limit_in_bytes", str(24 << 20), "memory.swap.max", str(8 << 20),
    ),
    (
        "memory", {"memory": {"reservation": 8 << 20}},
        "memory.soft_limit_in_bytes", str(8 << 20), "memory.low", str(8 << 20),
    ),
    ("pids", {"pids": {"limit": 33}}, "pids.max", "33", "pids.max", "33"),
    ("pids", {"pids": {"limit": -1}}, "pids.max", "max", "pids.max", "max"),
    (
        "hugetlb", {"hugepageLimits": [{"pageSize": "2MB", "limit": 4 << 20}]},
        "hugetlb.2MB.limit_in_bytes", str(4 << 20), "hugetlb.2MB.max", str(4 << 20),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("controller", "given", "v1", "v1_content", "v2", "v2_content"), LIMITS)
def test_a_limit_is_in_its_file(  # noqa: PLR0917 -- one row of the table
    box: Box, controller: str, given: dict[str, Any], v1: str, v1_content: str, v2: str, v2_content: str
) -> None:
    if not has(controller):
        pytest.skip(f"this host has no {controller} controller")
    resources(box, **given)
    created = box.create("true")
    if "does not exist in cgroup" in created.err:
        pytest.skip(f"this kernel has no {v2 if V2 else v1}")
    assert created.status == 0, created
    assert value(box, v1, v2) == (v2_content if V2 else v1_content)


def test_pids_limit_holds_inside(box: Box) -> None:
    resources(box, pids={"limit": 4})
    outcome = box.run("for i in 1 2 3 4 5 6 7 8; do sleep 9 & done; echo unreached")
    assert "can't fork" in outcome.err


def test_a_pids_limit_of_zero(box: Box) -> None:
    """The init runs, and cannot fork: so says the specification since 1.3."""
    resources(box, pids={"limit": 0})
    outcome = box.run("echo alive; (echo forked); :")
    assert "alive" in outcome.out
    assert "forked" not in outcome.out


@pytest.mark.parametrize("version", ["1.0.2-dev", "1.2.1"])
def test_a_pids_limit_of_zero_was_none(box: Box, version: str) -> None:
    """Clients of earlier versions could not leave it out: podman 4.3 writes it for --pids-limit -1."""
    box.spec["ociVersion"] = version
    resources(box, pids={"limit": 0})
    box.up()
    assert value(box, "pids.max", "pids.max") == "max"
    assert box.call("update", "--pids-limit", "5", box.name).status == 0
    (box.place / "none.json").write_text('{"pids": {"limit": 0}}')
    assert box.call("update", "--resources", str(box.place / "none.json"), box.name) == (0, "", "")
    assert value(box, "pids.max", "pids.max") == "max"


def test_memory_limit_kills_inside(box: Box) -> None:
    resources(box, memory={"limit": 16 << 20, "swap": 16 << 20})
    outcome = box.run("dd if=/dev/zero of=/dev/null bs=64M count=1; echo $?")
    assert outcome.lines[-1:] == ["137"]


def test_a_memory_limit_below_the_runtime_is_enough_for_the_program(box: Box) -> None:
    """runc's own init needs 3 MB of the container's; ours is measured only once it is the player of the tape."""
    resources(box, memory={"limit": 768 << 10})
    assert box.run("busybox", "true") == (0, "", "")


def test_a_value_that_the_kernel_refuses_names_its_property(box: Box) -> None:
    resources(box, cpu={"cpus": "4000"})
    outcome = box.create()
    assert outcome.status == 1
    assert "/linux/resources/cpu/cpus" in outcome.err
    assert list(Path("/sys/fs/cgroup").glob(f"**/{box.name}")) == []


# A device that every user may open, and no container by default
FUSE = Path("/sys/dev/char/10:229")
MAKE_AND_OPEN = (
    "mknod /tmp/fuse c 10 229; mknod /tmp/full c 1 7; for d in fuse full; do true < /tmp/$d && echo $d; done"
)
needs_fuse = pytest.mark.skipif(not FUSE.exists(), reason="this kernel has no fuse, the device to try rules on")


def may_make_devices(box: Box) -> None:
    for kind in ("bounding", "effective", "permitted"):
        box.process["capabilities"][kind].append("CAP_MKNOD")


@needs_fuse
@pytest.mark.parametrize(
    ("rules", "opened"),
    [
        ([], ["fuse", "full"]),
        ([{"allow": False, "access": "rwm"}], ["full"]),
        (
            [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 10, "access": "r"}],
            ["fuse", "full"],
        ),
        ([{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 10, "access": "w"}], ["full"]),
    ],
)
def test_device_rules(box: Box, rules: list[dict[str, Any]], opened: list[str]) -> None:
    may_make_devices(box)
    box.linux["resources"]["devices"] = rules
    outcome = box.run(MAKE_AND_OPEN)
    assert outcome.lines == opened
    assert ("not permitted" in outcome.err) == ("fuse" not in opened)


# --- pause, kill, exec, update, events ----------------------------------------------------------------


def test_pause_and_resume(box: Box) -> None:
    box.up()
    assert box.call("pause", box.name) == (0, "", "")
    assert box.state()["status"] == "paused"
    assert box.call("resume", box.name) == (0, "", "")
    assert box.state()["status"] == "running"


def test_pausing_before_the_start(box: Box) -> None:
    assert box.create("true").status == 0
    assert box.call("pause", box.name) == (0, "", "")
    assert box.state()["status"] == "paused"
    assert box.start().status == 1
    assert box.call("resume", box.name) == (0, "", "")
    assert box.state()["status"] == "created"
    assert box.start() == (0, "", "")


def test_a_paused_container_can_be_killed_and_deleted(box: Box) -> None:
    box.up()
    assert box.call("pause", box.name).status == 0
    assert box.kill("KILL").status == 0
    box.wait_for("stopped")
    assert box.delete().status == 0


def test_a_paused_container_can_be_deleted_by_force(box: Box) -> None:
    box.up()
    assert box.call("pause", box.name).status == 0
    assert box.delete("--force").status == 0


def test_delete_takes_along_what_outlives_init(box: Box) -> None:
    """Without a pid namespace of its own the init's children live on; in the cgroup they are still the container's."""
    box.namespaces("mount", "uts", "ipc")
    assert box.run("setsid sleep 1000 & :", options=("--detach",)).status == 0
    box.wait_for("stopped")
    inside = [int(line) for line in (place(box, "pids") / "cgroup.procs").read_text().split()]
    assert len(inside) == 1
    handle = os.pidfd_open(inside[0])
    try:
        assert box.delete().status == 0
        assert not Path(f"/proc/{inside[0]}/cmdline").exists() or Path(f"/proc/{inside[0]}/cmdline").read_text() == ""
    finally:
        os.close(handle)


def test_kill_all(box: Box) -> None:
    """Each process hears it, without a pid namespace that would end with the first."""
    box.namespaces("mount", "uts", "ipc")
    for name in ("a", "b", "all"):
        os.mkfifo(box.rootfs / "tmp" / name)
    hear = "trap 'touch /tmp/heard-$0; exit' TERM; echo > /tmp/$0; while :; do sleep 0.05; done"
    both = 'trap : TERM; for who in a b; do sh -c "$0" $who & done; wait; wait; echo > /tmp/all'
    box.up("sh", "-c", both, hear)
    wait_for_writer(box.rootfs / "tmp/a")
    wait_for_writer(box.rootfs / "tmp/b")
    assert box.call("kill", "--all", box.name, "TERM").status == 0
    wait_for_writer(box.rootfs / "tmp/all")
    assert (box.rootfs / "tmp/heard-a").exists() and (box.rootfs / "tmp/heard-b").exists()


def test_exec_joins_every_hierarchy(box: Box) -> None:
    box.up()
    outcome = box.exec("cat", "/proc/self/cgroup")
    assert outcome.status == 0
    # The container's cgroup namespace begins at its own cgroup, so this is where everything is.
    paths = {line.split(":", 2)[2] for line in outcome.lines if line.split(":")[1].split(",")[0] in HOST.cgroup_mounts}
    assert paths == {"/"}


def test_exec_into_a_cgroup_below(box: Box) -> None:
    box.up()
    hierarchies = set(HOST.cgroup_mounts.values())
    for mount in hierarchies:
        below = Path(f"{mount}{box.linux['cgroupsPath']}/below")
        below.mkdir()
        if "cpuset" in mount and not V2:
            for name in ("cpuset.cpus", "cpuset.mems"):
                (below / name).write_text((below.parent / name).read_text())
    outcome = box.exec("cat", "/proc/self/cgroup", options=("--cgroup", "below"))
    assert outcome.status == 0, outcome
    assert {line.split(":", 2)[2] for line in outcome.lines} & {"/below"}
    if not V2:
        one = box.exec("cat", "/proc/self/cgroup", options=("--cgroup", "pids,freezer:below"))
        assert sorted(line.split(":")[1] for line in one.lines if line.endswith(":/below")) == ["freezer", "pids"]
    refused = box.exec("true", options=("--cgroup", "../.."))
    assert refused.status == 255
    assert "leads out" in refused.err


def test_exec_into_a_leaf_that_became_a_parent(box: Box) -> None:
    """Nobody can live in a v2 cgroup with controllers for its children: exec goes where init went."""
    controllers = Path(f"{UNIFIED}/cgroup.controllers").read_text().split() if UNIFIED else []
    if not controllers:
        pytest.skip("needs a controller in a unified hierarchy")
    box.up()
    own = Path(f"{UNIFIED}{box.linux['cgroupsPath']}")
    below = own / "init.scope"
    below.mkdir()
    (below / "cgroup.procs").write_text(str(box.pid()))
    above = Path(UNIFIED or "") / "cgroup.subtree_control"
    before = above.read_text().split()
    try:
        above.write_text(f"+{controllers[0]}")
        (own / "cgroup.subtree_control").write_text(f"+{controllers[0]}")
        outcome = box.exec("cat", "/proc/self/cgroup")
        assert outcome.status == 0, outcome
        assert "0::/init.scope" in outcome.lines
    finally:
        box.delete("--force")
        if controllers[0] not in before:
            above.write_text(f"-{controllers[0]}")


def test_ps_lists_the_processes_of_cgroups_below(box: Box) -> None:
    box.up()
    for mount in set(HOST.cgroup_mounts.values()):
        below = Path(f"{mount}{box.linux['cgroupsPath']}/below")
        below.mkdir()
        if "cpuset" in mount and not V2:
            for name in ("cpuset.cpus", "cpuset.mems"):
                (below / name).write_text((below.parent / name).read_text())
    pid_file = box.place / "pid"
    options = ("--detach", "--pid-file", str(pid_file), "--cgroup", "below")
    assert box.exec("sleep", "1000", options=options).status == 0
    pids = json.loads(box.call("ps", "--format", "json", box.name).out)
    assert sorted(pids) == sorted([box.pid(), int(pid_file.read_text())])


@pytest.mark.skipif(V2 or "blkio" not in HOST.cgroup_mounts, reason="needs the v1 controller blkio")
def test_update_merges_limits_of_devices(box: Box) -> None:
    """A limit of one device does not take that of another away (runc since 1.3.3)."""
    name = "throttleReadBpsDevice"
    devices = [path.read_text().strip() for path in Path("/sys/block").glob("*/dev")]
    if len(devices) < 2:
        pytest.skip("needs two block devices")
    first, second = (device.split(":") for device in devices[:2])
    box.linux["resources"]["blockIO"] = {name: [{"major": int(first[0]), "minor": int(first[1]), "rate": 1 << 20}]}
    box.up()
    more = {"blockIO": {name: [{"major": int(second[0]), "minor": int(second[1]), "rate": 2 << 20}]}}
    assert update(box, more).status == 0
    lines = (place(box, "blkio") / "blkio.throttle.read_bps_device").read_text().splitlines()
    assert sorted(lines) == sorted([f"{':'.join(first)} {1 << 20}", f"{':'.join(second)} {2 << 20}"])


@needs_v1
@pytest.mark.parametrize("check", [True, False])
def test_check_before_update(box: Box, check: bool) -> None:
    """A limit below what is used is refused before the kernel reclaims or kills."""
    box.linux["resources"]["memory"] = {"limit": 64 << 20}
    (box.rootfs / "memory").mkdir()
    box.mount("/memory", "tmpfs", "tmpfs")
    done = box.rootfs / "tmp/done"
    os.mkfifo(done)
    box.up("head -c 33554432 /dev/zero > /memory/file; echo > /tmp/done; sleep 1000")
    wait_for_writer(done)
    limit = place(box, "memory") / "memory.limit_in_bytes"
    memory: dict[str, Any] = {"limit": 8 << 20, **({"checkBeforeUpdate": True} if check else {})}
    outcome = update(box, {"memory": memory})
    assert outcome.status == 1 and limit.read_text().strip() == str(64 << 20)
    assert ("current usage" in outcome.err) == check, outcome


def test_cgroups_that_the_container_made_are_removed(box: Box) -> None:
    box.mount("/sys/fs/cgroup", "cgroup", "cgroup", "rw")
    sub = "/sys/fs/cgroup" if V2 else "/sys/fs/cgroup/pids"
    box.up(f"mkdir -p {sub}/a/b {sub}/c && sleep 1000")
    last = place(box, "pids") / "c"
    while not last.exists():
        os.sched_yield()
    assert box.delete("--force").status == 0
    assert not place(box, "pids").exists()


def test_update_up_and_down(box: Box) -> None:
    resources(box, memory={"limit": 32 << 20, "swap": 40 << 20}, cpu={"quota": 50000, "period": 100000})
    box.up()
    for limit, swap in ((64 << 20, 80 << 20), (16 << 20, 20 << 20)):
        given = box.place / "resources.json"
        given.write_text(json.dumps({"memory": {"limit": limit, "swap": swap}, "pids": {"limit": 77}}))
        assert box.call("update", "--resources", str(given), box.name) == (0, "", "")
        assert value(box, "memory.limit_in_bytes", "memory.max") == str(limit)
        assert value(box, "memory.memsw.limit_in_bytes", "memory.swap.max") == str(swap - limit if V2 else swap)
        assert value(box, "pids.max", "pids.max") == "77"
    assert value(box, "cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"


@needs_fuse
def test_update_of_device_rules(box: Box) -> None:
    """A device comes and goes while the container runs; rules that are in force already are not touched."""
    may_make_devices(box)
    box.up("mknod /tmp/fuse c 10 229; sleep 1000")
    base = [{"allow": False, "access": "rwm"}]
    more = [*base, {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"}]
    for rules, opened in ((more, ["opened"]), (base, []), (base, [])):
        given = box.place / "resources.json"
        given.write_text(json.dumps({"devices": rules}))
        before, same = _programs(box), rules == box.linux["resources"]["devices"]
        assert box.call("update", "--resources", str(given), box.name) == (0, "", "")
        assert (_programs(box) == before) == same
        box.linux["resources"]["devices"] = rules
        assert box.exec("sh", "-c", "true < /tmp/fuse && echo opened").lines == opened
        assert box.exec("sh", "-c", "true < /dev/null").status == 0


def _programs(box: Box) -> Any:
    """What decides on devices: the ids of the programs on v2, the list on v1."""
    if not V2:
        return (place(box, "devices") / "devices.list").read_text()
    handle = os.open(place(box, ""), os.O_RDONLY)
    try:
        return attached(KERNEL, handle)
    finally:
        os.close(handle)


def test_ps_and_events(box: Box) -> None:
    resources(box, memory={"limit": 32 << 20}, pids={"limit": 9})
    box.up("sleep 1000 & wait")
    pids = json.loads(box.call("ps", "--format", "json", box.name).out)
    assert box.pid() in pids
    outcome = box.call("events", "--stats", box.name)
    assert outcome.status == 0, outcome
    event = json.loads(outcome.out)
    assert event["type"] == "stats"
    assert event["id"] == box.name
    assert event["data"]["pids"] == {"current": len(pids), "limit": 9}
    assert event["data"]["memory"]["usage"]["limit"] == 32 << 20
    assert event["data"]["cpu"]["usage"]["total"] > 0


# --- the view from inside -----------------------------------------------------------------------------


@pytest.mark.parametrize("own", [True, False], ids=["own-cgroup-namespace", "host-cgroup-namespace"])
@pytest.mark.parametrize("access", ["ro", "rw"])
def test_cgroup_mount(box: Box, own: bool, access: str) -> None:
    box.namespaces("pid", "mount", "ipc", "uts", "network", *(["cgroup"] if own else []))
    box.mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", access)
    here = "/sys/fs/cgroup" if V2 else "/sys/fs/cgroup/pids"
    outcome = box.run(f"cat {here}/cgroup.procs; mkdir {here}/x && echo made; grep /sys/fs/cgroup /proc/self/mountinfo")
    assert outcome.lines[0] == "1"
    assert ("made" in outcome.lines) == (access == "rw")
    mounts = [line.split() for line in outcome.lines if " /sys/fs/cgroup" in line]
    assert len(mounts) == (1 if V2 else 1 + len({point for name, point in HOST.cgroup_mounts.items() if name}))
    for fields in mounts:
        assert {"nosuid", "nodev", "noexec", access} <= set(fields[5].split(","))
        assert fields[3] == "/" or (not own and fields[3].endswith(box.linux["cgroupsPath"]))


@needs_v1
def test_the_unified_hierarchy_of_a_hybrid_host(box: Box) -> None:
    if UNIFIED is None:
        pytest.skip("this host has no unified hierarchy")
    box.mount("/sys/fs/cgroup", "cgroup", "cgroup2", "ro")
    assert box.run("cat /sys/fs/cgroup/cgroup.procs").lines[0] == "1"
    box.namespaces("pid", "mount")
    del box.spec["hostname"]
    assert box.run("cat /sys/fs/cgroup/cgroup.procs; grep -c . /sys/fs/cgroup/cgroup.events").lines[0] == "1"


@needs_v1
def test_unified_resources_need_v2(box: Box) -> None:
    resources(box, unified={"memory.high": "1000000"})
    outcome = box.create()
    assert outcome.status == 1
    assert "/linux/resources/unified" in outcome.err


@needs_v2
def test_unified_resources(box: Box) -> None:
    resources(box, unified={"memory.high": str(1 << 30), "pids.max": "12"}, pids={"limit": 5})
    assert box.create("true").status == 0
    assert value(box, "", "memory.high") == str(1 << 30)
    assert value(box, "", "pids.max") == "12"


@needs_v2
def test_the_owner_of_a_writable_cgroup(box: Box) -> None:
    box.process["user"] = {"uid": 1000, "gid": 1000}
    box.mount("/sys/fs/cgroup", "cgroup", "cgroup", "rw")
    outcome = box.run("mkdir /sys/fs/cgroup/mine && echo 0 > /sys/fs/cgroup/mine/cgroup.procs && cat /proc/self/cgroup")
    assert outcome.lines == ["0::/mine"]


# --- the device program, on any host with a cgroup2 mount ------------------------------------------------


@pytest.mark.skipif(UNIFIED is None, reason="this host has no unified hierarchy")
def test_the_device_program_is_accepted_and_replaced(tmp_path: Path) -> None:
    path = Path(f"{UNIFIED}/e2e-filter-{os.getpid()}")
    path.mkdir()
    handle = os.open(path, os.O_RDONLY)
    try:
        replace_filter(KERNEL, str(path), effective_rules([{"allow": False}]))
        first = attached(KERNEL, handle)
        assert _opens(path, "/dev/zero", "/dev/kmsg") == [0, errno.EPERM]
        replace_filter(KERNEL, str(path), effective_rules([{"allow": False}, {"allow": True, "type": "c", "major": 1}]))
        second = attached(KERNEL, handle)
        assert len(first) == len(second) == 1
        assert first != second
        assert _opens(path, "/dev/zero", "/dev/kmsg") == [0, 0]
    finally:
        os.close(handle)
        path.rmdir()


def _opens(cgroup: Path, *names: str) -> list[int]:
    """The errno of opening each file to read, by a process in that cgroup."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        answers = []
        try:
            (cgroup / "cgroup.procs").write_text("0")
            for name in names:
                try:
                    os.close(os.open(name, os.O_RDONLY))
                    answers.append(0)
                except OSError as error:
                    answers.append(error.errno or -1)
            os.write(writer, json.dumps(answers).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    text = os.read(reader, 4096)
    os.close(reader)
    return json.loads(text)  # type: ignore[no-any-return]
