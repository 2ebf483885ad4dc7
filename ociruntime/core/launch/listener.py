"""Handing the listener of a seccomp filter to who asked for it (config-linux.md, ContainerProcessState).

The player installs the filter, tells `start` the number of the listener's descriptor and waits. `start` takes a
copy with pidfd_getfd(2), sends it to linux.seccomp.listenerPath, and answers; only then does the program run.
"""

from __future__ import annotations

import _socket

from ociruntime.core.errors import HostError
from ociruntime.core.jsonio import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ociruntime.core.kernel import Kernel
    from ociruntime.core.spec.types import Seccomp

PATH, METADATA = "/linux/seccomp/listenerPath", "listenerMetadata"


def hand_over(kernel: Kernel, number: int, pid: int, seccomp: Seccomp, state: dict[str, Any]) -> None:
    """Send the descriptor `number` of process `pid` and what it belongs to; one connection, one message.

    `state` is the container's state document. Raises HostError if the listener cannot be reached.
    """
    message: dict[str, Any] = {"ociVersion": state["ociVersion"], "fds": ["seccompFd"], "pid": pid, "state": state}
    if seccomp.get(METADATA):
        message["metadata"] = seccomp["listenerMetadata"]
    content = dumps(message).encode()
    pidfd = kernel.pidfd_open(pid)
    try:
        listener = kernel.pidfd_getfd(pidfd, number)
    finally:
        kernel.close(pidfd)
    try:
        _send(seccomp["listenerPath"], content, listener)
    finally:
        kernel.close(listener)


def _send(path: str, content: bytes, fd: int) -> None:
    """All of it; the descriptor goes with the first part only (config-linux.md)."""
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(4, "little"))]
    try:
        connection.connect(path)
        while content:
            content = content[connection.sendmsg([content], rights, _socket.MSG_NOSIGNAL) :]
            rights = []
    except OSError as error:
        raise HostError(
            f"cannot send the seccomp listener to {path}", code="seccomp-listener", origin=PATH, errno=error.errno or 0
        ) from None
    finally:
        connection.close()
