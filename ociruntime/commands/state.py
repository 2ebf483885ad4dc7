"""Print the state of a container as JSON: id, status, pid, bundle, root file system, time of creation.

The status is creating, created, running, paused or stopped; the pid is 0 when stopped.
"""

from __future__ import annotations

from ociruntime.cli import Arguments, container_id

SUMMARY = "print the state of a container"
USAGE = "ID"
OPERANDS = (1, 1)
OPTIONS = ()


def run(args: Arguments) -> int:
    name = container_id(args.operands[0])
    from ociruntime.core.jsonio import dumps
    from ociruntime.core.lifecycle.state import state
    from ociruntime.core.log import write

    write(1, dumps(state(name, args.g), indent=2) + "\n")
    return 0
