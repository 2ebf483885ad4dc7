"""What parent and child say to each other, and in which order.

    parent                                    child (becomes the container's init)
    HOST and OPEN steps, clone3
    ATTACH steps (id maps, cgroups)
                        ── go ──▶             ENTER and MOUNTS steps
    BESIDE steps        ── go ──▶             DEVICES steps
                        ◀─ mounted ──         only where prestart or createRuntime hooks wait for it
    these hooks         ── go ──▶             createContainer hooks, ROOT and PROCESS steps
                        ◀─ console ──         with the master of the terminal (SCM_RIGHTS)
                        ◀─ ready ──           nothing left that can fail but the program itself
    state, console socket
                        ── go ──▶             execve of the tape player; its end of the wire closes
    pid file, exit 0    ◀─ (end of file) ──

    At any point the child may say failed instead; it is then gone. Either side takes the end of file
    for the death of the other. Where the child borrows the parent's memory (Turns), the order is the same, but what
    is said is heard only when its speaker listens, and ENTER steps that are plain system calls come first.

A message is one datagram: the kind, and fields after NUL characters.
"""

from __future__ import annotations

import _socket
import posix as os

from ociruntime.core import errors, paths
from ociruntime.core.errors import Failure, StepError
from ociruntime.core.kernel import _door

GO = b"go"
MOUNTED = b"mounted"
CONSOLE = b"console"
READY = b"ready"
FAILED = b"failed"
GONE = b""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

MAX_MESSAGE = 65536

# Which message may follow which, as the parent hears them
ORDER: dict[bytes, tuple[bytes, ...]] = {
    GO: (MOUNTED, CONSOLE, READY, FAILED),
    MOUNTED: (CONSOLE, READY, FAILED),
    CONSOLE: (READY, FAILED),
    READY: (GONE, FAILED),
}


def written(kind: bytes, fields: tuple[bytes, ...]) -> bytes:
    return b"\0".join((kind, *fields))[:MAX_MESSAGE]


class Wire:
    """One end of the socket pair. Datagrams with borders, so a message is never torn."""

    def __init__(self, end: _socket.socket) -> None:
        self.end = end
        self.heard = GO

    def say(self, kind: bytes, *fields: bytes, fd: int = -1) -> None:
        """Send a message; raises OSError (EPIPE) when the other side is gone."""
        message = written(kind, fields)
        if fd < 0:
            self.end.send(message, _socket.MSG_NOSIGNAL)
        else:
            rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(4, "little"))
            self.end.sendmsg([message], [rights], _socket.MSG_NOSIGNAL)

    def leave(self, kind: bytes, *fields: bytes) -> NoReturn:
        """Say a last message, if the other side is still there, and end this process."""
        try:
            self.say(kind, *fields)
        except OSError:
            pass  # nobody is left to tell
        os._exit(1)
        raise SystemExit(1)

    def hear(self) -> tuple[bytes, list[bytes], int]:
        """The next message: kind, fields, and a descriptor or -1. GONE is the end of file."""
        try:
            message, ancillary = self._receive()
        except ConnectionResetError:
            message, ancillary = self._receive()  # it ended without having read all; what it said is here nevertheless
        fd = int.from_bytes(ancillary[0][2], "little") if ancillary else -1
        kind, *fields = message.split(b"\0")
        return kind, fields, fd

    def _receive(self) -> tuple[bytes, list[tuple[int, int, bytes]]]:
        return self.end.recvmsg(MAX_MESSAGE, _socket.CMSG_SPACE(4), _socket.MSG_CMSG_CLOEXEC)[:2]

    def expect(self) -> tuple[bytes, list[bytes], int]:
        """The parent's ear: knows the legal order, and raises what failed in the child as if it had happened here."""
        kind, fields, fd = self.hear()
        if kind == FAILED:
            raise decode_failure(fields)
        if kind not in ORDER[self.heard]:
            if kind == GONE:
                raise StepError("the container's init was killed while it was being set up", code="init-killed")
            raise StepError(f"the container's init said {kind!r} after {self.heard!r}", code="internal")
        self.heard = kind
        return kind, fields, fd

    def fileno(self) -> int:
        return self.end.fileno()

    def close(self) -> None:
        self.end.close()


class Turns(Wire):
    """One end between a child that borrows its parent's memory and that parent (native/borrow.h).

    Only one of them runs, so what is said goes out when its speaker begins to listen. Whatever is here, both have: so
    the end is a number, which does not close itself.
    """

    def __init__(self, end: _socket.socket) -> None:
        super().__init__(end)
        self.number = end.detach()
        self.said: list[tuple[bytes, int]] = []

    def say(self, kind: bytes, *fields: bytes, fd: int = -1) -> None:
        self.said.append((written(kind, fields), fd))

    def leave(self, kind: bytes, *fields: bytes) -> NoReturn:
        _door.leave(self.number, written(kind, fields))

    def hear(self) -> tuple[bytes, list[bytes], int]:
        said, self.said = self.said, []
        message, fd = _door.converse(self.number, said)
        kind, *fields = message.split(b"\0")
        return kind, fields, fd

    def fileno(self) -> int:
        return self.number

    def close(self) -> None:
        """Of the descriptor of this process: the other's stays open."""
        os.close(self.number)


def pair(kind: type[Wire] = Wire) -> tuple[Wire, Wire]:
    """Both ends, CLOEXEC: (the parent's, the child's)."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    return kind(ours), kind(theirs)


def accept(listener: int) -> int:
    """The connection of `start` on the socket that init waits on."""
    fd: int = socket_of(listener)._accept()[0]  # type: ignore[attr-defined]
    return fd


def socket_of(fd: int) -> _socket.socket:
    return _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fd)


def encode_failure(failure: Failure) -> list[bytes]:
    """A failure as fields: class, code, sentence, origin, errno, hint, step."""
    kind, number = type(failure).__name__, str(failure.errno)
    text = (kind, failure.code, failure.what, failure.origin, number, failure.hint, failure.step)
    return [paths.fsencode(part.replace("\0", " ")) for part in text]


def decode_failure(fields: list[bytes]) -> Failure:
    """The failure of the other side, of the same class."""
    name, code, what, origin, number, hint, step = (paths.fsdecode(field) for field in fields)
    kind: type[Failure] = getattr(errors, name, StepError)
    failure = kind(what, code=code, origin=origin, errno=int(number), hint=hint)
    failure.step = step
    return failure
