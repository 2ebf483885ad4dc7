"""config.json /linux/intelRdt: the container's class of service and its monitoring (config-linux.md, IntelRdt)."""

from __future__ import annotations

from ociruntime.core.kernel import Kernel
from ociruntime.core.plan.draft import ATTACH, HOST
from ociruntime.core.resctrl import find_root
from ociruntime.core.steps.rdt import JoinClos, MakeClos, MakeMonitor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ociruntime.core.plan.draft import Draft

ORIGIN = "/linux/intelRdt"


def contribute(draft: Draft) -> None:
    """Directories before the clone, the container's init into them after it; undone if the create fails."""
    rdt: Mapping[str, Any] = (draft.spec.get("linux") or {})["intelRdt"]
    root = draft.host.resctrl or find_root(Kernel())
    clos, lines = rdt.get("closID") or "", schemata(rdt)
    directory = root if clos == "/" else f"{root}/{clos or draft.id}"
    # A directory that has a name belongs to whoever named it, even if it was made here
    made = [] if clos else [directory]
    origin = f"{ORIGIN}/closID" if clos else ORIGIN
    draft.add(HOST, MakeClos(origin=origin, path=directory, lines=tuple(lines), own=not clos, make=clos != "/"))
    joined = [directory]
    if rdt.get("enableMonitoring"):
        group = f"{directory}/mon_groups/{draft.id}"
        made.insert(0, group)
        joined.append(group)
        draft.add(HOST, MakeMonitor(origin=f"{ORIGIN}/enableMonitoring", path=group))
    for path in joined:
        draft.add(ATTACH, JoinClos(origin=ORIGIN, path=path))
    draft.rdt = {"root": root, "directory": directory, "made": made, "joined": joined}


def schemata(rdt: Mapping[str, Any]) -> list[str]:
    """The lines in the order in which they are written: l3CacheSchema, memBwSchema, schemata."""
    lines = [rdt[key] for key in ("l3CacheSchema", "memBwSchema") if rdt.get(key)]
    return [*lines, *(rdt.get("schemata") or ())]
