"""As much of D-Bus as it takes to ask systemd for a scope (dbus-specification, protocol version 1).

Written by hand because a start of the runtime takes a few milliseconds, and importing the libraries adds
to that, measured on one machine: jeepney 23 ms, sdbus 50 ms, dbus-fast 73 ms.

Everything is sent before anything is read, the handshake included, as sd-bus does: one round trip.
"""

from __future__ import annotations

import _socket
import posix as os
import select
import time

from ociruntime.core import paths
from ociruntime.core.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CALL, RETURN, ERROR, SIGNAL = 1, 2, 3, 4
PATH, INTERFACE, MEMBER, ERROR_NAME, REPLY_SERIAL, DESTINATION, SIGNATURE = 1, 2, 3, 4, 5, 6, 8
BUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")

# type code to size, which is its alignment too; signed ones apart
FIXED = {"y": 1, "q": 2, "u": 4, "t": 8, "b": 4, "n": 2, "i": 4, "x": 8}
SIGNED = "nix"
ALIGNMENT = {**FIXED, "s": 4, "o": 4, "g": 1, "a": 4, "(": 8, "{": 8, "v": 1}


class BusError(Exception):
    """An error that the other side answered: its D-Bus name and its text."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text or name)
        self.name = name


def first_type(signature: str) -> str:
    """The first complete type of a signature."""
    if signature[0] == "a":
        return "a" + first_type(signature[1:])
    if signature[0] not in "({":
        return signature[0]
    depth = 0
    for at, letter in enumerate(signature):
        depth += (letter in "({") - (letter in ")}")
        if depth == 0:
            return signature[: at + 1]
    raise ValueError(f"signature {signature!r} does not end")


def types_of(signature: str) -> list[str]:
    """A signature as its complete types."""
    found = []
    while signature:
        found.append(first_type(signature))
        signature = signature[len(found[-1]) :]
    return found


class Writer:
    """Marshals values, little endian."""

    def __init__(self) -> None:
        self.data = bytearray()

    def align(self, size: int) -> None:
        self.data += bytes(-len(self.data) % size)

    def put(self, kind: str, value: Any) -> None:
        """One value of one complete type. A variant is a pair of signature and value."""
        code = kind[0]
        self.align(ALIGNMENT[code])
        if code in FIXED:
            self.data += int(value).to_bytes(FIXED[code], "little", signed=code in SIGNED)
        elif code in "so":
            raw = value.encode()
            self.data += len(raw).to_bytes(4, "little") + raw + b"\0"
        elif code == "g":
            self.data += bytes((len(value),)) + value.encode() + b"\0"
        elif code == "v":
            self.put("g", value[0])
            self.put(value[0], value[1])
        elif code == "a":
            self._array(kind[1:], value)
        else:
            for part, item in zip(types_of(kind[1:-1]), value, strict=True):
                self.put(part, item)

    def _array(self, kind: str, values: Any) -> None:
        length_at = len(self.data)
        self.data += bytes(4)
        self.align(ALIGNMENT[kind[0]])  # not counted in the length
        begin = len(self.data)
        for value in values:
            self.put(kind, value)
        self.data[length_at : length_at + 4] = (len(self.data) - begin).to_bytes(4, "little")


class Reader:
    """Unmarshals values."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def get(self, kind: str) -> Any:
        code = kind[0]
        self.at += -self.at % ALIGNMENT[code]
        if code in FIXED:
            return int.from_bytes(self._take(FIXED[code]), "little", signed=code in SIGNED)
        if code in "sog":
            text = self._take(self.get("y" if code == "g" else "u")).decode()
            self.at += 1
            return text
        if code == "v":
            return self.get(self.get("g"))
        if code == "a":
            size = self.get("u")
            self.at += -self.at % ALIGNMENT[kind[1]]
            end = self.at + size
            values = []
            while self.at < end:
                values.append(self.get(kind[1:]))
            return values
        return tuple([self.get(part) for part in types_of(kind[1:-1])])

    def _take(self, size: int) -> bytes:
        part = self.data[self.at : self.at + size]
        self.at += size
        return part


def message(serial: int, target: tuple[str, str, str], member: str, signature: str = "", *arguments: Any) -> bytes:
    """A method call. target: bus name, object path, interface."""
    body = Writer()
    for kind, argument in zip(types_of(signature), arguments, strict=True):
        body.put(kind, argument)
    fields: list[tuple[int, tuple[str, str]]] = [
        (PATH, ("o", target[1])),
        (INTERFACE, ("s", target[2])),
        (MEMBER, ("s", member)),
        (DESTINATION, ("s", target[0])),
    ]
    if signature:
        fields.append((SIGNATURE, ("g", signature)))
    head = Writer()
    head.put("(yyyyuua(yv))", (ord("l"), CALL, 0, 1, len(body.data), serial, fields))
    head.align(8)
    return bytes(head.data + body.data)


