"""The manual pages, one for the program and one per command, in man(7)'s macros."""

from __future__ import annotations

import re

from ociruntime import cli
from ociruntime.docsgen.examples import EXAMPLES
from ociruntime.docsgen.help import DESCRIPTION, TITLE, options_of

_HEADER = '.\\" Generated from the option tables by python -m ociruntime.docsgen; do not edit.\n'

_STATUS = """\
0 on success and 1 on failure, after one line on standard error.
"""
_STATUS_OF = {
    "exec": """\
The exit status of the command, 128 and the signal's number if a signal ended it, 255 for a failure
before it began. With --detach: 0 on success.
""",
    "run": """\
The exit status of the container's program, 128 and the signal's number if a signal ended it, and 1
for a failure before it began. With --detach: 0 on success.
""",
    "": """\
0 on success, 1 on failure, 3 for an unknown command; run and exec pass on the status of the program
that they ran, and exec fails with 255.
""",
}
_FILES = """\
.TP
.I /run/ociruntime/ID/
What is known of a container. For a user other than root
.IR $XDG_RUNTIME_DIR/ociruntime/ID/ .
.TP
.I BUNDLE/config.json
The configuration of a container, as the Open Container Initiative's runtime specification has it.
"""


def escaped(text: str) -> str:
    """Text as roff takes it literally."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line.startswith((".", "'")) else line for line in text.split("\n"))


def _prose(text: str) -> str:
    """Paragraphs; indented ones are shown as they are, and `words` in backquotes in bold."""
    blocks = []
    for paragraph in text.strip().split("\n\n"):
        if paragraph.startswith("    "):
            blocks.append(_shown("\n".join(line.strip() for line in paragraph.split("\n"))))
        else:
            blocks.append(".PP\n" + re.sub(r"`([^`]*)`", r"\\fB\1\\fR", escaped(paragraph)) + "\n")
    return "".join(blocks)


def _shown(text: str) -> str:
    return ".PP\n.RS 4\n.nf\n" + escaped(text) + "\n.fi\n.RE\n"


def _options(options: tuple[cli.Option, ...]) -> str:
    rows = []
    for option in options_of(options):
        value = f" \\fI{escaped(option.metavar)}\\fR" if option.metavar else ""
        names = ", ".join(f"\\fB{escaped(name)}\\fR{value}" for name in option.names)
        text = option.help[0].upper() + option.help[1:] + "."
        if option.kind == "list":
            text += " May be repeated."
        if option.default:
            text += f" Default: {option.default}"
        rows.append(f".TP\n{names}\n{escaped(text)}\n")
    return "".join(rows)


def _section(title: str, body: str) -> str:
    return f".SH {title}\n{body}" if body else ""


def _examples(name: str) -> str:
    return "".join(f".PP\n{escaped(purpose)}:\n{_shown(words)}" for purpose, words in EXAMPLES.get(name, ()))


def _page(name: str, summary: str, synopsis: str, sections: list[str]) -> str:
    title = f"ociruntime-{name}" if name else "ociruntime"
    return "".join(
        [
            _HEADER,
            f'.TH {title.upper()} 1 "" "ociruntime" "User Commands"\n',
            _section("NAME", f"{escaped(title)} \\- {escaped(summary)}\n"),
            _section("SYNOPSIS", synopsis),
            *sections,
        ]
    )


def page(name: str) -> str:
    """The manual page of a command, of the program for ""."""
    if not name:
        return _program_page()
    command = cli.command_named(name)
    return _page(
        name,
        command.SUMMARY,
        f".B ociruntime {name}\n{escaped(command.USAGE)}\n",
        [
            _section("DESCRIPTION", _prose(command.__doc__ or "")),
            _section("OPTIONS", _options((*command.OPTIONS, cli.HELP))),
            _section("EXIT STATUS", _STATUS_OF.get(name, _STATUS)),
            _section("EXAMPLES", _examples(name)),
            _section("SEE ALSO", ".BR ociruntime (1)\n"),
        ],
    )


def _program_page() -> str:
    rows = [
        f".TP\n.BR ociruntime\\-{name} (1)\n{escaped(cli.command_named(name).SUMMARY.capitalize())}.\n"
        for name in cli.COMMANDS
    ]
    return _page(
        "",
        TITLE,
        ".B ociruntime\n[global options] COMMAND [options] [arguments...]\n",
        [
            _section("DESCRIPTION", _prose(DESCRIPTION)),
            _section("COMMANDS", "".join(rows)),
            _section("GLOBAL OPTIONS", _options(cli.GLOBALS)),
            _section("EXIT STATUS", _STATUS_OF[""]),
            _section("FILES", _FILES),
            _section("EXAMPLES", _examples("")),
        ],
    )
