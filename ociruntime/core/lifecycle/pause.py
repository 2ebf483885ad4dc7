"""pause and resume: the container's processes, frozen where they are."""

from __future__ import annotations

from ociruntime.core.cgroup.freezer import freeze, thaw
from ociruntime.core.errors import StateError
from ociruntime.core.kernel import Kernel
from ociruntime.core.state.status import CREATED, PAUSED, RUNNING, status
from ociruntime.core.state.store import open_container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.options import Globals


def pause(container_id: str, g: Globals) -> None:
    """Freeze a running or created container. Raises StateError, "container not running" where it has stopped."""
    kernel = Kernel()
    container = open_container(kernel, container_id, g)
    container.lock()
    document = container.load()
    word = status(container, document)
    if word not in (RUNNING, CREATED):
        sentence = "container already paused" if word == PAUSED else "container not running"
        raise StateError(sentence, code="pause-status")
    freeze(kernel, document.get("cgroup") or {})


def resume(container_id: str, g: Globals) -> None:
    """Let a paused container go on. Raises StateError "container not paused"."""
    kernel = Kernel()
    container = open_container(kernel, container_id, g)
    container.lock()
    document = container.load()
    if status(container, document) != PAUSED:
        raise StateError("container not paused", code="resume-status")
    thaw(kernel, document.get("cgroup") or {})
