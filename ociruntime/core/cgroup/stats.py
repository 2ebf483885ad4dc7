"""What a container uses, in the shape of runc's stats events (`events --stats`, types.Stats).

Numbers of v2 are turned into what v1 would have said, as runc does: times in nanoseconds, swap as
memory and swap together. A file that this kernel or host does not have leaves its member out.
"""

from __future__ import annotations

from ociruntime.core.cgroup.files import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ociruntime.core.cgroup.files import CgroupRecord
    from ociruntime.core.kernel import Kernel

NO_LIMIT = 2**64 - 1
TICK = 10_000_000  # nanoseconds; USER_HZ is 100 on every architecture Linux runs on today


class Files:
    """The files of the container's cgroups, empty where there is none."""

    def __init__(self, kernel: Kernel, record: CgroupRecord) -> None:
        self.kernel = kernel
        self.paths = record.get("paths") or {}
        self.unified = record.get("version") == "v2"

    def text(self, name: str) -> str:
        path = self.paths.get("" if self.unified else name.partition(".")[0])
        if not path:
            return ""
        try:
            return read_text(self.kernel, f"{path}/{name}")
        except OSError:
            return ""

    def number(self, name: str) -> int:
        word = self.text(name).strip()
        if word == "max":
            return NO_LIMIT
        return int(word) if word.lstrip("-").isdigit() else 0

    def numbers(self, name: str) -> dict[str, int]:
        """A flat keyed file: one name and one number a line."""
        found = {}
        for line in self.text(name).splitlines():
            key, _, value = line.partition(" ")
            if value.strip().isdigit():
                found[key] = int(value)
        return found


def stats(kernel: Kernel, record: CgroupRecord) -> dict[str, Any]:
    """The `data` member; its members as in docs of runc events."""
    files = Files(kernel, record)
    data: dict[str, Any] = {
        "cpu": _cpu_v2(files) if files.unified else _cpu_v1(files),
        "cpuset": _cpuset(files),
        "memory": _memory_v2(files) if files.unified else _memory_v1(files),
        "pids": {"current": files.number("pids.current"), "limit": _pids_limit(files)},
        "blkio": _io_v2(files) if files.unified else _blkio_v1(files),
        "hugetlb": _hugetlb(files),
        "intel_rdt": {},
        "network_interfaces": None,
    }
    for member, file in (("cpu", "cpu.pressure"), ("memory", "memory.pressure"), ("blkio", "io.pressure")):
        pressure = _pressure(files.text(file)) if files.unified else None
        if pressure:
            data[member]["psi"] = pressure
    return data


def oom_kills(kernel: Kernel, record: CgroupRecord) -> int:
    """How many processes of the container the kernel has killed for want of memory."""
    files = Files(kernel, record)
    return files.numbers("memory.events" if files.unified else "memory.oom_control").get("oom_kill", 0)


def _pids_limit(files: Files) -> int:
    limit = files.number("pids.max")
    return 0 if limit == NO_LIMIT else limit


def _cpu_v1(files: Files) -> dict[str, Any]:
    ticks = files.numbers("cpuacct.stat")
    usage: dict[str, Any] = {
        "total": files.number("cpuacct.usage"),
        "percpu": [int(word) for word in files.text("cpuacct.usage_percpu").split()],
        "kernel": ticks.get("system", 0) * TICK,
        "user": ticks.get("user", 0) * TICK,
    }
    rows = [line.split() for line in files.text("cpuacct.usage_all").splitlines()[1:]]
    usage["percpu_kernel"] = [int(row[2]) for row in rows if len(row) == 3]
    usage["percpu_user"] = [int(row[1]) for row in rows if len(row) == 3]
    stat = files.numbers("cpu.stat")
    return {
        "usage": usage,
        "throttling": {
            "periods": stat.get("nr_periods", 0),
            "throttledPeriods": stat.get("nr_throttled", 0),
            "throttledTime": stat.get("throttled_time", 0),
        },
    }


def _cpu_v2(files: Files) -> dict[str, Any]:
    stat = files.numbers("cpu.stat")
    return {
        "usage": {
            "total": stat.get("usage_usec", 0) * 1000,
            "kernel": stat.get("system_usec", 0) * 1000,
            "user": stat.get("user_usec", 0) * 1000,
        },
        "throttling": {
            "periods": stat.get("nr_periods", 0),
            "throttledPeriods": stat.get("nr_throttled", 0),
            "throttledTime": stat.get("throttled_usec", 0) * 1000,
        },
    }


# Members of their own only on v1, in runc's order (cpuset(7))
CPUSET_FLAGS = (
    "cpu_exclusive mem_hardwall mem_exclusive memory_migrate memory_spread_page memory_spread_slab "
    "memory_pressure sched_load_balance sched_relax_domain_level"
).split()


def _cpuset(files: Files) -> dict[str, Any]:
    """v2 has none of the flags; runc gives them as zeros."""
    members = {"cpus": _members(files.text("cpuset.cpus")), "mems": _members(files.text("cpuset.mems"))}
    return {**members, **{name: files.number(f"cpuset.{name}") for name in CPUSET_FLAGS}}


def _members(text: str) -> list[int]:
    """The numbers of a list like 0-3,8 (cpuset(7), List format)."""
    found: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first.isdigit():
            found.extend(range(int(first), int(last or first) + 1))
    return found


