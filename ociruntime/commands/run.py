"""Create a container and start it; unless detached, wait for it and exit with its status.

In the foreground signals are passed on to the container's program, the terminal's size follows the
caller's, and the container is deleted at the end.
"""

from __future__ import annotations

from ociruntime.cli import Arguments, Option, container_id
from ociruntime.commands.create import OPTIONS as CREATE_OPTIONS
from ociruntime.commands.create import create_options
from ociruntime.commands.descriptors import require_descriptors

SUMMARY = "create and start a container"
USAGE = "[options] ID"
OPERANDS = (1, 1)
OPTIONS = (
    *CREATE_OPTIONS,
    Option(names=("--detach", "-d"), help="do not wait for the container"),
    Option(names=("--keep",), help="do not delete the container after its end"),
    Option(names=("--no-subreaper",), help="do not adopt processes that lost their parent"),
)


def run(args: Arguments) -> int:
    name = container_id(args.operands[0])
    require_descriptors(args)
    from ociruntime.core.lifecycle.run import run as run_container

    return run_container(name, create_options(args, detach=args.flag("--detach")), args.g)
