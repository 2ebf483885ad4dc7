"""List the containers of the state directory, which the global option --root names."""

from __future__ import annotations

from ociruntime.cli import Arguments, Option
from ociruntime.core import paths
from ociruntime.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SUMMARY = "list containers"
USAGE = "[options]"
OPERANDS = (0, 0)
OPTIONS = (
    Option(
        names=("--format", "-f"),
        kind="str",
        metavar="FORMAT",
        default="table",
        choices=("table", "json"),
        help="format of the output: table or json",
    ),
    Option(names=("--quiet", "-q"), help="print ids only"),
)

_COLUMNS = ("id", "pid", "status", "bundle", "created", "owner")


def table(containers: list[dict[str, Any]]) -> str:
    """The containers in runc's layout: at least 12 characters a column, 3 between columns."""
    rows = [[name.upper() for name in _COLUMNS]]
    rows += [[str(container.get(name, "")) for name in _COLUMNS] for container in containers]
    widths = [max(12, *(len(row[column]) + 3 for row in rows)) for column in range(len(_COLUMNS) - 1)]
    lines = ["".join([cell.ljust(width) for cell, width in zip(row, widths, strict=False)]) + row[-1] for row in rows]
    return "\n".join(lines) + "\n"


def run(args: Arguments) -> int:
    # A directory that was named and is not there is a mistake; the default one may be missing.
    if args.g.root_given and not paths.isdir(args.g.root):
        raise UsageError(f"open {args.g.root}: no such file or directory", code="root-directory")
    from ociruntime.core.lifecycle.listing import containers
    from ociruntime.core.log import write

    found = containers(args.g)
    if args.flag("--quiet"):
        write(1, "".join([container["id"] + "\n" for container in found]))
    elif args.text("--format") == "json":
        from ociruntime.core.jsonio import dumps

        write(1, dumps(found or None) + "\n")  # null is what callers of runc know
    else:
        write(1, table(found))
    return 0
