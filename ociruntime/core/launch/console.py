"""--console-socket: handing the master of the container's terminal to whoever asked for it."""

from __future__ import annotations

import _socket
import os

from ociruntime.core.errors import UsageError


def connect(path: str) -> _socket.socket:
    """Connect to the caller's socket before anything is created. Raises UsageError."""
    console = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        console.connect(path)
    except OSError as error:
        raise UsageError(
            f"cannot connect to the console socket {path}", code="console-socket", errno=error.errno or 0
        ) from None
    return console


def send(console: _socket.socket, master: int) -> None:
    """One message with one descriptor; the payload is a name for it (clients.md 1.7)."""
    rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, master.to_bytes(4, "little"))
    console.sendmsg([b"/dev/ptmx"], [rights])
    console.close()
    os.close(master)
