"""/linux/resources as files of the unified hierarchy (Documentation/admin-guide/cgroup-v2.rst).

The properties speak v1. What has a counterpart is converted, what has none is an error, and `unified`
is written last, as it is (config-linux.md, Unified).
"""

from __future__ import annotations

from ociruntime.core.errors import ConfigError
from ociruntime.core.plan.resources import POINTER, add_hugepages, add_pids, add_rdma, limit_text, token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.plan.resources import Part, Writes
    from ociruntime.core.steps.cgroup_write import WriteCgroup

THROTTLE = (
    ("throttleReadBpsDevice", "rbps"),
    ("throttleWriteBpsDevice", "wbps"),
    ("throttleReadIOPSDevice", "riops"),
    ("throttleWriteIOPSDevice", "wiops"),
)


# What would hit the runtime's own init; the first three are the files of properties that are late as well
LATE = ("pids.max", "memory.max", "memory.swap.max", "memory.high")


def v2_writes(writes: Writes, resources: Part) -> list[WriteCgroup]:
    """All properties but devices."""
    _cpu(writes, resources.get("cpu") or {})
    _memory(writes, resources.get("memory") or {})
    add_pids(writes, resources)
    _block_io(writes, resources.get("blockIO") or {})
    add_hugepages(writes, resources)
    add_rdma(writes, resources)
    network = resources.get("network") or {}
    for key in ("classID", "priorities"):
        if network.get(key):
            raise _only_v1(f"network/{key}")
    _unified(writes, resources.get("unified") or {})
    return writes.steps


def _only_v1(origin: str) -> ConfigError:
    return ConfigError(
        f"{origin} exists on cgroup v1 only, this host has v2",
        code="cgroup-v1-only", origin=f"{POINTER}/{origin}", hint="leave it out, or use linux.resources.unified",
    )  # fmt: skip


def _cpu(writes: Writes, cpu: Part) -> None:
    for key in ("realtimePeriod", "realtimeRuntime"):
        if cpu.get(key):
            raise _only_v1(f"cpu/{key}")
    for key in ("cpus", "mems"):
        if cpu.get(key):
            writes.add(f"cpuset.{key}", cpu[key], f"cpu/{key}")
    if cpu.get("shares"):
        writes.add("cpu.weight", weight_of_shares(cpu["shares"]), "cpu/shares")
    quota, period = cpu.get("quota"), cpu.get("period")
    if quota or period:
        # Without a period in the line the kernel keeps the one it has.
        line = limit_text(quota or -1) + (f" {period}" if period else "")
        writes.add("cpu.max", line, "cpu/quota" if quota else "cpu/period")
    if cpu.get("burst") is not None:
        writes.add("cpu.max.burst", cpu["burst"], "cpu/burst")
    if cpu.get("idle") is not None:
        writes.add("cpu.idle", cpu["idle"], "cpu/idle")


def weight_of_shares(shares: int) -> int:
    """cpu.weight (1 to 10000) for cpu.shares (2 to 262144).

    The curve that runc 1.3.2 and crun 1.23 adopted: a second degree polynomial of the logarithms through
    (2, 1), (1024, 100) and (262144, 10000), so the defaults of both worlds meet. The straight line of
    old gave 1024 shares a weight of 39, and small containers next to nothing.
    """
    from math import ceil, log2

    if shares <= 2:
        return 1
    if shares >= 262144:
        return 10000
    power = log2(shares)
    return ceil(10 ** ((power * power + 125 * power) / 612 - 7 / 34))


def _memory(writes: Writes, memory: Part) -> None:
    if memory.get("swappiness") is not None:
        raise _only_v1("memory/swappiness")
    if memory.get("disableOOMKiller"):
        raise _only_v1("memory/disableOOMKiller")
    limit = memory.get("limit")
    swap = swap_of(limit, memory.get("swap"))
    if swap is not None:
        origin = "memory/swap" if memory.get("swap") else "memory/limit"
        # A kernel without swap has no such file, and nothing to limit when the limit is lifted.
        writes.add("memory.swap.max", limit_text(swap), origin, late=True, optional=swap < 0)
    if limit:
        writes.add("memory.max", limit_text(limit), "memory/limit", late=True)
    if memory.get("reservation"):
        writes.add("memory.low", limit_text(memory["reservation"]), "memory/reservation")


def swap_of(limit: int | None, swap: int | None) -> int | None:
    """The swap alone, from memory and memory+swap; None leaves it as it is, -1 means no limit."""
    if not swap:
        return -1 if limit == -1 else None
    if swap < 0:
        return -1
    if not limit or limit < 0:
        raise ConfigError(
            "a swap limit needs a memory limit on cgroup v2: it is memory and swap together",
            code="cgroup-swap", origin=f"{POINTER}/memory/swap", hint="set memory.limit as well",
        )  # fmt: skip
    if swap < limit:
        raise ConfigError(
            f"memory+swap limit {swap} is below the memory limit {limit}",
            code="cgroup-swap", origin=f"{POINTER}/memory/swap",
        )  # fmt: skip
    return swap - limit


def io_weight(weight: int) -> int:
    """io.weight (1 to 10000) for a blkio weight (10 to 1000), on a straight line."""
    return 1 + (weight - 10) * 9999 // 990


def _block_io(writes: Writes, block: Part) -> None:
    """BFQ understands the weights as they are; elsewhere io.weight, on its own scale."""
    if block.get("leafWeight"):
        raise _only_v1("blockIO/leafWeight")
    weight = block.get("weight")
    if weight:
        writes.add_either(("io.bfq.weight", weight), ("io.weight", io_weight(weight)), "blockIO/weight")
    for index, entry in enumerate(block.get("weightDevice") or []):
        origin, device = f"blockIO/weightDevice/{index}", f"{entry['major']}:{entry['minor']}"
        if entry.get("leafWeight"):
            raise _only_v1(f"{origin}/leafWeight")
        if entry.get("weight"):
            line, other = f"{device} {entry['weight']}", f"{device} {io_weight(entry['weight'])}"
            writes.add_either(("io.bfq.weight", line), ("io.weight", other), origin)
    for key, name in THROTTLE:
        for index, entry in enumerate(block.get(key) or []):
            rate = entry["rate"] or "max"  # v1 spells "no limit" as 0
            writes.add("io.max", f"{entry['major']}:{entry['minor']} {name}={rate}", f"blockIO/{key}/{index}")


def _unified(writes: Writes, unified: Part) -> None:
    for file, value in unified.items():
        origin = f"unified/{token(file)}"
        if "/" in file or file in ("", ".", ".."):
            raise ConfigError(
                f'"{file}" is not the name of a cgroup file', code="cgroup-unified-key", origin=f"{POINTER}/{origin}"
            )
        writes.add(file, value, origin, late=file in LATE)
