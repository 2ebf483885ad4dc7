"""What a class of service may use and a container has used, in the shape of runc's stats events (types.IntelRdt).

See core/resctrl.py. A file that this processor has not got leaves its member out.
"""

from __future__ import annotations

from ociruntime.core.cgroup.files import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ociruntime.core.kernel import Kernel

# Member of the event: its directory below info, and the files there
INFO = {
    "l3_cache_info": ("L3", ("cbm_mask", "min_cbm_bits", "num_closids")),
    "mem_bw_info": ("MB", ("bandwidth_gran", "delay_linear", "min_bandwidth", "num_closids")),
}
SCHEMAS = (("l3_cache_schema", "L3:"), ("mem_bw_schema", "MB:"))
MONITORED = {"mbm_stats": ("mbm_total_bytes", "mbm_local_bytes"), "cmt_stats": ("llc_occupancy",)}


def intel_rdt(kernel: Kernel, record: Mapping[str, Any]) -> dict[str, Any]:
    """The `intel_rdt` member; `record` is what the state document keeps under "rdt"."""
    root, directory = record["root"], record["directory"]
    data: dict[str, Any] = {}
    for member, (resource, names) in INFO.items():
        found = {name: _text(kernel, f"{root}/info/{resource}/{name}") for name in names}
        told = {name: text if name == "cbm_mask" else int(text) for name, text in found.items() if text}
        if told:
            data[member] = told
    for suffix, place in (("_root", root), ("", directory)):
        lines = [line.strip() for line in _text(kernel, f"{place}/schemata").splitlines()]
        for member, begin in SCHEMAS:
            line = next((line for line in lines if line.startswith(begin)), "")
            if line:
                data[member + suffix] = line
        if place == directory and not suffix:
            data["schemata"] = lines
    measured = record["joined"][-1]  # the monitoring group, where the container has one
    for member, names in MONITORED.items():
        nodes = [_numbers(kernel, f"{measured}/mon_data/{node}", names) for node in _nodes(kernel, measured)]
        if any(nodes):
            data[member] = nodes
    return data


def _text(kernel: Kernel, path: str) -> str:
    try:
        return read_text(kernel, path).strip()
    except OSError:
        return ""


def _nodes(kernel: Kernel, group: str) -> list[str]:
    try:
        fd = kernel.open(f"{group}/mon_data", 0)
    except OSError:
        return []
    try:
        return sorted(name for name in kernel.listdir(fd) if name.startswith("mon_L3_"))
    finally:
        kernel.close(fd)


def _numbers(kernel: Kernel, node: str, names: tuple[str, ...]) -> dict[str, int]:
    """Those that are numbers: a counter can be "Unavailable" for a while."""
    found = {name: _text(kernel, f"{node}/{name}") for name in names}
    return {name: int(text) for name, text in found.items() if text.isdigit()}
