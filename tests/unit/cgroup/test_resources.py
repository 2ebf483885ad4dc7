"""Every property of linux.resources as writes into cgroup files."""

from __future__ import annotations

from typing import Any

import pytest

from ociruntime.core.errors import ConfigError, HostError
from ociruntime.core.plan.resources import resource_writes
from ociruntime.core.plan.resources_v2 import io_weight, swap_of, weight_of_shares

CONTROLLERS = "cpu cpuset memory pids blkio hugetlb net_cls net_prio rdma".split()
V1 = {name: f"/{name}" for name in CONTROLLERS}


def writes(version: str, resources: dict[str, Any]) -> list[tuple[str, str, str]]:
    paths = V1 if version == "v1" else {"": ""}
    return [(step.path, step.value, step.origin) for step in resource_writes(version, paths, resources)]


ONE = [
    # property path, value, v1 (file, value), v2 (file, value); None: an error there, (): nothing
    ("cpu/shares", 512, ("cpu/cpu.shares", "512"), ("cpu.weight", "59")),
    ("cpu/shares", 0, (), ()),
    ("cpu/quota", 50000, ("cpu/cpu.cfs_quota_us", "50000"), ("cpu.max", "50000")),
    ("cpu/quota", -1, ("cpu/cpu.cfs_quota_us", "-1"), ("cpu.max", "max")),
    ("cpu/period", 20000, ("cpu/cpu.cfs_period_us", "20000"), ("cpu.max", "max 20000")),
    ("cpu/burst", 0, ("cpu/cpu.cfs_burst_us", "0"), ("cpu.max.burst", "0")),
    ("cpu/idle", 1, ("cpu/cpu.idle", "1"), ("cpu.idle", "1")),
    ("cpu/cpus", "0-1", ("cpuset/cpuset.cpus", "0-1"), ("cpuset.cpus", "0-1")),
    ("cpu/mems", "0", ("cpuset/cpuset.mems", "0"), ("cpuset.mems", "0")),
    ("cpu/realtimeRuntime", 950, ("cpu/cpu.rt_runtime_us", "950"), None),
    ("cpu/realtimePeriod", 1000, ("cpu/cpu.rt_period_us", "1000"), None),
    ("memory/limit", 4096, ("memory/memory.limit_in_bytes", "4096"), ("memory.max", "4096")),
    ("memory/reservation", 4096, ("memory/memory.soft_limit_in_bytes", "4096"), ("memory.low", "4096")),
    ("memory/reservation", -1, ("memory/memory.soft_limit_in_bytes", "-1"), ("memory.low", "max")),
    ("memory/swap", -1, ("memory/memory.memsw.limit_in_bytes", "-1"), ("memory.swap.max", "max")),
    ("memory/kernel", 4096, (), ()),
    ("memory/kernelTCP", 4096, ("memory/memory.kmem.tcp.limit_in_bytes", "4096"), ()),
    ("memory/swappiness", 0, ("memory/memory.swappiness", "0"), None),
    ("memory/disableOOMKiller", True, ("memory/memory.oom_control", "1"), None),
    ("memory/disableOOMKiller", False, (), ()),
    ("memory/useHierarchy", True, ("memory/memory.use_hierarchy", "1"), ()),
    ("pids/limit", 64, ("pids/pids.max", "64"), ("pids.max", "64")),
    ("pids/limit", 0, ("pids/pids.max", "0"), ("pids.max", "0")),
    ("pids/limit", -1, ("pids/pids.max", "max"), ("pids.max", "max")),
    ("blockIO/weight", 500, ("blkio/blkio.weight", "500"), ("io.bfq.weight", "500")),
    ("blockIO/leafWeight", 500, ("blkio/blkio.leaf_weight", "500"), None),
    ("network/classID", 1048577, ("net_cls/net_cls.classid", "1048577"), None),
]  # fmt: skip


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(("origin", "value", "v1", "v2"), ONE)
def test_one_property(version: str, origin: str, value: Any, v1: Any, v2: Any) -> None:
    group, _, name = origin.partition("/")
    wanted = v1 if version == "v1" else v2
    if wanted is None:
        with pytest.raises(ConfigError, match="exists on cgroup v1 only") as caught:
            writes(version, {group: {name: value}})
        assert caught.value.origin == f"/linux/resources/{origin}"
    else:
        expected = [(f"/{wanted[0]}", wanted[1], f"/linux/resources/{origin}")] if wanted else []
        assert writes(version, {group: {name: value}}) == expected