class Message:
    """A message from the bus."""

    def __init__(self, kind: int, fields: dict[int, Any], body: list[Any]) -> None:
        self.kind = kind
        self.fields = fields
        self.body = body


class Connection:
    """A connection to a message bus. Raises HostError where there is none, BusError for an answered error."""

    def __init__(self, path: str, patience: float) -> None:
        self.deadline = time.monotonic() + patience
        self.serial = 0
        self.buffer = bytearray()
        self.waiting: list[Message] = []
        self.socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            self.socket.connect(path)
        except OSError as error:
            self.socket.close()
            raise HostError(
                f"cannot connect to the message bus {path}: {os.strerror(error.errno or 0).lower()}",
                code="bus-connect", errno=error.errno or 0,
                hint="the systemd cgroup driver needs systemd and D-Bus; run without --systemd-cgroup",
            ) from None  # fmt: skip
        self.socket.settimeout(patience)
        # EXTERNAL without a name: the kernel tells the bus who we are, in a user namespace as well.
        self.out = bytearray(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")
        self.greeted = False
        self.send(BUS, "Hello")

    def close(self) -> None:
        self.socket.close()

    def send(self, target: tuple[str, str, str], member: str, signature: str = "", *arguments: Any) -> int:
        """Queue a call, to be sent with the next `reply`; its serial number."""
        self.serial += 1
        self.out += message(self.serial, target, member, signature, *arguments)
        return self.serial

    def reply(self, serial: int) -> list[Any]:
        """The values that a call returned. Signals that come before are kept for `signal`."""
        self._flush()
        while True:
            answer = self._receive()
            if answer.kind == SIGNAL:
                self.waiting.append(answer)
            elif answer.fields.get(REPLY_SERIAL) == serial:
                if answer.kind == ERROR:
                    raise BusError(answer.fields.get(ERROR_NAME, ""), str(answer.body[0]) if answer.body else "")
                return answer.body

    def call(self, target: tuple[str, str, str], member: str, signature: str = "", *arguments: Any) -> list[Any]:
        return self.reply(self.send(target, member, signature, *arguments))

    def signal(self, member: str) -> list[Any]:
        """The values of the next signal of that name."""
        while True:
            for number, kept in enumerate(self.waiting):
                if kept.fields.get(MEMBER) == member:
                    del self.waiting[number]
                    return kept.body
            answer = self._receive()
            if answer.kind == SIGNAL:
                self.waiting.append(answer)

    def _flush(self) -> None:
        data, self.out = self.out, bytearray()
        if data:
            self.socket.sendall(data)

    def _receive(self) -> Message:
        if not self.greeted:
            self._read_greeting()
        self._fill(16)
        head = Reader(bytes(self.buffer[:16]))
        _, kind, _, _, size, _ = (head.get(code) for code in "yyyyuu")
        fields_size = head.get("u")
        begin = 16 + fields_size + -fields_size % 8
        self._fill(begin + size)
        frame = bytes(self.buffer[: begin + size])
        del self.buffer[: begin + size]
        reader = Reader(frame)
        reader.at = 12
        fields = dict(reader.get("a(yv)"))
        content = Reader(frame[begin:])
        return Message(kind, fields, [content.get(part) for part in types_of(fields.get(SIGNATURE, ""))])

    def _read_greeting(self) -> None:
        """DATA and OK, each a line; REJECTED where the bus does not take us."""
        lines = b""
        while lines.count(b"\r\n") < 2:
            self._fill(len(self.buffer) + 1)
            lines = bytes(self.buffer)
            if b"REJECTED" in lines:
                raise HostError("the message bus does not accept this user", code="bus-rejected")
        end = lines.index(b"\r\n", lines.index(b"\r\n") + 2) + 2
        del self.buffer[:end]
        self.greeted = True

    def _fill(self, size: int) -> None:
        """Read until the buffer holds `size` bytes."""
        while len(self.buffer) < size:
            left = self.deadline - time.monotonic()
            poll = select.poll()
            poll.register(self.socket.fileno(), select.POLLIN)
            if left <= 0 or not poll.poll(int(left * 1000) + 1):
                raise HostError(
                    "systemd does not answer", code="bus-silent", hint="see journalctl -u dbus and systemctl"
                )
            data = self.socket.recv(65536)
            if not data:
                raise HostError("the message bus closed the connection", code="bus-closed")
            self.buffer += data


def address(*, user: bool) -> str:
    """The path of the system's bus, or of the user's (dbus-daemon(1), ENVIRONMENT)."""
    given = paths.getenv("DBUS_SESSION_BUS_ADDRESS" if user else "DBUS_SYSTEM_BUS_ADDRESS", "")
    for part in given.split(";"):
        kind, _, rest = part.partition(":")
        for pair in rest.split(","):
            key, _, value = pair.partition("=")
            if kind == "unix" and key == "path":
                return value
    if not user:
        return "/run/dbus/system_bus_socket"
    return paths.getenv("XDG_RUNTIME_DIR", f"/run/user/{os.geteuid()}") + "/bus"
