"""Suspend all processes of a container, through the freezer of its cgroup."""

from __future__ import annotations

from ociruntime.cli import Arguments, container_id

SUMMARY = "suspend all processes of a container"
USAGE = "ID"
OPERANDS = (1, 1)
OPTIONS = ()


def run(args: Arguments) -> int:
    name = container_id(args.operands[0])
    from ociruntime.core.lifecycle.pause import pause

    pause(name, args.g)
    return 0
