"""The streaming side of CRI: exec with standard input or a terminal, as `kubectl exec` uses it.

A WebSocket (RFC 6455) with the subprotocol v4.channel.k8s.io: the first byte of each message is the channel.
The server listens in the network namespace of the tests, so busybox's nc carries the bytes from there.
"""

from __future__ import annotations

import base64
import json
import os
import struct
import subprocess
import threading
from typing import IO, Any
from urllib.parse import urlsplit

from tests.clients import host, image
from tests.clients.home import Home

STDIN, STDOUT, STDERR, STATUS, RESIZE = range(5)
BINARY, CLOSE = 2, 8

HANDSHAKE = """\
GET {path} HTTP/1.1
Host: {host}
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: {key}
Sec-WebSocket-Protocol: v4.channel.k8s.io

"""


class Stream:
    """One exec session."""

    def __init__(self, home: Home, url: str) -> None:
        parts = urlsplit(url)
        line = [*home.prefix, image.BUSYBOX, "nc", parts.hostname or "", str(parts.port)]
        self._process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin and self._process.stdout
        self._deadline = threading.Timer(host.SECONDS, self._process.kill)  # what is read then has an end
        self._deadline.daemon = True
        self._deadline.start()
        self._to: IO[bytes] = self._process.stdin
        self._from: IO[bytes] = self._process.stdout
        self.output = ""
        self.status: dict[str, Any] = {}
        key = base64.b64encode(os.urandom(16)).decode()
        text = HANDSHAKE.format(path=parts.path, host=parts.netloc, key=key)
        self._write(text.replace("\n", "\r\n").encode())
        assert b" 101 " in self._from.readline()
        while self._from.readline().strip():
            pass

    def _write(self, data: bytes) -> None:
        self._to.write(data)
        self._to.flush()

    def send(self, channel: int, data: bytes) -> None:
        """One message; a client masks what it sends (RFC 6455, 5.3): here with zeros."""
        body = bytes([channel]) + data
        size = struct.pack("!B", 0x80 | len(body)) if len(body) < 126 else struct.pack("!BH", 0xFE, len(body))
        self._write(bytes([0x80 | BINARY]) + size + bytes(4) + body)

    def type(self, text: str) -> None:
        self.send(STDIN, text.encode())

    def resize(self, rows: int, columns: int) -> None:
        self.send(RESIZE, json.dumps({"Width": columns, "Height": rows}).encode())

    def _receive(self) -> bool:
        """Take one frame; False when there are no more."""
        head = self._from.read(2)
        if len(head) < 2 or head[0] & 0x0F == CLOSE:
            return False
        size = head[1]
        if size >= 126:
            code = "!H" if size == 126 else "!Q"
            size = struct.unpack(code, self._from.read(struct.calcsize(code)))[0]
        body = self._from.read(size)
        if body[:1] in (bytes([STDOUT]), bytes([STDERR])):
            self.output += body[1:].decode(errors="replace")
        elif body[:1] == bytes([STATUS]) and body[1:]:
            self.status = json.loads(body[1:])
        return True

    def expect(self, text: str) -> None:
        """Read until the output has the text."""
        while text not in self.output:
            assert self._receive(), f"no {text!r} in {self.output!r}"

    def end(self) -> int:
        """Read to the end; the command's exit status."""
        while self._receive():
            pass
        self._deadline.cancel()
        self._to.close()
        self._from.close()
        self._process.wait(host.SECONDS)
        if self.status.get("status") == "Success":
            return 0
        return int(self.status["details"]["causes"][0]["message"])
