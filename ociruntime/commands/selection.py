"""Which containers a command works on: the one that is named, or those that --regex finds."""

from __future__ import annotations

import posix as os

from ociruntime.cli import Arguments, Option, container_id
from ociruntime.core import paths
from ociruntime.core.errors import Failure, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

REGEX = Option(
    names=("--regex", "-r"),
    help="take ID for a regular expression, and all containers whose id it matches",
)


def for_each(args: Arguments, do: Callable[[str], None]) -> None:
    """Do it for the containers that the first operand names; the first failure is raised after all were tried."""
    if not args.flag("--regex"):
        do(container_id(args.operands[0]))
        return
    from ociruntime.core.log import LOG

    first: Failure | None = None
    for name in matching(args.operands[0], args.g.root):
        try:
            do(name)
        except Failure as failure:
            if first is not None:
                LOG.warning(f"{name}: {failure.line()}")
            first = first or failure
    if first is not None:
        raise first


def matching(expression: str, root: str) -> list[str]:
    """The ids below a state directory in which the expression is found."""
    import re  # 4 ms, for those who ask for it

    try:
        find = re.compile(expression).search
    except re.error as error:
        raise UsageError(f'invalid regular expression "{expression}": {error}', code="regex") from None
    try:
        names = os.listdir(root)
    except FileNotFoundError:
        return []
    return [name for name in sorted(names) if find(name) and paths.isdir(f"{root}/{name}")]
