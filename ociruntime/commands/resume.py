"""Let the processes of a paused container continue."""

from __future__ import annotations

from ociruntime.cli import Arguments, container_id

SUMMARY = "let a paused container continue"
USAGE = "ID"
OPERANDS = (1, 1)
OPTIONS = ()


def run(args: Arguments) -> int:
    name = container_id(args.operands[0])
    from ociruntime.core.lifecycle.pause import resume

    resume(name, args.g)
    return 0
