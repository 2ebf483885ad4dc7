"""Print the resource usage of a container as JSON, one line every interval until it ends.

A line of the type "oom" tells that the kernel killed one of its processes for want of memory. With
--stats, print the usage once.
"""

from __future__ import annotations

import time

from ociruntime.cli import Arguments, Option, container_id
from ociruntime.core.errors import StateError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ociruntime.core.options import Globals

SUMMARY = "print the resource usage of a container"
USAGE = "[options] ID"
OPERANDS = (1, 1)
OPTIONS = (
    Option(
        names=("--interval",),
        kind="str",
        metavar="DURATION",
        default="5s",
        help="time between two lines, e.g. 500ms or 1m30s",
    ),
    Option(names=("--stats",), help="print the usage once"),
)

# Go's units of a duration, in seconds; "ms" is looked for before "m" and "s".
_UNITS = (("ms", 1e-3), ("us", 1e-6), ("µs", 1e-6), ("ns", 1e-9), ("h", 3600.0), ("m", 60.0), ("s", 1.0))

_GLANCE = 0.2  # seconds between two looks at whether the container lives and the kernel killed


def seconds(text: str) -> float:
    """A duration as Go writes it, e.g. "1m30s", in seconds. Raises UsageError unless it is positive."""
    total, rest = 0.0, text
    while rest:
        digits = len(rest) - len(rest.lstrip("0123456789."))
        number, rest = rest[:digits], rest[digits:]
        unit = next((unit for unit in _UNITS if rest.startswith(unit[0])), None)
        if unit is None or number.count(".") > 1 or not number.strip("."):
            raise _no_duration(text)
        total += float(number) * unit[1]
        rest = rest.removeprefix(unit[0])
    if total <= 0:
        raise _no_duration(text)
    return total


def _no_duration(text: str) -> UsageError:
    return UsageError(f'invalid duration "{text}" for flag --interval', code="events-interval", hint="write e.g. 5s")


def run(args: Arguments) -> int:
    name = container_id(args.operands[0])
    interval = seconds(args.text("--interval", "5s"))
    from ociruntime.core.lifecycle.events import stats

    now = stats(name, args.g)
    if args.flag("--stats"):
        _print("stats", name, now)
    else:
        _follow(name, interval, args.g)
    return 0


def _follow(name: str, interval: float, g: Globals) -> None:
    """Print until the container has stopped, or is gone."""
    from ociruntime.core.lifecycle.events import oom_kills, stats

    try:
        kills, due = oom_kills(name, g), time.monotonic() + interval
        while True:
            time.sleep(max(0.0, min(_GLANCE, due - time.monotonic())))
            kills, before = oom_kills(name, g), kills
            if kills > before:
                _print("oom", name)
            data = stats(name, g)  # now, to learn of the end at once
            if time.monotonic() >= due:
                _print("stats", name, data)
                due += interval
    except StateError:
        return


def _print(kind: str, name: str, data: dict[str, Any] | None = None) -> None:
    from ociruntime.core.jsonio import dumps
    from ociruntime.core.log import write

    write(1, dumps({"type": kind, "id": name, **({"data": data} if data else {})}) + "\n")