def _memory_v1(files: Files) -> dict[str, Any]:
    raw = files.numbers("memory.stat")
    data: dict[str, Any] = {"cache": raw.get("cache", 0), "raw": raw}
    for member, prefix in (
        ("usage", "memory"),
        ("swap", "memory.memsw"),
        ("kernel", "memory.kmem"),
        ("kernelTCP", "memory.kmem.tcp"),
    ):
        data[member] = {
            "limit": files.number(f"{prefix}.limit_in_bytes"),
            "usage": files.number(f"{prefix}.usage_in_bytes"),
            "max": files.number(f"{prefix}.max_usage_in_bytes"),
            "failcnt": files.number(f"{prefix}.failcnt"),
        }
    return data


def _memory_v2(files: Files) -> dict[str, Any]:
    raw, events = files.numbers("memory.stat"), files.numbers("memory.events")
    usage = {
        "limit": files.number("memory.max"),
        "usage": files.number("memory.current"),
        "max": files.number("memory.peak"),
        "failcnt": events.get("max", 0),
    }
    swap_limit = files.number("memory.swap.max")
    together = NO_LIMIT if NO_LIMIT in (swap_limit, usage["limit"]) else swap_limit + usage["limit"]
    swap = {
        "limit": together,
        "usage": files.number("memory.swap.current") + usage["usage"],
        "max": files.number("memory.swap.peak"),
        "failcnt": files.numbers("memory.swap.events").get("max", 0),
    }
    return {
        "cache": raw.get("file", 0),
        "usage": usage,
        "swap": swap,
        "kernel": _nothing(),
        "kernelTCP": _nothing(),
        "raw": raw,
    }


def _nothing() -> dict[str, int]:
    return {"limit": 0, "usage": 0, "max": 0, "failcnt": 0}


# member, files of CFQ and throttling, in the order in which they are tried
BLKIO = (
    ("ioServiceBytesRecursive", "bfq.io_service_bytes_recursive", "throttle.io_service_bytes_recursive"),
    ("ioServicedRecursive", "bfq.io_serviced_recursive", "throttle.io_serviced_recursive"),
    ("ioQueueRecursive", "bfq.io_queued_recursive", "io_queued_recursive"),
    ("ioServiceTimeRecursive", "bfq.io_service_time_recursive", "io_service_time_recursive"),
    ("ioWaitTimeRecursive", "bfq.io_wait_time_recursive", "io_wait_time_recursive"),
    ("ioMergedRecursive", "bfq.io_merged_recursive", "io_merged_recursive"),
    ("ioTimeRecursive", "bfq.time_recursive", "time_recursive"),
    ("sectorsRecursive", "bfq.sectors_recursive", "sectors_recursive"),
)


def _blkio_v1(files: Files) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for member, *names in BLKIO:
        for name in names:
            entries = [_blkio_entry(line) for line in files.text(f"blkio.{name}").splitlines()]
            found = [entry for entry in entries if entry]
            if found:
                data[member] = found
                break
    return data


def _blkio_entry(line: str) -> dict[str, Any]:
    """`8:0 Read 4096`, or `8:0 4096` without an operation; the line of totals has no device."""
    words = line.replace(":", " ").split()
    if len(words) < 3 or not words[0].isdigit():
        return {}
    return {
        "major": int(words[0]),
        "minor": int(words[1]),
        "op": words[2] if len(words) == 4 else "",
        "value": int(words[-1]),
    }


def _io_v2(files: Files) -> dict[str, Any]:
    sizes: list[dict[str, Any]] = []
    counts: list[dict[str, Any]] = []
    operations = {
        "rbytes": (sizes, "Read"), "wbytes": (sizes, "Write"), "dbytes": (sizes, "Discard"),
        "rios": (counts, "Read"), "wios": (counts, "Write"), "dios": (counts, "Discard"),
    }  # fmt: skip
    for line in files.text("io.stat").splitlines():
        device, *pairs = line.split()
        major, _, minor = device.partition(":")
        for pair in pairs:
            key, _, value = pair.partition("=")
            if key in operations and value.isdigit():
                where, name = operations[key]
                where.append({"major": int(major), "minor": int(minor), "op": name, "value": int(value)})
    return {"ioServiceBytesRecursive": sizes, "ioServicedRecursive": counts}


def _hugetlb(files: Files) -> dict[str, Any]:
    path = files.paths.get("" if files.unified else "hugetlb")
    if not path:
        return {}
    suffix = ".current" if files.unified else ".usage_in_bytes"
    try:
        names = files.kernel.listdir(path)
    except OSError:
        return {}
    sizes = {
        name.split(".")[1]
        for name in names
        if name.startswith("hugetlb.") and name.endswith(suffix) and ".rsvd." not in name
    }
    data = {}
    for size in sorted(sizes):
        data[size] = {
            "usage": files.number(f"hugetlb.{size}{suffix}"),
            "max": 0 if files.unified else files.number(f"hugetlb.{size}.max_usage_in_bytes"),
            "failcnt": (
                files.numbers(f"hugetlb.{size}.events").get("max", 0)
                if files.unified
                else files.number(f"hugetlb.{size}.failcnt")
            ),
        }
    return data


def _pressure(text: str) -> dict[str, Any]:
    """Pressure stall information (Documentation/accounting/psi.rst)."""
    data: dict[str, Any] = {}
    for line in text.splitlines():
        kind, *pairs = line.split()
        values = dict(pair.split("=", 1) for pair in pairs)
        data[kind] = {key: int(value) if key == "total" else float(value) for key, value in values.items()}
    return data


__all__ = ["oom_kills", "stats"]
