"""Help, manual pages and completions come from the option tables and say all that is in them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ociruntime import cli
from ociruntime.docsgen import help, man
from ociruntime.docsgen.__main__ import files

NAMES = ("", *cli.COMMANDS)


def table(name: str) -> tuple[cli.Option, ...]:
    return cli.command_named(name).OPTIONS if name else cli.GLOBALS


@pytest.mark.parametrize("name", NAMES)
def test_help_and_manual_show_what_is_documented_and_nothing_else(name: str) -> None:
    text = help.help_text(name)
    page = man.page(name).replace("\\-", "-")
    for option in table(name):
        for spelling in option.names:
            assert (f"{spelling} " in text or f"{spelling}\n" in text or f"{spelling}," in text) != option.hidden
            assert (f"\\fB{spelling}\\fR" in page) != option.hidden


@pytest.mark.parametrize("name", NAMES)
def test_help_fits_a_terminal(name: str) -> None:
    assert max(len(line) for line in help.help_text(name).splitlines()) <= 110


@pytest.mark.skipif(not shutil.which("groff"), reason="this machine has no groff")
@pytest.mark.parametrize("name", NAMES)
def test_manual_pages_are_clean_to_groff(name: str) -> None:
    command = ["groff", "-man", "-Tutf8", "-ww", "-z"]
    result = subprocess.run(command, input=man.page(name).encode(), capture_output=True, check=True)
    assert result.stderr == b""


def test_text_cannot_become_a_request_of_roff() -> None:
    assert man.escaped(".so /etc/passwd\n'x\na\\b--c") == "\\&.so /etc/passwd\n\\&'x\na\\eb\\-\\-c"


def test_every_command_has_a_page_and_every_page_a_command() -> None:
    pages = {Path(name).stem for name in files() if name.endswith(".1")}
    assert pages == {"ociruntime", *(f"ociruntime-{name}" for name in cli.COMMANDS)}
