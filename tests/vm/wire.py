"""What host and guest say to each other over the virtio port.

Both ends use this file, so it needs nothing but the standard library.

    host                                        guest (agent.py)
                                    ◀── BOOTED  systemd has settled
    REQUEST {argv, shares, …} ──▶
                                    ◀── STARTED CMD is about to run
    INPUT data… INPUT '' ──▶
                                    ◀── OUTPUT, ERRORS data…
                                    ◀── EXIT    decimal status; the guest is over

A frame is a kind of one byte, the length in four bytes (network order), data.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

BOOTED, REQUEST, STARTED, INPUT, OUTPUT, ERRORS, EXIT = (
    b"b", b"r", b"s", b"i", b"o", b"e", b"x",
)  # fmt: skip

_HEADER = struct.Struct("!cI")


def frame(kind: bytes, data: bytes = b"") -> bytes:
    """One frame, ready to be written."""
    return _HEADER.pack(kind, len(data)) + data


class Frames:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Take bytes as they came in; yield every frame that is now complete."""
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            kind, size = _HEADER.unpack_from(self._buffer)
            end = _HEADER.size + size
            if len(self._buffer) < end:
                return
            body, self._buffer = self._buffer[_HEADER.size : end], self._buffer[end:]
            yield kind, body
