"""Better words for a failure, once there is all the time in the world: what the caller may have meant."""

from __future__ import annotations

import json
import os

from ociruntime import cli
from ociruntime.core.errors import ConfigError, Failure
from ociruntime.explain.riddles import WITHOUT_PRIVILEGE, hint

WITH_A_BUNDLE = ("create", "run", "explain")
# Commands that read a document of their own, by which option, and what its properties are called in config.json
WITH_A_DOCUMENT = {"exec": ("--process", "/process"), "update": ("--resources", "/linux/resources")}
PUZZLING = ("init-killed", "init")  # without a property at fault, but the configuration may tell


def refine(failure: Failure, command: str, args: cli.Arguments) -> Failure:
    """The same failure, with a hint where one can be found.

    command    the name of the command, "" as long as it was not understood
    args       what was understood: the command's words, or the words before it
    """
    if failure.code == "container-missing" and args.operands:
        failure.hint = _meant(args.operands[0], _containers(args.g.root)) or failure.hint
    if failure.origin or failure.code in PUZZLING:
        if command in WITH_A_BUNDLE:
            bundle = (args.operands or ["."])[0] if command == "explain" else args.text("--bundle", ".")
            config = args.text("--config") or os.path.join(bundle, "config.json")
            _by_configuration(failure, os.path.abspath(bundle), config)
        elif command in WITH_A_DOCUMENT:
            _by_document(failure, *WITH_A_DOCUMENT[command], args)
        elif args.operands:  # what create has kept of the configuration
            _by_state(failure, os.path.join(args.g.root, args.operands[0]))
    failure.hint = failure.hint or _hint(failure, command) or _advice(failure)
    return failure


def _advice(failure: Failure) -> str:
    """What its page says to do, for a property that the kernel refused: an engine's everyday failures are not these."""
    if not (failure.errno and failure.origin):
        return ""
    from ociruntime.explain.codes import pages

    page = pages().get(failure.code)
    return page.do.removesuffix(".") if page else ""


def _by_configuration(failure: Failure, bundle: str, config: str) -> None:
    """What the configuration that the command has read tells: the place of the property, and the riddle's answer."""
    try:
        with open(config, encoding="utf-8") as file:
            text = file.read()
        spec = json.loads(text)
    except (OSError, ValueError):
        return  # it is gone
    _locate(failure, text, failure.origin)
    if isinstance(spec, dict) and not isinstance(failure, ConfigError):
        failure.hint = hint(failure, spec, bundle) or failure.hint


def _by_state(failure: Failure, directory: str) -> None:
    try:
        with open(os.path.join(directory, "state.json"), encoding="utf-8") as file:
            bundle = str(json.load(file)["bundle"])
    except (OSError, ValueError, LookupError, TypeError):
        return
    _by_configuration(failure, bundle, os.path.join(directory, "config.json"))


def _by_document(failure: Failure, option: str, prefix: str, args: cli.Arguments) -> None:
    """The place in a document whose root is a part of config.json's."""
    path = args.text(option)
    if not path or path == "-" or not failure.origin.startswith(prefix):
        return
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, ValueError):
        return
    failure.origin = failure.origin.removeprefix(prefix)
    _locate(failure, text, failure.origin)


def _locate(failure: Failure, text: str, origin: str) -> None:
    from ociruntime.explain.position import locate

    if origin and not failure.place[0]:
        place = locate(text, origin)
        failure.place = (place.line, place.column)


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