DEVICE = {"major": 8, "minor": 16}
LISTS: list[tuple[dict[str, Any], list[tuple[str, str]], list[tuple[str, str]]]] = [
    (
        {"blockIO": {"throttleReadBpsDevice": [{**DEVICE, "rate": 600}]}},
        [("/blkio/blkio.throttle.read_bps_device", "8:16 600")],
        [("/io.max", "8:16 rbps=600")],
    ),
    (
        {"blockIO": {"throttleWriteIOPSDevice": [{**DEVICE, "rate": 0}]}},
        [("/blkio/blkio.throttle.write_iops_device", "8:16 0")],
        [("/io.max", "8:16 wiops=max")],
    ),
    (
        {"blockIO": {"weightDevice": [{**DEVICE, "weight": 10}]}},
        [("/blkio/blkio.weight_device", "8:16 10")],
        [("/io.bfq.weight", "8:16 10")],
    ),
    (
        {"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]},
        [("/hugetlb/hugetlb.2MB.rsvd.limit_in_bytes", "4194304"), ("/hugetlb/hugetlb.2MB.limit_in_bytes", "4194304")],
        [("/hugetlb.2MB.rsvd.max", "4194304"), ("/hugetlb.2MB.max", "4194304")],
    ),
    (
        {"rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}, "mlx4_0": {"hcaObjects": 7}}},
        [("/rdma/rdma.max", "mlx5_1 hca_handle=3 hca_object=10000"), ("/rdma/rdma.max", "mlx4_0 hca_object=7")],
        [("/rdma.max", "mlx5_1 hca_handle=3 hca_object=10000"), ("/rdma.max", "mlx4_0 hca_object=7")],
    ),
    (
        {"cpu": {"quota": 5, "period": 10, "burst": 2}},
        [("/cpu/cpu.cfs_period_us", "10"), ("/cpu/cpu.cfs_quota_us", "5"), ("/cpu/cpu.cfs_burst_us", "2")],
        [("/cpu.max", "5 10"), ("/cpu.max.burst", "2")],
    ),
    (
        {"memory": {"limit": 100, "swap": 300}},
        [("/memory/memory.limit_in_bytes", "100"), ("/memory/memory.memsw.limit_in_bytes", "300")],
        [("/memory.swap.max", "200"), ("/memory.max", "100")],
    ),
    (
        {"memory": {"limit": -1}},
        [("/memory/memory.memsw.limit_in_bytes", "-1"), ("/memory/memory.limit_in_bytes", "-1")],
        [("/memory.swap.max", "max"), ("/memory.max", "max")],
    ),
]


@pytest.mark.parametrize(("resources", "v1", "v2"), LISTS)
def test_lists_and_order(resources: dict[str, Any], v1: list[tuple[str, str]], v2: list[tuple[str, str]]) -> None:
    assert [(path, value) for path, value, _ in writes("v1", resources)] == v1
    assert [(path, value) for path, value, _ in writes("v2", resources)] == v2


def test_network_priorities_on_v1() -> None:
    given = {"network": {"priorities": [{"name": "eth0", "priority": 500}, {"name": "lo", "priority": 1}]}}
    assert [entry[:2] for entry in writes("v1", given)] == [
        ("/net_prio/net_prio.ifpriomap", "eth0 500"),
        ("/net_prio/net_prio.ifpriomap", "lo 1"),
    ]


def test_what_is_late() -> None:
    """What would hit the runtime's own init, and nothing else."""
    given = {"memory": {"limit": 9, "swap": 9, "reservation": 9}, "pids": {"limit": 3}, "cpu": {"shares": 3}}
    for version in ("v1", "v2"):
        steps = resource_writes(version, V1 if version == "v1" else {"": ""}, given)
        late = {step.origin.removeprefix("/linux/resources/") for step in steps if step.late}
        assert late == {"memory/limit", "memory/swap", "pids/limit"}


def test_unified_is_late_where_the_property_is() -> None:
    given = {"unified": {"pids.max": "9", "cpu.weight": "9"}, "pids": {"limit": 3}}
    steps = resource_writes("v2", {"": ""}, given)
    assert [(step.path, step.value) for step in steps if step.late] == [("/pids.max", "3"), ("/pids.max", "9")]


def test_unified_comes_last_and_as_it_is() -> None:
    given = {"unified": {"memory.high": "9", "io.max": "8:0 rbps=1\n8:16 rbps=2"}, "pids": {"limit": 3}}
    assert [entry[:2] for entry in writes("v2", given)] == [
        ("/pids.max", "3"),
        ("/memory.high", "9"),
        ("/io.max", "8:0 rbps=1\n8:16 rbps=2"),
    ]
    with pytest.raises(ConfigError, match="need cgroup v2"):
        writes("v1", given)


@pytest.mark.parametrize("key", ["../cgroup.procs", "a/b", "..", ""])
def test_unified_stays_in_the_directory(key: str) -> None:
    with pytest.raises(ConfigError, match="not the name of a cgroup file"):
        writes("v2", {"unified": {key: "1"}})


@pytest.mark.parametrize("size", ["2M", "../2MB", "xB"])
def test_page_sizes_are_not_paths(size: str) -> None:
    with pytest.raises(ConfigError, match="is not a size"):
        writes("v2", {"hugepageLimits": [{"pageSize": size, "limit": 1}]})


def test_a_controller_that_the_host_lacks() -> None:
    with pytest.raises(HostError, match="container has no pids cgroup") as caught:
        resource_writes("v1", {"cpu": "/cpu"}, {"pids": {"limit": 1}})
    assert caught.value.origin == "/linux/resources/pids/limit"


@pytest.mark.parametrize(
    ("shares", "weight"), [(1, 1), (2, 1), (256, 35), (1024, 100), (2048, 174), (262144, 10000), (999999, 10000)]
)
def test_weights_of_shares(shares: int, weight: int) -> None:
    """The anchors of the curve, its ends, and two points between, worked out by hand."""
    assert weight_of_shares(shares) == weight


def test_the_curve_never_falls() -> None:
    weights = [weight_of_shares(shares) for shares in range(2, 262145, 97)]
    assert weights == sorted(weights)


def test_io_weight_keeps_the_ends_of_the_scale() -> None:
    assert (io_weight(10), io_weight(1000)) == (1, 10000)


@pytest.mark.parametrize(
    ("limit", "swap", "result"), [(None, None, None), (5, None, None), (5, 5, 0), (-1, None, -1), (5, -1, -1)]
)
def test_swap_alone(limit: int | None, swap: int | None, result: int | None) -> None:
    assert swap_of(limit, swap) == result


@pytest.mark.parametrize(("limit", "swap"), [(None, 5), (-1, 5), (6, 5)])
def test_swap_that_cannot_be(limit: int | None, swap: int) -> None:
    with pytest.raises(ConfigError):
        swap_of(limit, swap)
