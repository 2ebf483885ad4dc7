"""--console-socket and --pidfd-socket: handing a descriptor to whoever asked for it."""

from __future__ import annotations

import _socket
import posix as os

from ociruntime.core.errors import UsageError


def connect(path: str, kind: str = "console") -> _socket.socket:
    """Connect to the caller's socket before anything is created. Raises UsageError."""
    receiver = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        receiver.connect(path)
    except OSError as error:
        raise UsageError(
            f"cannot connect to the {kind} socket {path}", code=f"{kind}-socket", errno=error.errno or 0
        ) from None
    return receiver


def send(receiver: _socket.socket, descriptor: int, payload: bytes = b"/dev/ptmx") -> None:
    """One message with one descriptor; the payload is a name for it (docs/compatibility.md). Closes both."""
    rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptor.to_bytes(4, "little"))
    receiver.sendmsg([payload], [rights])
    receiver.close()
    os.close(descriptor)


class PidfdReceiver:
    """Whoever listens at --pidfd-socket: connected before the clone, told after it."""

    def __init__(self, path: str) -> None:
        self.socket = connect(path, "pidfd")

    def tell(self, pid: int, payload: bytes) -> None:
        """runc's payloads: "standard" for a container's init, "setns" for a process of exec."""
        send(self.socket, os.pidfd_open(pid), payload)
