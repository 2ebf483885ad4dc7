"""Better words for a failure, once there is all the time in the world: what the caller may have meant."""

from __future__ import annotations

import json
import os

from ociruntime import cli
from ociruntime.core.errors import ConfigError, Failure
from ociruntime.explain.riddles import WITHOUT_PRIVILEGE, hint

WITH_A_BUNDLE = ("create", "run", "explain")
PUZZLING = ("init-killed", "init")  # without a property at fault, but the configuration may tell


def refine(failure: Failure, command: str, args: cli.Arguments) -> Failure:
    """The same failure, with a hint where one can be found.

    command    the name of the command, "" as long as it was not understood
    args       what was understood: the command's words, or the words before it
    """
    if failure.code == "container-missing" and args.operands:
        failure.hint = _meant(args.operands[0], _containers(args.g.root)) or failure.hint
    if command in WITH_A_BUNDLE and (failure.origin or failure.code in PUZZLING):
        bundle = (args.operands or ["."])[0] if command == "explain" else args.text("--bundle", ".")
        _by_configuration(failure, os.path.abspath(bundle), args.text("--config"))
    failure.hint = failure.hint or _hint(failure, command)
    return failure


def _by_configuration(failure: Failure, bundle: str, config: str) -> None:
    """What the configuration that the command has read tells: the place of the property, and the riddle's answer."""
    from ociruntime.explain.position import locate

    try:
        with open(config or os.path.join(bundle, "config.json"), encoding="utf-8") as file:
            text = file.read()
        spec = json.loads(text)
        if failure.origin and not failure.place[0]:
            place = locate(text, failure.origin)
            failure.place = (place.line, place.column)
    except (OSError, ValueError):
        return  # it is gone
    if isinstance(spec, dict) and not isinstance(failure, ConfigError):
        failure.hint = hint(failure, spec, bundle) or failure.hint


def _hint(failure: Failure, command: str) -> str:
    if isinstance(failure, cli.UnknownCommand):
        return _meant(failure.what.split("'")[1], [*cli.COMMANDS, "help"])
    if isinstance(failure, cli.ParseError) and failure.what.startswith("flag provided but not defined: "):
        wrong = failure.what.rpartition(" ")[2]
        return _meant("--" + wrong.lstrip("-"), _options_of(command))
    if failure.errno in (1, 13) and os.geteuid() != 0:  # EPERM, EACCES
        return WITHOUT_PRIVILEGE
    return ""


def _options_of(command: str) -> list[str]:
    options = cli.command_named(command).OPTIONS if command else cli.GLOBALS
    return [name for option in (*options, cli.HELP) if not option.hidden for name in option.names]


def _containers(root: str) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(root) if entry.is_dir()]
    except OSError:
        return []


def _meant(word: str, possible: list[str]) -> str:
    if not possible:
        return ""
    from difflib import get_close_matches  # 10 ms: a missing container is an everyday failure to an engine

    close = get_close_matches(word, possible, n=1)
    return f"did you mean {close[0]}?" if close else ""
