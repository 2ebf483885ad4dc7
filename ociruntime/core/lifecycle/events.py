"""events: what a container uses."""

from __future__ import annotations

from ociruntime.core.cgroup.stats import oom_kills as count_oom_kills
from ociruntime.core.cgroup.stats import stats as measure
from ociruntime.core.errors import StateError
from ociruntime.core.kernel import Kernel
from ociruntime.core.state.status import STOPPED, status
from ociruntime.core.state.store import open_container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ociruntime.core.options import Globals


def stats(container_id: str, g: Globals) -> dict[str, Any]:
    """The `data` of a stats event (docs/compatibility.md). Raises StateError where the container does not run."""
    kernel = Kernel()
    container = open_container(kernel, container_id, g)
    document = container.load()
    word = status(container, document)
    container.close()
    if word == STOPPED:
        raise StateError("container not running", code="events-status")
    data = measure(kernel, document.get("cgroup") or {})
    if document.get("rdt"):
        from ociruntime.core.resctrl_stats import intel_rdt

        data["intel_rdt"] = intel_rdt(kernel, document["rdt"])
    return data


def oom_kills(container_id: str, g: Globals) -> int:
    """How often the kernel killed one of its processes for want of memory. Raises StateError for an unknown id."""
    kernel = Kernel()
    container = open_container(kernel, container_id, g)
    document = container.load()
    container.close()
    return count_oom_kills(kernel, document.get("cgroup") or {})
