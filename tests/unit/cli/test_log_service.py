"""--log journald: and syslog:, as the services receive them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ociruntime.core.errors import HostError
from ociruntime.core.log import Log
from ociruntime.core.log_service import ADDRESSES, PREFIXES, Service
from ociruntime.core.options import Globals


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.settimeout(5)
        yield listening


def service(target: str, listener: socket.socket) -> Service:
    return Service(target, dict.fromkeys(ADDRESSES, str(listener.getsockname())))


def test_journal(listener: socket.socket) -> None:
    service("journald:ctr1", listener).record("error", "no such thing", {"code": "host", "errno": 2})
    assert listener.recv(4096).splitlines() == [
        b"SYSLOG_IDENTIFIER=ctr1",
        b"PRIORITY=3",
        b"MESSAGE=no such thing",
        b"OCIRUNTIME_CODE=host",
        b"OCIRUNTIME_ERRNO=2",
    ]


def test_journal_value_of_several_lines(listener: socket.socket) -> None:
    service("journald:", listener).record("debug", "a\nb", {})
    assert listener.recv(4096) == (
        b"SYSLOG_IDENTIFIER=ociruntime\nPRIORITY=7\nMESSAGE\n" + (3).to_bytes(8, "little") + b"a\nb\n"
    )


def test_syslog(listener: socket.socket) -> None:
    service("syslog:ctr1", listener).record("warning", "beware", {})
    assert listener.recv(4096) == b"<12>ctr1: beware"


def test_nobody_listens(tmp_path: Path) -> None:
    Service("syslog:x", {"syslog": str(tmp_path / "gone")}).record("error", "unheard", {})


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_sentence_is_on_stderr_too(prefix: str, capfd: pytest.CaptureFixture[str]) -> None:
    log = Log()
    log.open(Globals(root="/r", log=prefix + "unit-test", log_format="json"))
    log.error(HostError("no x"))
    assert capfd.readouterr().err == "no x\n"
