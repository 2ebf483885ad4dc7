"""The front door: find the command, run it, report at most one failure, leave.

Runs at every start, so only the command that was asked for is imported, and the process ends
without the interpreter's own clean-up, which would cost a millisecond and has nothing to do.
"""

from __future__ import annotations

import posix as os
import sys

from ociruntime import cli
from ociruntime.core.errors import Failure
from ociruntime.core.log import LOG, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main(argv: list[str]) -> NoReturn:
    """Run the command line `argv` (the program's name first) and exit with its status."""
    import _signal  # `signal` costs 3 ms

    # Python would turn SIGINT into an exception, at any point of a create.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    status = 1
    try:
        status = run(argv[1:])
        if LOG.trace:
            LOG.trace.end(" ".join(argv))
    finally:  # a failure to report a failure, at worst, is silent: never a traceback
        os._exit(status)


def run(words: list[str]) -> int:
    """Run a command line, report its failure if there is one, and return the exit status."""
    seen = cli.Arguments()  # what is understood so far; the report of a failure may consult it
    name = ""
    try:
        seen = cli.parse(cli.GLOBALS, words, interspersed=False)
        if seen.help or seen.flag("--version") or seen.operands[:1] in ([], ["help"], ["h"]):
            return _tell(seen)
        g = cli.globals_from(seen)
        LOG.open(g)
        name, rest = seen.operands[0], seen.operands[1:]
        command = cli.command_named(name)
        seen = cli.parse(command.OPTIONS, rest, interspersed=name not in cli.PASSING_ON)
        seen.g = g
        if seen.help:
            return _help(name)
        cli.count(name, seen.operands, command.OPERANDS)
        return command.run(seen)
    except Exception as error:  # noqa: BLE001 - the last door: whatever happened becomes one line
        if not LOG.opened:
            from ociruntime.explain.late_log import open_log

            open_log(LOG, words)
        return _failed(error, name, seen)


def _failed(error: Exception, name: str, seen: cli.Arguments) -> int:
    """Report what went wrong, and choose the exit status (those of runc)."""
    if LOG.debugging and not isinstance(error, Failure):
        import traceback

        traceback.print_exception(error)
    LOG.error(_refined(_as_failure(error), name, seen))
    if isinstance(error, cli.ParseError):
        return _help(name, incorrect=error.what) or 1
    if isinstance(error, cli.UnknownCommand):
        return 3
    return 255 if name == "exec" else 1  # 1 could be the program's own


def _as_failure(error: Exception) -> Failure:
    """Any exception as a failure: what is no Failure is a mistake of this program, and says so."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, OSError) and error.errno:
        # of a call on a descriptor, that is in place of the name
        name = error.filename if isinstance(error.filename, str) else ""
        return Failure(name or "system call", code="system", errno=error.errno)
    return Failure(
        f"internal error: {type(error).__name__}: {error}",
        code="internal",
        hint="this is a mistake of ociruntime; --debug shows where it happened",
    )


def _refined(failure: Failure, name: str, seen: cli.Arguments) -> Failure:
    """The failure in better words, where the comfortable tier has some."""
    try:
        from ociruntime.explain.refine import refine

        return refine(failure, name, seen)
    except Exception:  # noqa: BLE001 - whatever is wrong with the explanation, the verdict must get out
        if LOG.debugging:
            import traceback

            traceback.print_exc()
        return failure


def _tell(seen: cli.Arguments) -> int:
    """What needs no command: --version, --help, help COMMAND, or nothing at all."""
    if seen.flag("--version") and not seen.help:
        from ociruntime.version import version_text

        write(1, version_text())
        return 0
    topic = "" if seen.help else (seen.operands[1:] or [""])[0]
    if topic:
        cli.command_named(topic)
    return _help(topic)


def _help(name: str, incorrect: str = "") -> int:
    """Show help on stdout, after what was incorrect in the usage if anything."""
    from ociruntime.docsgen.help import help_text

    write(1, (f"Incorrect Usage: {incorrect}\n\n" if incorrect else "") + help_text(name))
    return 0


if __name__ == "__main__":
    main(sys.argv)
