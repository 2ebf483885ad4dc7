"""Change the limits of a running container.

With --resources the other options are ignored; the document has the form of the specification's
linux.resources, and what it leaves out stays as it is. Sizes take the suffixes k, m, g and t.
"""

from __future__ import annotations

import sys

from ociruntime.cli import Arguments, Option, container_id
from ociruntime.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SUMMARY = "change the limits of a container"
USAGE = "[options] ID"
OPERANDS = (1, 1)
OPTIONS = (
    Option(
        names=("--resources", "-r"),
        kind="str",
        metavar="FILE",
        help="read the limits from a JSON file, from standard input when FILE is -",
    ),
    Option(
        names=("--blkio-weight",),
        kind="int",
        metavar="WEIGHT",
        help="share of block I/O, 10 to 1000",
    ),
    Option(names=("--cpu-period",), kind="int", metavar="USEC", help="period of the CPU quota"),
    Option(names=("--cpu-quota",), kind="int", metavar="USEC", help="CPU time per period; -1 is no limit"),
    Option(
        names=("--cpu-burst",),
        kind="int",
        metavar="USEC",
        help="unused CPU time that may be used in a later period",
    ),
    Option(
        names=("--cpu-share",),
        kind="int",
        metavar="SHARES",
        help="share of the CPUs relative to other containers",
    ),
    Option(names=("--cpu-rt-period",), kind="int", metavar="USEC", help="period of real-time scheduling"),
    Option(names=("--cpu-rt-runtime",), kind="int", metavar="USEC", help="real-time CPU time per period"),
    Option(names=("--cpu-idle",), kind="int", metavar="0|1", help="1: run only when the CPU would idle"),
    Option(names=("--cpuset-cpus",), kind="str", metavar="LIST", help="CPUs to use, e.g. 0-3,7"),
    Option(names=("--cpuset-mems",), kind="str", metavar="LIST", help="memory nodes to use"),
    Option(names=("--memory",), kind="size", metavar="BYTES", help="limit of memory; -1 is no limit"),
    Option(
        names=("--memory-reservation",),
        kind="size",
        metavar="BYTES",
        help="memory that is kept for the container when memory is short",
    ),
    Option(
        names=("--memory-swap",),
        kind="size",
        metavar="BYTES",
        help="limit of memory and swap together; -1 is no limit",
    ),
    Option(names=("--pids-limit",), kind="int", metavar="N", help="limit of tasks; -1 is no limit"),
    Option(names=("--l3-cache-schema",), kind="str", metavar="SCHEMA", help="Intel RDT: L3 cache"),
    Option(names=("--mem-bw-schema",), kind="str", metavar="SCHEMA", help="Intel RDT: memory bandwidth"),
    # The kernel dropped these limits (Linux 5.11 and 6.1); old callers still send them.
    Option(names=("--kernel-memory",), kind="size", metavar="BYTES", help="ignored", hidden=True),
    Option(names=("--kernel-memory-tcp",), kind="size", metavar="BYTES", help="ignored", hidden=True),
)

# option: where linux.resources has it
_PLACES = {
    "--blkio-weight": ("blockIO", "weight"),
    "--cpu-period": ("cpu", "period"),
    "--cpu-quota": ("cpu", "quota"),
    "--cpu-burst": ("cpu", "burst"),
    "--cpu-share": ("cpu", "shares"),
    "--cpu-rt-period": ("cpu", "realtimePeriod"),
    "--cpu-rt-runtime": ("cpu", "realtimeRuntime"),
    "--cpu-idle": ("cpu", "idle"),
    "--cpuset-cpus": ("cpu", "cpus"),
    "--cpuset-mems": ("cpu", "mems"),
    "--memory": ("memory", "limit"),
    "--memory-reservation": ("memory", "reservation"),
    "--memory-swap": ("memory", "swap"),
    "--pids-limit": ("pids", "limit"),
}
# The kernel reads these as unsigned; -1 means "no limit" only where the table above says so.
_UNSIGNED = ("--blkio-weight", "--cpu-period", "--cpu-burst", "--cpu-share", "--cpu-rt-period", "--cpu-idle")


def resources_from_flags(args: Arguments) -> dict[str, Any]:
    """The options as a linux.resources object. Raises UsageError."""
    resources: dict[str, Any] = {}
    for option, (group, name) in _PLACES.items():
        if not args.given(option):
            continue
        value = args.options[option]
        if option in _UNSIGNED and args.number(option) < 0:
            raise UsageError(f"{option} must not be negative", code="update-value")
        resources.setdefault(group, {})[name] = value
    return resources


def schemata_from_flags(args: Arguments) -> list[str]:
    """Lines of Intel RDT's schemata. Raises UsageError for one that is no line of the kind (config-linux.md)."""
    lines = []
    for option, start in (("--l3-cache-schema", "L3"), ("--mem-bw-schema", "MB:")):
        line = args.text(option)
        if line and (not line.startswith(start) or "\n" in line):
            raise UsageError(f'invalid value "{line}" for flag {option}: expected {start}...', code="rdt-schema")
        lines += [line] if line else []
    return lines


def read_resources(path: str) -> dict[str, Any]:
    """A linux.resources document from a file, from standard input for "-"; checked. Raises ConfigError."""
    from ociruntime.core.jsonio import loads
    from ociruntime.core.spec.check import check_resources
    from ociruntime.core.spec.load import read_document

    what = "standard input" if path == "-" else path
    data = sys.stdin.buffer.read() if path == "-" else read_document(path)
    resources: Any = loads(data, what)
    check_resources(resources, what, data)
    return resources  # type: ignore[no-any-return]  # check has just proven it


def run(args: Arguments) -> int:
    name = container_id(args.operands[0])
    if args.given("--resources"):
        resources = read_resources(args.text("--resources"))
        schemata = []
    else:
        schemata = schemata_from_flags(args)
        resources = resources_from_flags(args)
        from ociruntime.core.spec.check import check_resources

        check_resources(resources, "the options of update")
    from ociruntime.core.lifecycle.update import update

    update(name, resources, args.g, schemata)
    return 0
