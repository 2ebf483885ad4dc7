"""delete (runtime.md): what create made is taken away."""

from __future__ import annotations

from ociruntime.core.errors import StateError
from ociruntime.core.kernel import Kernel
from ociruntime.core.lifecycle.destroy import destroy
from ociruntime.core.state.status import CREATED, STOPPED, status
from ociruntime.core.state.store import open_container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.options import Globals


def delete(container_id: str, g: Globals, force: bool = False) -> None:
    """Delete a stopped container; a created one is killed first, as engines expect of runc; with force any.

    Raises StateError; with force a missing container is no error (docs/compatibility.md).
    """
    kernel = Kernel()
    try:
        container = open_container(kernel, container_id, g)
        container.lock()
    except StateError as error:
        if force and error.code == "container-missing":
            return
        raise
    document = container.load()
    word = status(container, document)
    if not force and word not in (STOPPED, CREATED):
        raise StateError(
            f"cannot delete container {container_id} that is not stopped: {word}",
            code="delete-status",
            hint="kill it first, or delete --force",
        )
    destroy(kernel, container, document)
