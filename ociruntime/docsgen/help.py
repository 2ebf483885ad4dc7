"""The text of --help."""

from __future__ import annotations

import textwrap

from ociruntime import cli

WIDTH = 96
TITLE = "run containers as the Open Container Initiative describes them"
DESCRIPTION = """\
A container is created from a bundle: a directory with a config.json, which says what the container
is, and a root file system. `ociruntime spec` writes a config.json to begin with.

    # ociruntime run --bundle DIR ID
"""


def options_of(options: tuple[cli.Option, ...]) -> list[cli.Option]:
    """The rows of a table that are documented."""
    return [option for option in options if not option.hidden]


def label(option: cli.Option) -> str:
    """An option as the user types it, e.g. "--bundle DIR, -b DIR"."""
    value = f" {option.metavar}" if option.metavar else ""
    return ", ".join(name + value for name in option.names)


def _rows(rows: list[tuple[str, str]]) -> str:
    width = max(len(left) for left, _ in rows) + 2
    lines = []
    for left, right in rows:
        wrapped = textwrap.wrap(right, WIDTH - width - 3) or [""]
        lines.append("   " + left.ljust(width) + wrapped[0])
        lines += [" " * (width + 3) + line for line in wrapped[1:]]
    return "\n".join(lines)


def _options(options: tuple[cli.Option, ...]) -> str:
    rows = []
    for option in options_of(options):
        repeat = "; may be repeated" if option.kind == "list" else ""
        default = f' (default: "{option.default}")' if option.default else ""
        rows.append((label(option), option.help + repeat + default))
    return _rows(rows)


def _section(title: str, body: str) -> str:
    return f"{title}:\n{body}\n"


def help_text(name: str) -> str:
    """The help of a command, of the program itself for ""."""
    if not name:
        return _program()
    command = cli.command_named(name)
    return "\n".join(
        [
            _section("NAME", f"   ociruntime {name} - {command.SUMMARY}"),
            _section("USAGE", f"   ociruntime {name} {command.USAGE}"),
            _section("DESCRIPTION", textwrap.indent((command.__doc__ or "").strip(), "   ")),
            _section("OPTIONS", _options((*command.OPTIONS, cli.HELP))),
        ]
    )


def _program() -> str:
    commands = [(name, cli.command_named(name).SUMMARY) for name in cli.COMMANDS]
    return "\n".join(
        [
            _section("NAME", f"   ociruntime - {TITLE}"),
            _section("USAGE", "   ociruntime [global options] COMMAND [options] [arguments...]"),
            _section("DESCRIPTION", textwrap.indent(DESCRIPTION.strip(), "   ")),
            _section("COMMANDS", _rows([*commands, ("help", "show help, or that of one command")])),
            _section("GLOBAL OPTIONS", _options(cli.GLOBALS)),
        ]
    )
