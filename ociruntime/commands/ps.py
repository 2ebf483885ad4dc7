"""List the processes of a container, all that are in its cgroup, as the host sees them.

The table is that of the host's ps(1), which receives the options after the id (default: -ef); only
the container's lines are shown. With --format json the output is the list of pids.
"""

from __future__ import annotations

import posix as os

from ociruntime.cli import Arguments, Option, container_id
from ociruntime.core import paths
from ociruntime.core.errors import HostError

SUMMARY = "list the processes of a container"
USAGE = "[options] ID [ps options]"
OPERANDS = (1, -1)
OPTIONS = (
    Option(
        names=("--format", "-f"),
        kind="str",
        metavar="FORMAT",
        default="table",
        choices=("table", "json"),
        help="format of the output: table or json",
    ),
)


def select(output: str, pids: list[int]) -> str:
    """The heading of ps's output and the lines of these pids. Raises HostError without a PID column."""
    heading, *lines = output.splitlines() or [""]
    columns = heading.split()
    if "PID" not in columns:
        raise HostError("no PID column in the output of ps", code="ps-output", hint="choose ps options that show it")
    column = columns.index("PID")
    wanted = {str(pid) for pid in pids}
    chosen = [line for line in lines if wanted.intersection(line.split()[column : column + 1])]
    return "\n".join([heading, *chosen]) + "\n"


def host_ps(options: list[str]) -> str:
    """What the host's ps prints. Raises HostError when it cannot be run, or fails."""
    reader, writer = os.pipe()
    try:
        pid = os.posix_spawnp(
            "ps", ["ps", *(options or ["-ef"])], paths.environ(), file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1)]
        )
    except OSError as error:
        raise HostError("cannot run ps", code="ps-run", errno=error.errno or 0) from None
    finally:
        os.close(writer)
    with open(reader, "rb") as pipe:
        output = pipe.read().decode("utf-8", "surrogateescape")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise HostError(f"ps failed with status {status}", code="ps-run")
    return output


def run(args: Arguments) -> int:
    name = container_id(args.operands[0])
    from ociruntime.core.lifecycle.ps import pids
    from ociruntime.core.log import write

    found = pids(name, args.g)
    if args.text("--format") == "json":
        from ociruntime.core.jsonio import dumps

        write(1, dumps(found or None) + "\n")  # null is what callers of runc know
    else:
        write(1, select(host_ps(args.operands[1:]), found))
    return 0
