"""The foreground terminal: ours in raw mode, its bytes copied to and from the container's."""

from __future__ import annotations

import posix as os
import select
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CHUNK = 65536


class Terminal:
    """Copies between standard input and output and the master of the container's terminal."""

    def __init__(self, master: int) -> None:
        from ociruntime.core.kernel import Kernel
        from ociruntime.core.lifecycle.foreground import copy_size

        self.master = master
        self.saved: list[Any] | None = None
        self._unmap_newlines()
        copy_size(Kernel(), master)
        try:
            self.saved = termios.tcgetattr(0)
            termios.tcsetattr(0, termios.TCSANOW, _raw(self.saved))
        except termios.error:
            pass  # standard input is no terminal

    def _unmap_newlines(self) -> None:
        """Ours maps newlines already; both would double the carriage returns (runc does so in the foreground)."""
        attributes = termios.tcgetattr(self.master)
        attributes[1] &= ~termios.ONLCR
        termios.tcsetattr(self.master, termios.TCSANOW, attributes)

    def register(self, poll: select.poll) -> None:
        poll.register(self.master, select.POLLIN)
        poll.register(0, select.POLLIN)

    def copy(self, fd: int, poll: select.poll) -> None:
        """Move what is there to the other side; a side that ended is no longer asked."""
        try:
            data = os.read(fd, CHUNK)
        except OSError:
            data = b""  # EIO: nobody in the container holds the terminal any more
        if not data:
            poll.unregister(fd)
            return
        write_all(1 if fd == self.master else self.master, data)

    def drain(self) -> None:
        """What the container wrote before it ended."""
        os.set_blocking(self.master, False)
        try:
            while data := os.read(self.master, CHUNK):
                write_all(1, data)
        except OSError:
            pass

    def restore(self) -> None:
        if self.saved is not None:
            termios.tcsetattr(0, termios.TCSANOW, self.saved)


def write_all(fd: int, data: bytes) -> None:
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError:
        pass  # the reader is gone; the container goes on


def _raw(attributes: list[Any]) -> list[Any]:
    """cfmakeraw(3), but output is still processed by our terminal."""
    iflag, oflag, cflag, lflag, ispeed, ospeed, chars = attributes
    iflag &= ~(
        termios.IGNBRK
        | termios.BRKINT
        | termios.PARMRK
        | termios.ISTRIP
        | termios.INLCR
        | termios.IGNCR
        | termios.ICRNL
        | termios.IXON
    )
    lflag &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    cflag = cflag & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    chars = list(chars)
    chars[termios.VMIN], chars[termios.VTIME] = 1, 0
    return [iflag, oflag, cflag, lflag, ispeed, ospeed, chars]
