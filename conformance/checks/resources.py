"""config-linux.md, resources: every limit, as the kernel's control files show it and as a process feels it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from conformance.bundle import Bundle, Config
from conformance.host import Hierarchies
from conformance.registry import MAY, MUST, SHOULD, clause, each, unobservable
from conformance.saboteur import put, reverse
from conformance.trial import Skipped, Trial, expect, require, skip_unless

RESOURCES = put("/linux/resources", {})
MEGA = 1 << 20


def _limited(t: Trial, resources: Any, *deeds: str) -> Config:
    config = t.config(*deeds)
    config["linux"]["resources"] = resources
    return config


def _version() -> int:
    return Hierarchies.read().version


# ---- limits: property -> (value, {version: (controller, file, text)})

Shown = dict[int, tuple[str, str, str]]
LIMITS: dict[str, tuple[Config, Shown]] = {
    "memory.limit": (
        {"memory": {"limit": 64 * MEGA}},
        {1: ("memory", "memory.limit_in_bytes", str(64 * MEGA)), 2: ("memory", "memory.max", str(64 * MEGA))},
    ),
    "memory.limit.unlimited": (
        {"memory": {"limit": -1}},
        {1: ("memory", "memory.limit_in_bytes", "9223372036854771712"), 2: ("memory", "memory.max", "max")},
    ),
    "memory.reservation": (
        {"memory": {"reservation": 32 * MEGA}},
        {1: ("memory", "memory.soft_limit_in_bytes", str(32 * MEGA)), 2: ("memory", "memory.low", str(32 * MEGA))},
    ),
    "memory.swap": (
        {"memory": {"limit": 64 * MEGA, "swap": 80 * MEGA}},
        {
            1: ("memory", "memory.memsw.limit_in_bytes", str(80 * MEGA)),
            2: ("memory", "memory.swap.max", str(16 * MEGA)),
        },
    ),
    "memory.swappiness": ({"memory": {"swappiness": 33}}, {1: ("memory", "memory.swappiness", "33")}),
    "memory.disableOOMKiller": (
        {"memory": {"disableOOMKiller": True}},
        {1: ("memory", "memory.oom_control", "oom_kill_disable 1")},
    ),
    "cpu.shares": (
        {"cpu": {"shares": 512}},
        {1: ("cpu", "cpu.shares", "512"), 2: ("cpu", "cpu.weight", "")},
    ),
    "cpu.quota": (
        {"cpu": {"quota": 30000, "period": 60000}},
        {1: ("cpu", "cpu.cfs_quota_us", "30000"), 2: ("cpu", "cpu.max", "30000 60000")},
    ),
    "cpu.period": (
        {"cpu": {"quota": 30000, "period": 60000}},
        {1: ("cpu", "cpu.cfs_period_us", "60000"), 2: ("cpu", "cpu.max", "30000 60000")},
    ),
    "cpu.burst": (
        {"cpu": {"quota": 30000, "period": 60000, "burst": 10000}},
        {1: ("cpu", "cpu.cfs_burst_us", "10000"), 2: ("cpu", "cpu.max.burst", "10000")},
    ),
    "cpu.idle": ({"cpu": {"idle": 1}}, {1: ("cpu", "cpu.idle", "1"), 2: ("cpu", "cpu.idle", "1")}),
    "cpu.cpus": (
        {"cpu": {"cpus": "0"}},
        {1: ("cpuset", "cpuset.cpus", "0"), 2: ("cpuset", "cpuset.cpus", "0")},
    ),
    "cpu.mems": (
        {"cpu": {"mems": "0"}},
        {1: ("cpuset", "cpuset.mems", "0"), 2: ("cpuset", "cpuset.mems", "0")},
    ),
    "pids.limit": (
        {"pids": {"limit": 77}},
        {1: ("pids", "pids.max", "77"), 2: ("pids", "pids.max", "77")},
    ),
    "pids.limit.unlimited": (
        {"pids": {"limit": -1}},
        {1: ("pids", "pids.max", "max"), 2: ("pids", "pids.max", "max")},
    ),
    "hugepageLimits": (
        {"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MEGA}]},
        {
            1: ("hugetlb", "hugetlb.2MB.limit_in_bytes", str(4 * MEGA)),
            2: ("hugetlb", "hugetlb.2MB.max", str(4 * MEGA)),
        },
    ),
    "blockIO.throttleReadBpsDevice": (
        {"blockIO": {"throttleReadBpsDevice": [{"major": -1, "minor": -1, "rate": 1000000}]}},
        {1: ("blkio", "blkio.throttle.read_bps_device", "1000000"), 2: ("io", "io.max", "rbps=1000000")},
    ),
    "blockIO.throttleWriteBpsDevice": (
        {"blockIO": {"throttleWriteBpsDevice": [{"major": -1, "minor": -1, "rate": 2000000}]}},
        {1: ("blkio", "blkio.throttle.write_bps_device", "2000000"), 2: ("io", "io.max", "wbps=2000000")},
    ),
    "blockIO.throttleReadIOPSDevice": (
        {"blockIO": {"throttleReadIOPSDevice": [{"major": -1, "minor": -1, "rate": 300}]}},
        {1: ("blkio", "blkio.throttle.read_iops_device", "300"), 2: ("io", "io.max", "riops=300")},
    ),
    "blockIO.throttleWriteIOPSDevice": (
        {"blockIO": {"throttleWriteIOPSDevice": [{"major": -1, "minor": -1, "rate": 400}]}},
        {1: ("blkio", "blkio.throttle.write_iops_device", "400"), 2: ("io", "io.max", "wiops=400")},
    ),
    "network.classID": (
        {"network": {"classID": 1048577}},
        {1: ("net_cls", "net_cls.classid", "1048577")},
    ),
    "network.priorities": (
        {"network": {"priorities": [{"name": "lo", "priority": 5}]}},
        {1: ("net_prio", "net_prio.ifpriomap", "lo 5")},
    ),
}
ANCHORS = {
    "memory": "#memory",
    "cpu": "#cpu",
    "pids": "#pids",
    "hugepageLimits": "#huge-page-limits",
    "blockIO": "#block-io",
    "network": "#network",
}


def _disk() -> tuple[int, int]:
    for device in sorted(Path("/sys/block").glob("*")):
        if not device.name.startswith(("loop", "ram", "zram")):
            major, minor = (device / "dev").read_text().strip().split(":")
            return int(major), int(minor)
    skip_unless(False, "this host has no block device")
    raise AssertionError


def _limit(name: str) -> Any:
    def judge(t: Trial) -> None:
        resources, shown = LIMITS[name]
        version = _version()
        skip_unless(version in shown, f"the property means nothing on cgroup v{version}")
        controller, file, text = shown[version]
        hierarchies = Hierarchies.read()
        skip_unless(hierarchies.has(controller), f"this host has no cgroup controller {controller}")
        root = hierarchies.roots["" if version == 2 else controller] / t.group
        skip_unless(version == 2 or (root / file).exists(), f"this kernel has no {file}")
        for entry in resources.get("blockIO", {}).values():
            entry[0]["major"], entry[0]["minor"] = _disk()
        seen = t.cgroup_file(t.paused(_limited(t, resources)), controller, file)
        shown_so = not text or text in seen.splitlines() or text in seen.split()
        require(shown_so, f"{file}: wanted {text}, saw {seen!r}")
        if name == "cpu.shares" and version == 2:
            require(seen != "100", "cpu.weight is still the default")

    return judge


BROKEN = {  # where no limit at all would look the same
    "memory.limit.unlimited": put("/linux/resources", {"memory": {"limit": 64 * MEGA}}),
    "pids.limit.unlimited": put("/linux/resources", {"pids": {"limit": 70}}),
    "cpu.mems": (),
}
for _name in LIMITS:
    clause(
        f"resources.{_name}",
        MUST,
        f"config-linux.md{ANCHORS[_name.partition('.')[0]]}",
        f"{_name} is in force for the container's cgroup",
        broken_by=BROKEN.get(_name, RESOURCES),
    )(_limit(_name))


@clause(
    "resources.memory.enforced",
    MUST,
    "config-linux.md#memory",
    "a process that wants more memory than the limit is killed",
    broken_by=RESOURCES,
)
def memory_enforced(t: Trial) -> None:
    skip_unless(Hierarchies.read().has("memory"), "this host has no memory controller")
    memory = {"memory": {"limit": 16 * MEGA, "swap": 16 * MEGA}}
    seen = t.run(_limited(t, memory, f"alloc:{4 * MEGA}", f"alloc:{64 * MEGA}"))
    expect([deed["signal"] for deed in seen.deeds], [0, 9], "signals that ended 4 MiB and 64 MiB")


@clause(
    "resources.memory.checkBeforeUpdate",
    MUST,
    "config-linux.md#memory",
    "with checkBeforeUpdate a limit below the present usage is rejected",
    broken_by=(),
)
def check_before_update(t: Trial) -> None:
    skip_unless(Hierarchies.read().has("memory"), "this host has no memory controller")
    box = t.paused(_limited(t, {"memory": {"limit": 64 * MEGA}}))
    resources = json.dumps({"memory": {"limit": 4096, "swap": 4096, "checkBeforeUpdate": True}}).encode()
    outcome = box.call("update", "--resources", "-", box.id, stdin=resources)
    t.no_hang(outcome)
    require(not outcome.ok, "a limit of one page was accepted")
    expect(box.status(), "running", "status after a rejected update")


@clause(
    "resources.pids.enforced",
    MUST,
    "config-linux.md#pids",
    "the container has no more tasks than the limit",
    broken_by=RESOURCES,
)
def pids_enforced(t: Trial) -> None:
    skip_unless(Hierarchies.read().has("pids"), "this host has no pids controller")
    seen = t.run(_limited(t, {"pids": {"limit": 6}}, "forks:20")).deed
    expect((seen["forks"], seen["errno"]), (5, 11), "children that could be made, and errno (EAGAIN)")


@clause(
    "resources.pids.limit.zero",
    SHOULD,
    "config-linux.md#pids",
    "a limit of 0 is a limit, not the absence of one",
    broken_by=RESOURCES,
)
def pids_zero(t: Trial) -> None:
    skip_unless(Hierarchies.read().has("pids"), "this host has no pids controller")
    box = t.create(t.program(_limited(t, {"pids": {"limit": 0}}), "pause"))
    if box.created.ok:  # a runtime may find that nothing can run under it, and say so
        box.demand_created()
        text = t.cgroup_file(box, "pids", "pids.max")
        require(text in ("0", "1"), f"pids.max is {text}")


@clause(
    "resources.cpu.cpus.enforced",
    MUST,
    "config-linux.md#cpu",
    "the container runs on the CPUs listed",
    broken_by=RESOURCES,
)
def cpus_enforced(t: Trial) -> None:
    skip_unless(Hierarchies.read().has("cpuset"), "this host has no cpuset controller")
    skip_unless((os.cpu_count() or 1) > 1, "this host has one CPU")
    expect(t.run(_limited(t, {"cpu": {"cpus": "1"}}))["cpus"], [1], "CPUs the program may use")


INVALID = {
    "cpus": {"cpu": {"cpus": "nonsense"}},
    "cpus-missing": {"cpu": {"cpus": "4000"}},
    "swap-below-limit": {"memory": {"limit": 64 * MEGA, "swap": 32 * MEGA}},
    "swappiness": {"memory": {"swappiness": 1000}},
    "page-size": {"hugepageLimits": [{"pageSize": "3MB", "limit": 0}]},
}


@each(
    "resources.invalid",
    MUST,
    "runtime.md#create",
    "a limit the kernel refuses is an error",
    {name: (value, RESOURCES) for name, value in INVALID.items()},
)
def invalid(t: Trial, resources: Any) -> None:
    skip_unless(_version(), "this host has no cgroups")
    controller = {"cpu": "cpuset", "memory": "memory", "hugepageLimits": "hugetlb"}[next(iter(resources))]
    skip_unless(Hierarchies.read().has(controller), f"this host has no cgroup controller {controller}")
    t.refused(_limited(t, resources), f"resources {resources}")


@clause(
    "resources.cpu.burst.quota",
    MAY,
    "config-linux.md#cpu",
    "a burst larger than the quota is an error",
    broken_by=RESOURCES,
)
def burst_quota(t: Trial) -> None:
    skip_unless(Hierarchies.read().has("cpu"), "this host has no cpu controller")
    t.refused(_limited(t, {"cpu": {"quota": 20000, "period": 50000, "burst": 40000}}), "a burst above the quota")


# ---- devices


NODES = ((10, 229, "/dev/fuse"), (10, 237, "/dev/loop-control"), (10, 200, "/dev/net/tun"), (10, 183, "/dev/hwrng"))


def _node(bundle: Bundle) -> Config:
    """A device that this kernel has, that anybody may open and that no default list allows, as /mnt/node."""
    for major, minor, path in NODES:
        if Path(path).exists() and os.stat(path).st_rdev == os.makedev(major, minor):
            os.mknod(bundle.rootfs / "mnt/node", 0o20666, os.makedev(major, minor))
            (bundle.rootfs / "mnt/node").chmod(0o666)
            return {"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"}
    raise Skipped("this host has no device to open that is not in every default list")


def opens(t: Trial, *rules: Config, access: str = "rwm", deeds: tuple[str, ...] = ("openr:/mnt/node",)) -> list[int]:
    """errno of the deeds on that device, where the rule ``{}`` stands for the one that allows it."""
    skip_unless(Hierarchies.read().version == 2 or Hierarchies.read().has("devices"), "no devices controller")
    bundle = t.bundle()
    mine = {**_node(bundle), "access": access}
    config = t.config(*deeds)
    config["linux"]["resources"] = {"devices": [rule or mine for rule in rules]}
    return [deed["errno"] for deed in t.run(config, bundle=bundle).deeds]


DENY: Config = {"allow": False, "access": "rwm"}
MINE: Config = {}


@clause(
    "resources.devices.rules",
    MUST,
    "config-linux.md#allowed-device-list",
    "an entry allows or denies the devices it names, and no others",
    broken_by=put("/linux/resources", {"devices": [{"allow": True, "access": "rwm"}]}),
)
def device_rules(t: Trial) -> None:
    expect((opens(t, DENY, MINE), opens(t, DENY)), ([0], [1]), "errno of opening a device allowed, denied")


@clause(
    "resources.devices.order",
    MUST,
    "config-linux.md#allowed-device-list",
    "entries are applied in the listed order",
    broken_by=reverse("/linux/resources/devices"),
)
def device_order(t: Trial) -> None:
    expect((opens(t, DENY, MINE), opens(t, MINE, DENY)), ([0], [1]), "errno with the allowing entry last, first")


@clause(
    "resources.devices.access",
    MUST,
    "config-linux.md#allowed-device-list",
    "access is a composition of r, w and m",
    broken_by=put("/linux/resources/devices/1/access", "rwm"),
)
def device_access(t: Trial) -> None:
    seen = opens(t, DENY, MINE, access="r", deeds=("openr:/mnt/node", "openw:/mnt/node"))
    expect(seen, [0, 1], "errno of reading and writing with access r")


@each(
    "resources.devices.unset",
    MUST,
    "config-linux.md#allowed-device-list",
    "type, major and minor that are not set mean all",
    {
        "type": ({"allow": True, "access": "rwm"}, put("/linux/resources/devices/1/allow", False)),
        "minor": (
            {"allow": True, "type": "c", "major": 10, "access": "rwm"},
            put("/linux/resources/devices/1/allow", False),
        ),
    },
)
def device_unset(t: Trial, rule: Config) -> None:
    expect(opens(t, DENY, rule), [0], "errno of opening a device that all devices include")


# ---- unified


@clause(
    "resources.unified",
    MUST,
    "config-linux.md#unified",
    "each key of unified is a file of the v2 cgroup that gets the value, known to the runtime or not",
    broken_by=RESOURCES,
)
def unified(t: Trial) -> None:
    skip_unless(_version() == 2, "this host has no cgroup v2")
    box = t.paused(_limited(t, {"unified": {"memory.high": str(64 * MEGA), "pids.max": "55"}}))
    expect(t.cgroup_file(box, "memory", "memory.high"), str(64 * MEGA), "memory.high")
    expect(t.cgroup_file(box, "pids", "pids.max"), "55", "pids.max")


@clause(
    "resources.unified.controller",
    MUST,
    "config-linux.md#unified",
    "unified with a controller that is not there is an error",
    broken_by=RESOURCES,
)
def unified_controller(t: Trial) -> None:
    t.refused(_limited(t, {"unified": {"nosuch.max": "1"}}), "a controller called nosuch")


unobservable(
    "resources.unified.conversion",
    MAY,
    "config-linux.md#unified",
    "v1 properties may be converted for a v2 host",
    "judged on a v2 host by every resources clause: its control file there is the converted one",
)
for _id, _text in (
    ("resources.memory.kernel", "kernel and kernelTCP limit kernel memory (not recommended)"),
    ("resources.memory.useHierarchy", "useHierarchy makes children share the limit"),
    ("resources.cpu.realtime", "realtimeRuntime and realtimePeriod limit real-time tasks"),
    ("resources.blockIO.weight", "weight, leafWeight and weightDevice set shares of block I/O"),
):
    unobservable(
        _id, MUST, f"config-linux.md{ANCHORS[_id.split('.')[1]]}", _text,
        "today's kernels have no control file for it, or only with a scheduler few hosts use",
    )  # fmt: skip
unobservable(
    "resources.rdma",
    MUST,
    "config-linux.md#rdma",
    "rdma limits handles and objects of a device",
    "needs RDMA hardware",
)
unobservable(
    "cgroups.additional",
    MAY,
    "config-linux.md#cgroups-path",
    "the container may be attached to further controllers",
    "a permission to the runtime: both answers conform",
)
