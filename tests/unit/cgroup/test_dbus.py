"""The wire format of D-Bus, and a conversation with a bus made of a socket pair."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociruntime.core.cgroup.dbus import (
    ERROR,
    RETURN,
    SIGNAL,
    BusError,
    Connection,
    Reader,
    Writer,
    address,
    message,
    types_of,
)
from ociruntime.core.errors import HostError


def test_a_call_as_bytes() -> None:
    """Hello, byte by byte (dbus-specification, Message Format; the same as sd-bus sends)."""
    target = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
    assert message(1, target, "Hello") == (
        b"l\1\0\1\0\0\0\0\1\0\0\0m\0\0\0"
        b"\1\1o\0\x15\0\0\0/org/freedesktop/DBus\0\0\0"
        b"\2\1s\0\x14\0\0\0org.freedesktop.DBus\0\0\0\0"
        b"\3\1s\0\5\0\0\0Hello\0\0\0"
        b"\6\1s\0\x14\0\0\0org.freedesktop.DBus\0\0\0\0"
    )


@pytest.mark.parametrize(
    ("kind", "value", "data"),
    [
        ("y", 7, b"\7"),
        ("b", True, b"\1\0\0\0"),
        ("i", -2, b"\xfe\xff\xff\xff"),
        ("s", "äb", b"\3\0\0\0\xc3\xa4b\0"),
        ("g", "a(sv)", b"\5a(sv)\0"),
        ("as", [], b"\0\0\0\0"),
        ("at", [1], b"\x08\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0"),  # the padding before the first element is not counted
        ("v", ("u", 5), b"\1u\0\0\5\0\0\0"),
        ("(yu)", (1, 2), b"\1\0\0\0\2\0\0\0"),
    ],
)
def test_values_as_bytes(kind: str, value: Any, data: bytes) -> None:
    writer = Writer()
    writer.put(kind, value)
    assert bytes(writer.data) == data


def test_signatures() -> None:
    assert types_of("ssa(sv)a(sa(sv))") == ["s", "s", "a(sv)", "a(sa(sv))"]
    assert types_of("a{s(ii)}y") == ["a{s(ii)}", "y"]
    with pytest.raises(ValueError, match="does not end"):
        types_of("(ss")


values = st.tuples(
    st.integers(0, 255),
    st.text(max_size=5),
    st.lists(st.tuples(st.text(max_size=3), st.integers(0, 2**64 - 1)), max_size=3),
)


@given(values)
def test_what_is_written_is_read(value: tuple[int, str, list[tuple[str, int]]]) -> None:
    value = (value[0], value[1].replace("\0", ""), [(name.replace("\0", ""), number) for name, number in value[2]])
    writer = Writer()
    writer.put("(ysa(st))", value)
    assert Reader(bytes(writer.data)).get("(ysa(st))") == value


# --- a bus ------------------------------------------------------------------------------------------


def answer(kind: int, fields: list[tuple[int, tuple[str, Any]]], signature: str = "", *values: Any) -> bytes:
    body = Writer()
    for part, value in zip(types_of(signature), values, strict=True):
        body.put(part, value)
    head = Writer()
    whole = [*fields, (8, ("g", signature))] if signature else fields
    head.put("(yyyyuua(yv))", (ord("l"), kind, 0, 1, len(body.data), 9, whole))
    head.align(8)
    return bytes(head.data + body.data)


class Bus:
    """Says what it was told to say, in the pieces it was given, once somebody has connected and spoken."""

    def __init__(self, path: Path, *pieces: bytes) -> None:
        self.path = str(path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(1)
        self.heard = b""
        self.thread = threading.Thread(target=self._serve, args=(pieces,))
        self.thread.start()

    def _serve(self, pieces: tuple[bytes, ...]) -> None:
        with self.listener, self.listener.accept()[0] as peer:
            self.heard = peer.recv(65536)
            for piece in pieces:
                peer.sendall(piece)
            if pieces[-1:] != (b"",):
                peer.recv(1)  # until the other side is done

    def join(self) -> None:
        self.thread.join(10)
        assert not self.thread.is_alive()


GREETING = b"DATA\r\nOK 0123456789abcdef\r\n"
HELLO = answer(RETURN, [(5, ("u", 1))], "s", ":1.7")


def test_everything_is_sent_at_once_and_pieces_are_put_together(tmp_path: Path) -> None:
    reply = answer(RETURN, [(5, ("u", 2))], "ou", "/job/1", 5)
    signal = answer(SIGNAL, [(3, ("s", "JobRemoved"))], "uoss", 1, "/job/1", "x.scope", "done")
    whole = GREETING + HELLO + signal + reply
    bus = Bus(tmp_path / "bus", whole[:5], whole[5:40], whole[40:])
    connection = Connection(bus.path, 10)
    assert connection.call(("a.b", "/c", "d.e"), "Do", "s", "x") == ["/job/1", 5]
    assert connection.signal("JobRemoved") == [1, "/job/1", "x.scope", "done"]
    connection.close()
    bus.join()
    assert bus.heard.startswith(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\nl\1")
    assert b"Hello" in bus.heard and b"Do\0" in bus.heard


def test_an_error_that_was_answered(tmp_path: Path) -> None:
    text = answer(ERROR, [(5, ("u", 2)), (4, ("s", "org.freedesktop.systemd1.NoSuchUnit"))], "s", "not loaded")
    bus = Bus(tmp_path / "bus", GREETING + HELLO + text)
    connection = Connection(bus.path, 10)
    with pytest.raises(BusError, match="not loaded") as caught:
        connection.call(("a.b", "/c", "d.e"), "Do")
    assert caught.value.name.endswith(".NoSuchUnit")
    connection.close()
    bus.join()


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ((b"REJECTED EXTERNAL\r\n",), "does not accept"),
        ((GREETING, b""), "closed the connection"),
        ((GREETING,), "does not answer"),
    ],
)
def test_a_bus_that_fails(tmp_path: Path, pieces: tuple[bytes, ...], words: str) -> None:
    bus = Bus(tmp_path / "bus", *pieces)
    connection = Connection(bus.path, 0.2)
    with pytest.raises(HostError, match=words):
        connection.call(("a.b", "/c", "d.e"), "Do")
    connection.close()
    bus.join()


def test_no_bus(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no such file") as caught:
        Connection(f"{tmp_path}/none", 1)
    assert "--systemd-cgroup" in caught.value.hint


def test_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "tcp:host=x;unix:abstract=/a,guid=1;unix:guid=1,path=/run/b")
    monkeypatch.delenv("DBUS_SYSTEM_BUS_ADDRESS", raising=False)
    assert address(user=True) == "/run/b"
    assert address(user=False) == "/run/dbus/system_bus_socket"
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/5")
    assert address(user=True) == "/run/user/5/bus"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert address(user=True) == f"/run/user/{os.geteuid()}/bus"
