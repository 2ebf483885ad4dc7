"""Say all that is wrong with a bundle at once, before anything is created.

The config.json is held against the specification and the rules that go with it, and then against
this host. Choices that give the container much of the host are warned about. The exit status is 0
for a bundle without errors and 1 for one with errors, or with warnings too if --strict is given.
"""

from __future__ import annotations

from ociruntime.cli import Arguments, Option
from ociruntime.core import paths
from ociruntime.core.errors import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.explain.problem import Problem

SUMMARY = "check a bundle"
USAGE = "[options] [BUNDLE]"
OPERANDS = (0, 1)
OPTIONS = (
    Option(
        names=("--bundle", "-b"),
        kind="str",
        metavar="DIR",
        default=".",
        help="root of the bundle, in place of the operand",
    ),
    Option(
        names=("--config",),
        kind="str",
        metavar="FILE",
        help="read the configuration from FILE instead of the bundle's config.json",
    ),
    Option(
        names=("--format", "-f"),
        kind="str",
        metavar="FORMAT",
        default="text",
        choices=("text", "json"),
        help="format of the output: text or json",
    ),
    Option(names=("--no-host",), help="do not look at this host, the bundle is for another one"),
    Option(names=("--strict",), help="count warnings as errors"),
)


def text(problems: list[Problem], path: str) -> str:
    """One problem a line, in the form of compilers: file, line and column, severity, sentence, code."""
    lines = []
    for problem in problems:
        place = f"{path}:{problem.line}:{problem.column}" if problem.line else path
        origin = f" (config property {problem.origin})" if problem.origin else ""
        hint = f"; {problem.hint}" if problem.hint else ""
        lines.append(one_line(f"{place}: {problem.severity}: {problem.what}{origin}{hint} [{problem.code}]") + "\n")
    return "".join(lines)


def run(args: Arguments) -> int:
    from ociruntime.core.jsonio import dumps
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.lifecycle.probe import probe_host
    from ociruntime.core.log import write
    from ociruntime.explain.validate import validate

    bundle = args.operands[0] if args.operands else args.text("--bundle", ".")
    path = args.text("--config") or paths.join(bundle, "config.json")
    problems = validate(bundle, args.text("--config"), None if args.flag("--no-host") else probe_host(Kernel()))
    failed = any([problem.severity == "error" or args.flag("--strict") for problem in problems])
    if args.text("--format") == "json":
        write(1, dumps({"valid": not failed, "problems": [problem.as_json() for problem in problems]}, 2) + "\n")
    else:
        write(1, text(problems, path))
    return int(failed)
