"""start (runtime.md): the program of a created container runs."""

from __future__ import annotations

import _socket

from ociruntime.core import paths
from ociruntime.core.errors import Failure, StateError
from ociruntime.core.jsonio import dumps
from ociruntime.core.kernel import Kernel
from ociruntime.core.lifecycle.begin import hear_beginning
from ociruntime.core.state.status import CREATED, CREATING, RUNNING, STOPPED, document_for, status
from ociruntime.core.state.store import SOCKET, Container, open_container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ociruntime.core.lifecycle.notify import Notify
    from ociruntime.core.options import Globals


def start(container_id: str, g: Globals) -> None:
    """Let init go on, and wait until its program is executed or could not be. Raises Failure."""
    kernel = Kernel()
    container = open_container(kernel, container_id, g)
    container.lock()
    document = container.load()
    require_created(container_id, status(container, document), document)
    notify = notify_for(container)
    connection = _connect(container)
    container.forget(SOCKET)
    container.unlock()
    hear_beginning(kernel, connection, document, listener_for(kernel, container, document))
    run_poststart(kernel, container, document)
    if notify:
        notify.wait(document["pid"])


def listener_for(kernel: Kernel, container: Container, document: dict[str, Any]) -> Callable[[int], None]:
    """What to do with the listener of the container's seccomp filter."""

    def hand_over(number: int) -> None:
        from ociruntime.core.launch import listener

        # "creating" is what config-linux.md wants here, for the container's own process
        state = document_for(container, document, CREATING)
        listener.hand_over(kernel, number, document["pid"], document["listener"], state)

    return hand_over


def notify_for(container: Container) -> Notify | None:
    """The container's side of sd_notify(3), where the runtime was told of a service manager."""
    if not paths.getenv("NOTIFY_SOCKET") or not container.has("notify"):
        return None
    from ociruntime.core.lifecycle.notify import Notify

    return Notify(container)


def require_created(container_id: str, word: str, document: dict[str, Any]) -> None:
    """start is for created containers with a process only."""
    if word == CREATED and document["program"]:
        return
    sentence = {
        CREATED: f"cannot start {container_id}: its config.json has no process",
        CREATING: f"cannot start {container_id} while it is being created",
        STOPPED: "cannot start a container that has stopped",
    }.get(word, "cannot start an already running container")
    raise StateError(sentence, code="start-status", origin="/process" if word == CREATED else "")


def _connect(container: Container) -> int:
    """Connecting is the word that init waits for."""
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{container.fd}/{SOCKET}")
    except ConnectionRefusedError:
        raise StateError("cannot start a container that has stopped", code="start-status") from None
    return connection.detach()


def run_poststart(kernel: Kernel, container: Container, document: dict[str, Any]) -> None:
    """poststart hooks, after the program was executed; one that fails stops the container (runtime.md 1.3, 10)."""
    hooks = document["hooks"].get("poststart")
    if not hooks:
        return
    from ociruntime.core.launch.hooks import open_outputs, run_hooks

    state = dumps(document_for(container, document, RUNNING)).encode()
    try:
        outputs = open_outputs(kernel, document["annotations"])
        run_hooks(kernel, hooks, state, "poststart", "/hooks/poststart", outputs=outputs)
    except Failure:
        from ociruntime.core.lifecycle.destroy import destroy

        container.lock()
        destroy(kernel, container, document)
        raise
