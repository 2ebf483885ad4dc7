"""The log of the system in place of a file: --log journald:IDENTIFIER and syslog:IDENTIFIER, which are crun's.

conmon-rs sends the first. A service that does not run is no failure, as with crun: the line on stderr remains.
"""

from __future__ import annotations

import _socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIXES = ("journald:", "syslog:")
ADDRESSES = {"journald": "/run/systemd/journal/socket", "syslog": "/dev/log"}
PRIORITIES = {"error": 3, "warning": 4, "debug": 7}  # syslog(3)
LOG_USER = 1 << 3


class Service:
    """One datagram per record. An address that begins with "@" is an abstract one (unix(7))."""

    def __init__(self, target: str, addresses: Mapping[str, str] = ADDRESSES) -> None:
        self.kind, _, identifier = target.partition(":")
        self.identifier = identifier or "ociruntime"
        self.address = addresses[self.kind]

    def record(self, level: str, message: str, fields: Mapping[str, str | int]) -> None:
        """Deliver a record, if anybody listens."""
        form = _journal if self.kind == "journald" else _syslog
        data = form(self.identifier, PRIORITIES[level], message, fields)
        link = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
        try:
            link.setblocking(False)
            link.connect(self.address)
            link.send(data)
        except OSError:
            pass
        finally:
            link.close()


def _journal(identifier: str, priority: int, message: str, fields: Mapping[str, str | int]) -> bytes:
    """The native protocol of systemd-journald: NAME=value in lines, with a length where the value has lines."""
    entries: dict[str, str | int] = {"SYSLOG_IDENTIFIER": identifier, "PRIORITY": priority, "MESSAGE": message}
    entries |= {f"OCIRUNTIME_{name.upper()}": value for name, value in fields.items()}
    data = b""
    for name, value in entries.items():
        raw = str(value).encode("utf-8", "surrogateescape")
        if b"\n" in raw:
            data += name.encode() + b"\n" + len(raw).to_bytes(8, "little") + raw + b"\n"
        else:
            data += name.encode() + b"=" + raw + b"\n"
    return data


def _syslog(identifier: str, priority: int, message: str, fields: Mapping[str, str | int]) -> bytes:
    """As syslog(3) writes to /dev/log, without the time, which the service adds."""
    return f"<{LOG_USER | priority}>{identifier}: {message}".encode("utf-8", "surrogateescape")
