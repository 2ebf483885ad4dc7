"""Start the program of a container that was created.

A program that cannot be executed is reported here, with the reason of the kernel.
"""

from __future__ import annotations

from ociruntime.cli import Arguments, container_id

SUMMARY = "start the program of a created container"
USAGE = "ID"
OPERANDS = (1, 1)
OPTIONS = ()


def run(args: Arguments) -> int:
    name = container_id(args.operands[0])
    from ociruntime.core.lifecycle.start import start

    start(name, args.g)
    return 0
