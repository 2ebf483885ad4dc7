"""Send a signal to the first process of a container, or SIGTERM when none is named.

The signal is a number or a name, with or without SIG, in either case: 9, KILL, sigkill, RTMIN+3.
"""

from __future__ import annotations

import _signal

from ociruntime.cli import Arguments, Option
from ociruntime.commands.selection import REGEX, for_each
from ociruntime.core.errors import UsageError

SUMMARY = "send a signal to a container"
USAGE = "[options] ID [SIGNAL]"
OPERANDS = (1, 2)
OPTIONS = (
    # Without a pid namespace of its own all of a container is killed anyway; engines still send it.
    Option(names=("--all", "-a"), help="send the signal to all processes of the container", hidden=True),
    REGEX,
)

_FIRST_RT, _LAST_RT = 34, 64  # as glibc counts; it keeps 32 and 33 for itself (signal(7))


def signal_number(text: str) -> int:
    """The number of a signal by number or name; 0 only asks whether the process exists. Raises UsageError."""
    name = text.upper().removeprefix("SIG")
    number = -1
    if text.isascii() and text.isdigit() and len(text) < 4:
        number = int(text)
    elif name.startswith(("RTMIN", "RTMAX")):
        number = _real_time(name)
    elif name.isalnum():
        number = getattr(_signal, "SIG" + name, -1)
    if not 0 <= number <= _LAST_RT:
        raise UsageError(f'unknown signal "{text}"', code="signal-name", hint="see kill -l")
    return number


def _real_time(name: str) -> int:
    base, sign, offset = name[:5], name[5:6], name[6:]
    first = _FIRST_RT if base == "RTMIN" else _LAST_RT
    if not sign:
        return first
    if sign != ("+" if base == "RTMIN" else "-") or not offset.isdigit() or len(offset) > 2:
        return -1
    number = first + int(sign + offset)
    return number if _FIRST_RT <= number <= _LAST_RT else -1


def run(args: Arguments) -> int:
    signal = signal_number(args.operands[1] if len(args.operands) == 2 else "TERM")

    def kill_one(name: str) -> None:
        from ociruntime.core.lifecycle.kill import kill

        kill(name, signal, args.g, all_processes=args.flag("--all"))

    for_each(args, kill_one)
    return 0
