"""The status of a container: derived from the world each time, stored nowhere.

A process is recognised by its id and its start time together, so a recycled process id is never
mistaken for the container (proc_pid_stat(5), field 22).
"""

from __future__ import annotations

import fcntl

from ociruntime.core.state.store import SOCKET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ociruntime.core.kernel import Kernel
    from ociruntime.core.state.store import Container

CREATING = "creating"
CREATED = "created"
RUNNING = "running"
PAUSED = "paused"
STOPPED = "stopped"
ECONNREFUSED = 111


def start_time(kernel: Kernel, pid: int) -> int:
    """When a process started, in clock ticks after boot; 0 where it is gone or a zombie."""
    try:
        fd = kernel.open(f"/proc/{pid}/stat", 0)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    try:
        fields = kernel.read(fd, 4096).rpartition(b") ")[2].split()
    except ProcessLookupError:
        return 0
    finally:
        kernel.close(fd)
    return 0 if fields[0] in (b"Z", b"X", b"x") else int(fields[19])


def is_alive(kernel: Kernel, document: dict[str, Any]) -> bool:
    """Whether the container's init is the very process that create recorded, and not a zombie."""
    pid = document.get("pid", 0)
    return bool(pid > 0 and start_time(kernel, pid) == document["startTime"])


def status(container: Container, document: dict[str, Any]) -> str:
    """One of the words of runtime.md (State), or "paused"."""
    if not document.get("pid"):
        # No init on record: a create is at work while somebody holds the lock, or it died
        free = container.try_lock(fcntl.LOCK_SH)
        return STOPPED if free else CREATING
    if not is_alive(container.kernel, document):
        return STOPPED
    if is_paused(container.kernel, document):
        return PAUSED
    return CREATED if container.has(SOCKET) and _is_heard(container) else RUNNING


def _is_heard(container: Container) -> bool:
    """Whether init still has the socket of `start`: one that was killed in its work leaves the name behind.

    A socket of another type is refused without being connected: EPROTOTYPE where somebody has it, ECONNREFUSED
    where nobody does.
    """
    import _socket

    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        probe.connect(f"/proc/self/fd/{container.fd}/{SOCKET}")
    except OSError as error:
        return error.errno != ECONNREFUSED
    finally:
        probe.close()
    return True


def is_paused(kernel: Kernel, document: dict[str, Any]) -> bool:
    """Whether the container's cgroup is frozen."""
    record = document.get("cgroup")
    if not record:
        return False
    from ociruntime.core.cgroup.frozen import is_frozen

    return is_frozen(kernel, record)


def document_for(container: Container, document: dict[str, Any], word: str) -> dict[str, Any]:
    """The state as `state` prints it and hooks receive it (runtime.md, State; runc's order and extras)."""
    shown: dict[str, Any] = {
        "ociVersion": document.get("ociVersion", ""),
        "id": container.id,
        "pid": 0 if word == STOPPED else document.get("pid", 0),
        "status": word,
        "bundle": document.get("bundle", ""),
        "rootfs": document.get("rootfs", ""),
        "created": document.get("created", ""),
    }
    if document.get("annotations"):
        shown["annotations"] = document["annotations"]
    shown["owner"] = ""
    return shown
