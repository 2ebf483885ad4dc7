"""create (runtime.md): a container that waits for `start`."""

from __future__ import annotations

from ociruntime.core.kernel import Kernel
from ociruntime.core.lifecycle.bring_up import bring_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.options import CreateOptions, Globals


def create(container_id: str, options: CreateOptions, g: Globals) -> None:
    """Create the container; on failure nothing is left. Raises Failure."""
    bring_up(Kernel(), container_id, options, g, listen=True)
