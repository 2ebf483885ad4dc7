"""Add mounts to a running container, or remove some.

FILE holds a JSON array of mounts, as the property mounts of config.json does; - is standard input.
`remove` looks at their destinations alone.
"""

from __future__ import annotations

from ociruntime.cli import Arguments, container_id
from ociruntime.core.errors import ConfigError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SUMMARY = "add or remove mounts of a running container"
USAGE = "add|remove ID FILE"
OPERANDS = (3, 3)
OPTIONS = ()


def read_mounts(path: str) -> list[Any]:
    """The list of a file. Raises ConfigError."""
    from ociruntime.core.jsonio import loads
    from ociruntime.core.spec.load import read_document

    if path == "-":
        import sys

        data = sys.stdin.buffer.read()
    else:
        data = read_document(path)
    mounts = loads(data, path)
    if not isinstance(mounts, list):
        raise ConfigError(f"{path} is no list of mounts", code="config-type", hint="write a JSON array")
    return mounts


def run(args: Arguments) -> int:
    word, name, path = args.operands[0], container_id(args.operands[1]), args.operands[2]
    if word not in ("add", "remove"):
        raise UsageError(f'"{word}" is neither "add" nor "remove"', code="mounts-word")
    mounts = read_mounts(path)
    from ociruntime.core.lifecycle import mounts as lifecycle

    (lifecycle.add if word == "add" else lifecycle.remove)(name, mounts, args.g)
    return 0
