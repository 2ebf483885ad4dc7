"""state (runtime.md): what is known of a container."""

from __future__ import annotations

from ociruntime.core.kernel import Kernel
from ociruntime.core.state.status import document_for, status
from ociruntime.core.state.store import open_container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ociruntime.core.options import Globals


def state(container_id: str, g: Globals) -> dict[str, Any]:
    """The state document. Raises StateError for an unknown id."""
    container = open_container(Kernel(), container_id, g)
    document = container.load()
    return document_for(container, document, status(container, document))
