"""/linux/resources as files of the v1 controllers (Documentation/admin-guide/cgroup-v1).

A zero where it cannot be a value (a limit of no memory, no time) counts as not given: that is how
clients that fill in every field spell it, and what runc makes of it.
"""

from __future__ import annotations

from ociruntime.core.errors import ConfigError
from ociruntime.core.plan.resources import POINTER, add_hugepages, add_pids, add_rdma

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.plan.resources import Part, Writes
    from ociruntime.core.steps.cgroup_write import WriteCgroup

# property of cpu, file, whether zero is a value. Period before quota before burst: each bounds the next.
CPU = (
    ("cpus", "cpuset.cpus", False),
    ("mems", "cpuset.mems", False),
    ("realtimePeriod", "cpu.rt_period_us", False),
    ("realtimeRuntime", "cpu.rt_runtime_us", False),
    ("shares", "cpu.shares", False),
    ("period", "cpu.cfs_period_us", False),
    ("quota", "cpu.cfs_quota_us", False),
    ("burst", "cpu.cfs_burst_us", True),
    ("idle", "cpu.idle", True),
)

THROTTLE = (
    ("throttleReadBpsDevice", "blkio.throttle.read_bps_device"),
    ("throttleWriteBpsDevice", "blkio.throttle.write_bps_device"),
    ("throttleReadIOPSDevice", "blkio.throttle.read_iops_device"),
    ("throttleWriteIOPSDevice", "blkio.throttle.write_iops_device"),
)


def v1_writes(writes: Writes, resources: Part) -> list[WriteCgroup]:
    """All properties but devices. `unified` has no meaning on v1 and is refused."""
    if resources.get("unified"):
        raise ConfigError(
            "unified resources need cgroup v2, this host has v1",
            code="cgroup-unified-v1", origin=f"{POINTER}/unified",
        )  # fmt: skip
    _cpu(writes, resources.get("cpu") or {})
    _memory(writes, resources.get("memory") or {})
    add_pids(writes, resources)
    _block_io(writes, resources.get("blockIO") or {})
    add_hugepages(writes, resources)
    add_rdma(writes, resources)
    _network(writes, resources.get("network") or {})
    return writes.steps


def _cpu(writes: Writes, cpu: Part) -> None:
    for key, file, zero in CPU:
        value = cpu.get(key)
        if value or (zero and value is not None):
            writes.add(file, value, f"cpu/{key}")


def _memory(writes: Writes, memory: Part) -> None:
    """The limits are late: the runtime's own init must not be measured by them. kernel is ignored, as
    kernels since 5.16 do; kernelTCP still works on v1, where the kernel has the file."""
    limit, swap = memory.get("limit"), memory.get("swap")
    if limit == -1 and not swap:
        # memory+swap cannot stay below a memory limit that is lifted; without swap accounting it does not exist.
        writes.add("memory.memsw.limit_in_bytes", -1, "memory/limit", optional=True, late=True)
    if limit:
        writes.add("memory.limit_in_bytes", limit, "memory/limit", late=True)
    if swap:
        writes.add("memory.memsw.limit_in_bytes", swap, "memory/swap", late=True)
    if memory.get("kernelTCP"):
        writes.add("memory.kmem.tcp.limit_in_bytes", memory["kernelTCP"], "memory/kernelTCP", optional=True)
    if memory.get("reservation"):
        writes.add("memory.soft_limit_in_bytes", memory["reservation"], "memory/reservation")
    if memory.get("useHierarchy"):
        writes.add("memory.use_hierarchy", 1, "memory/useHierarchy", optional=True)
    if memory.get("swappiness") is not None:
        writes.add("memory.swappiness", memory["swappiness"], "memory/swappiness")
    if memory.get("disableOOMKiller"):
        writes.add("memory.oom_control", 1, "memory/disableOOMKiller")


def _block_io(writes: Writes, block: Part) -> None:
    """The weights are of CFQ, and of BFQ under other names: whichever files the kernel has."""
    if block.get("weight"):
        weight = block["weight"]
        writes.add_either(("blkio.weight", weight), ("blkio.bfq.weight", weight), "blockIO/weight")
    if block.get("leafWeight"):
        writes.add("blkio.leaf_weight", block["leafWeight"], "blockIO/leafWeight")
    for index, entry in enumerate(block.get("weightDevice") or []):
        origin, device = f"blockIO/weightDevice/{index}", f"{entry['major']}:{entry['minor']}"
        if entry.get("weight"):
            line = f"{device} {entry['weight']}"
            writes.add_either(("blkio.weight_device", line), ("blkio.bfq.weight_device", line), origin)
        if entry.get("leafWeight"):
            writes.add("blkio.leaf_weight_device", f"{device} {entry['leafWeight']}", origin)
    for key, file in THROTTLE:
        for index, entry in enumerate(block.get(key) or []):
            writes.add(file, f"{entry['major']}:{entry['minor']} {entry['rate']}", f"blockIO/{key}/{index}")


def _network(writes: Writes, network: Part) -> None:
    if network.get("classID"):
        writes.add("net_cls.classid", network["classID"], "network/classID")
    for index, entry in enumerate(network.get("priorities") or []):
        writes.add("net_prio.ifpriomap", f"{entry['name']} {entry['priority']}", f"network/priorities/{index}")
