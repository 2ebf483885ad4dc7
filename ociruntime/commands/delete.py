"""Remove a container that has stopped, and all that the host holds for it.

With --force a container that still runs is killed first, and one that does not exist is no failure.
"""

from __future__ import annotations

from ociruntime.cli import Arguments, Option
from ociruntime.commands.selection import REGEX, for_each

SUMMARY = "remove a container"
USAGE = "[options] ID"
OPERANDS = (1, 1)
OPTIONS = (
    Option(names=("--force", "-f"), help="kill the container first if it still runs"),
    REGEX,
)


def run(args: Arguments) -> int:
    def delete_one(name: str) -> None:
        from ociruntime.core.lifecycle.delete import delete

        delete(name, args.g, force=args.flag("--force"))

    for_each(args, delete_one)
    return 0
