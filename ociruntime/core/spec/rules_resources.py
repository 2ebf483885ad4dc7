"""Rules about resources, of a configuration and of `update --resources`. See rules.py."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ociruntime.core.spec.finding import Finding
    from ociruntime.core.spec.types import Resources

_UNSET = 2**64 - 1  # what a Go program writes for -1, "not given", into an unsigned property


def memory_swap(resources: Resources) -> Iterator[Finding]:
    """swap counts memory and swap together, so it is at least the limit (config-linux.md, "Memory")."""
    memory = resources.get("memory", {})
    limit, swap = memory.get("limit", 0), memory.get("swap", 0)
    if limit > 0 and 0 < swap < limit:
        hint = "swap is memory and swap together"
        yield "/memory/swap", f"swap {swap} is below the memory limit {limit}", hint


def memory_negative(resources: Resources) -> Iterator[Finding]:
    """Amounts of memory are not negative, except for -1, unlimited."""
    memory = resources.get("memory", {})
    for name in ("limit", "reservation", "swap", "kernel", "kernelTCP"):
        amount = memory.get(name, 0)
        if isinstance(amount, int) and amount < -1:
            yield f"/memory/{name}", f"{name} is {amount}", "-1 is unlimited"


def swappiness(resources: Resources) -> Iterator[Finding]:
    """swappiness goes from 0 to 100 (config-linux.md, "Memory")."""
    given = resources.get("memory", {}).get("swappiness", 0)
    if given > 100 and given != _UNSET:
        yield "/memory/swappiness", f"a swappiness of {given} does not exist", "it goes from 0 to 100"


def cpu_burst(resources: Resources) -> Iterator[Finding]:
    """A burst is at most the quota (config-linux.md, "CPU")."""
    cpu = resources.get("cpu", {})
    quota, burst = cpu.get("quota", 0), cpu.get("burst", 0)
    if quota > 0 and burst > quota:
        yield "/cpu/burst", f"the burst {burst} is above the quota {quota}", ""


def cpu_idle(resources: Resources) -> Iterator[Finding]:
    """idle is 0 or 1, cpu.idle of cgroup v2."""
    idle = resources.get("cpu", {}).get("idle", 0)
    if idle not in (0, 1):
        yield "/cpu/idle", f"idle is {idle}", "it is 0 or 1"


def io_weight(resources: Resources) -> Iterator[Finding]:
    """Weights go from 10 to 1000, 0 leaves them (config-linux.md, "Block IO")."""
    block = resources.get("blockIO", {})
    weights = [("weight", block.get("weight", 0)), ("leafWeight", block.get("leafWeight", 0))]
    for index, device in enumerate(block.get("weightDevice", [])):
        weights.append((f"weightDevice/{index}/weight", device.get("weight", 0)))
        weights.append((f"weightDevice/{index}/leafWeight", device.get("leafWeight", 0)))
    for name, weight in weights:
        if weight and not 10 <= weight <= 1000:
            yield f"/blockIO/{name}", f"a weight of {weight} does not exist", "it goes from 10 to 1000"


def weight_device(resources: Resources) -> Iterator[Finding]:
    """A device's entry gives weight, leafWeight or both (config-linux.md, "Block IO")."""
    for index, device in enumerate(resources.get("blockIO", {}).get("weightDevice", [])):
        if "weight" not in device and "leafWeight" not in device:
            number = f"{device['major']}:{device['minor']}"
            yield f"/blockIO/weightDevice/{index}", f"the entry of the device {number} has no weight", ""


def rdma(resources: Resources) -> Iterator[Finding]:
    """A device's entry gives hcaHandles, hcaObjects or both (config-linux.md, "RDMA")."""
    for name, limits in resources.get("rdma", {}).items():
        if "hcaHandles" not in limits and "hcaObjects" not in limits:
            at = name.replace("~", "~0").replace("/", "~1")
            yield f"/rdma/{at}", f"the RDMA device {name} has no limit", "give hcaHandles or hcaObjects"


def unified(resources: Resources) -> Iterator[Finding]:
    """The keys of unified are files of the cgroup itself (config-linux.md, "Unified")."""
    for name in resources.get("unified", {}):
        if "/" in name or name in (".", ".."):
            at = name.replace("~", "~0").replace("/", "~1")
            yield f"/unified/{at}", f'"{name}" is no file of the cgroup', ""


RESOURCE_RULES = (
    memory_swap,
    memory_negative,
    swappiness,
    cpu_burst,
    cpu_idle,
    io_weight,
    weight_device,
    rdma,
    unified,
)
