"""What the arguments of a LastCall may hold besides ints, bytes and None.

A plan is made before the container exists, so some arguments are only known to the child at the end of
`create`. These markers stand for them; launch/transcribe.py resolves them when the tape is written.
"""

from __future__ import annotations

from ociruntime.core.record import Record


class Handle(Record):
    """A descriptor that a step left in scene.handles; the player inherits it."""

    name: str


class Found(Record):
    """Bytes that a step left in scene.found."""

    name: str


class Strings(Record):
    """A NULL-terminated array of C strings: argv, or envp with NAME=value added for what steps have found."""

    items: tuple[bytes, ...]
    found: tuple[str, ...] = ()


class Filter(Record):
    """A struct sock_fprog with the instructions that a step left in scene.found."""

    name: str


class ResultOf(Record):
    """The result of the latest earlier call of this name, e.g. the descriptor that openat returned."""

    call: str


class AddressOfResult(Record):
    """Where that result lies in memory, for write(2)."""

    call: str


class ReportFd(Record):
    """The descriptor of whoever called `start`."""
