"""update: other limits for a living container."""

from __future__ import annotations

from ociruntime.core.cgroup.update import update as change
from ociruntime.core.errors import StateError
from ociruntime.core.kernel import Kernel
from ociruntime.core.plan.resources import as_meant
from ociruntime.core.state.status import CREATING, STOPPED, status
from ociruntime.core.state.store import open_container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ociruntime.core.options import Globals


def update(container_id: str, resources: dict[str, Any], g: Globals, schemata: list[str] | None = None) -> None:
    """Write what `resources` (linux.resources of the specification) names, and lines of Intel RDT's schemata.

    Raises Failure; nothing else changes.
    """
    kernel = Kernel()
    container = open_container(kernel, container_id, g)
    container.lock()
    document = container.load()
    if status(container, document) in (STOPPED, CREATING):
        raise StateError("container not running", code="update-status")
    if schemata:
        from ociruntime.core import resctrl

        resctrl.update(kernel, document.get("rdt") or {}, schemata)
    if resources or not schemata:
        change(kernel, document.get("cgroup") or {}, as_meant(resources, document["ociVersion"]))
        if "devices" in resources:
            container.save(document)
