"""ps: the processes of a container, as the host numbers them."""

from __future__ import annotations

from ociruntime.core.cgroup import processes
from ociruntime.core.kernel import Kernel
from ociruntime.core.state.store import open_container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.options import Globals


def pids(container_id: str, g: Globals) -> list[int]:
    """Every process of the container's cgroups. Raises StateError for an unknown id."""
    kernel = Kernel()
    document = open_container(kernel, container_id, g).load()
    return processes.pids(kernel, document.get("cgroup") or {})
