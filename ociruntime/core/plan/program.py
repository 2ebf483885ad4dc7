"""The program's argv, environment and descriptors: what execve(2) is given at the very end."""

from __future__ import annotations

from ociruntime.core.errors import ConfigError
from ociruntime.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Environment(Record):
    """The program's environment, decided; `home` says whether HOME is still to be found in the container."""

    strings: tuple[bytes, ...]
    path: str | None
    home: bool


def environment(entries: Sequence[str], extra: Mapping[str, str], origin: str) -> Environment:
    """Entries in their order; of two with one name the last value, at the place of the first, as with runc.

    `extra` is what the runtime itself adds. An entry without a name or without "=" is an error: no program
    could read it back with getenv(3).
    """
    values: dict[str, str] = {}
    for index, entry in enumerate(entries):
        name, equals, value = entry.partition("=")
        if not equals or not name or "\0" in entry:
            raise ConfigError(
                f"invalid environment variable {entry!r}: it must be NAME=value", code="env", origin=f"{origin}/{index}"
            )
        values[name] = value
    values.update(extra)
    home = not values.get("HOME")
    if home:
        values.pop("HOME", None)
    strings = tuple(encode(f"{name}={value}") for name, value in values.items())
    return Environment(strings=strings, path=values.get("PATH"), home=home)


def arguments(args: Sequence[str], origin: str) -> tuple[bytes, ...]:
    """argv; the specification wants at least one entry, and a NUL would silently cut it."""
    if not args:
        raise ConfigError("args must have at least one entry", code="args-empty", origin=origin)
    for index, arg in enumerate(args):
        if "\0" in arg:
            raise ConfigError("an argument contains a NUL character", code="args-nul", origin=f"{origin}/{index}")
    return tuple(encode(arg) for arg in args)


def encode(text: str) -> bytes:
    """As bytes for the kernel; what came in as undecodable bytes (exec's command line) goes out unchanged."""
    return text.encode("utf-8", "surrogateescape")


def socket_activation(environ: Mapping[str, str], pid: int) -> tuple[int, dict[str, str]]:
    """How many descriptors from 3 on are passed to the container for it to accept on, and what tells it.

    sd_listen_fds(3): only meant for the process that LISTEN_PID names; the container's program becomes 1.
    """
    if environ.get("LISTEN_PID") != str(pid):
        return 0, {}
    count = environ.get("LISTEN_FDS", "")
    if not count.isdecimal() or not int(count):
        return 0, {}
    told = {"LISTEN_FDS": count, "LISTEN_PID": "1"}
    if environ.get("LISTEN_FDNAMES"):
        told["LISTEN_FDNAMES"] = environ["LISTEN_FDNAMES"]
    return int(count), told
