"""Help, manual pages and completions come from the option tables and say all that is in them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ociruntime import cli
from ociruntime.docsgen import completion, help, man
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


@pytest.mark.parametrize(
    ("shell", "text"), [("bash", completion.bash), ("zsh", completion.zsh), ("fish", completion.fish)]
)
def test_completions_are_good_shell(shell: str, text: object, tmp_path: Path) -> None:
    if not shutil.which(shell):
        pytest.skip(f"this machine has no {shell}")
    assert callable(text)
    script = tmp_path / "script"
    script.write_text(text())
    subprocess.run([shell, "-n", str(script)], check=True)


class TestBash:
    """What bash offers, asked of a real bash."""

    @pytest.fixture(autouse=True)
    def _bash(self, tmp_path: Path) -> None:
        if not shutil.which("bash"):
            pytest.skip("this machine has no bash")
        self.directory = tmp_path
        self.script = tmp_path / "completion"
        self.script.write_text(completion.bash())
        (tmp_path / "bin").mkdir()
        stub = tmp_path / "bin" / "ociruntime"
        stub.write_text('#!/bin/sh\n[ "$1" = --root ] && echo "in-$2" && exit\necho demo\necho other\n')
        stub.chmod(0o755)

    def offered(self, *words: str) -> list[str]:
        quoted = " ".join(f"'{word}'" for word in words)
        program = (
            f"PATH={self.directory}/bin:$PATH; cd {self.directory}; compopt() {{ :; }}; source {self.script}; "
            f"COMP_WORDS=(ociruntime {quoted}); COMP_CWORD={len(words)}; _ociruntime; "
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        result = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
        assert result.stderr == ""
        return result.stdout.split()

    def test_commands(self) -> None:
        assert self.offered("st") == ["start", "state"]
        assert self.offered("--debug", "--root", "st", "sta") == ["start", "state"]
        assert set(cli.COMMANDS) < set(self.offered(""))

    def test_options(self) -> None:
        assert self.offered("--log") == ["--log", "--log-format"]
        assert self.offered("delete", "--") == ["--force", "--regex", "--help"]
        assert "--keep" in self.offered("--root", "/x", "run", "--")

    def test_values(self) -> None:
        assert self.offered("list", "--format", "") == ["table", "json"]
        assert self.offered("--log-format", "=", "j") == ["json"]
        assert self.offered("--log-format", "=") == ["text", "json"]
        assert self.offered("create", "--preserve-fds", "") == []

    def test_paths(self) -> None:
        assert self.offered("create", "--bundle", "b") == ["bin"]
        assert self.offered("create", "--pid-file", "c") == ["completion"]

    def test_containers(self) -> None:
        assert self.offered("kill", "") == ["demo", "other"]
        assert self.offered("exec", "d") == ["demo"]
        assert self.offered("--root", "x", "kill", "") == ["in-x"]
        assert self.offered("--root", "=", "x", "kill", "") == ["in-x"]
        assert self.offered("create", "") == []


def test_every_command_has_a_page_and_every_page_a_command() -> None:
    pages = {Path(name).stem for name in files() if name.endswith(".1")}
    assert pages == {"ociruntime", *(f"ociruntime-{name}" for name in cli.COMMANDS)}
