"""kill (runtime.md): a signal for the container's init."""

from __future__ import annotations

from ociruntime.core.errors import StateError
from ociruntime.core.kernel import Kernel
from ociruntime.core.state.status import is_alive
from ociruntime.core.state.store import open_container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ociruntime.core.options import Globals

SIGKILL = 9


def kill(container_id: str, signal: int, g: Globals, all_processes: bool = False) -> None:
    """Signal init, or with all_processes everything in its cgroup. Raises StateError "container not running"."""
    kernel = Kernel()
    container = open_container(kernel, container_id, g)
    document = container.load()
    # Killing an init without a pid namespace of its own would leave the rest of the container behind
    if all_processes or (signal == SIGKILL and not document.get("pidNamespace", True)):
        from ociruntime.core.cgroup.processes import signal_all

        signal_all(kernel, document.get("cgroup") or {}, signal)
        if all_processes:
            return
    if not signal_init(kernel, document, signal):
        raise StateError("container not running", code="not-running")
    if signal == SIGKILL:
        _thaw(kernel, document)


def signal_init(kernel: Kernel, document: dict[str, Any], signal: int) -> bool:
    """Signal the recorded process and no other: the pidfd is taken first, the start time compared after."""
    pid = document.get("pid", 0)
    if not pid:
        return False
    try:
        pidfd = kernel.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if not is_alive(kernel, document):
            return False
        kernel.pidfd_send_signal(pidfd, signal)
    except ProcessLookupError:
        return False
    finally:
        kernel.close(pidfd)
    return True


def _thaw(kernel: Kernel, document: dict[str, Any]) -> None:
    """A process frozen by the v1 freezer dies only when it is thawed (freezer-subsystem)."""
    record = document.get("cgroup") or {}
    if "freezer" in (record.get("paths") or {}):
        from ociruntime.core.cgroup.freezer import order

        order(kernel, record, stop=False)
