"""The log of a command line whose global options are wrong: its caller looks for the failure there, too."""

from __future__ import annotations

from ociruntime import cli
from ociruntime.core.errors import HostError
from ociruntime.core.log import Log
from ociruntime.core.options import Globals


def open_log(log: Log, words: list[str]) -> None:
    """Open --log as far as the command line can be understood; a log that cannot be opened is the lesser failure."""
    given = _given(words)
    log_format = "json" if given.get("log-format") == "json" else "text"
    try:
        log.open(Globals(root="", log=given.get("log", "").removeprefix("file:"), log_format=log_format))
    except HostError:
        pass


def _given(words: list[str]) -> dict[str, str]:
    """The global options with their values, right or wrong; an option that does not exist has none."""
    valued = {name.lstrip("-") for option in cli.GLOBALS if option.kind != "flag" for name in option.names}
    given, rest = {}, iter(words)
    for word in rest:
        if word in ("-", "--") or not word.startswith("-"):
            break
        name, equals, value = word.removeprefix("-").removeprefix("-").partition("=")
        given[name] = value if equals or name not in valued else next(rest, "")
    return given
