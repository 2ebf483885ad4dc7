"""What bash, zsh and fish offer, asked of the shells themselves."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ociruntime import cli
from ociruntime.docsgen import completion

# Stands for the runtime, whose containers the completions ask for
STUB = '#!/bin/sh\n[ "$1" = --root ] && echo "in-$2" && exit\necho demo\necho other\n'

# Shows what a completion offers instead of the line editor: each call of compadd also writes its matches to a file.
ZSHRC = """\
fpath=($ZDOTDIR $fpath)
autoload -Uz compinit
compinit -u -C -d $DUMP
compadd() {
    if (( ${@[(I)-[OAD]*]} )); then
        builtin compadd "$@"
        return
    fi
    local -a hits
    builtin compadd -A hits "$@"
    print -l -- $hits >> $ZDOTDIR/offered
    builtin compadd "$@"
}
zle-line-init() {
    BUFFER=$LINE
    CURSOR=$#BUFFER
    zle complete-word
    exit 0
}
zle -N zle-line-init
"""


def bash(place: Path, line: str) -> list[str]:
    script = place / "script"
    script.write_text(completion.bash())
    words = line.replace("=", " = ").split(" ")
    if line.endswith("="):
        words.pop()  # the cursor is at the end of that word
    quoted = " ".join(f"'{word}'" for word in words)
    program = (
        f"compopt() {{ :; }}; source {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _ociruntime; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    return ask(place, ["bash", "-c", program])


def zsh(place: Path, line: str) -> list[str]:
    """zsh completes in its line editor only, and that wants a terminal."""
    (place / "_ociruntime").write_text(completion.zsh())
    (place / ".zshrc").write_text(ZSHRC)
    master, slave = pty.openpty()
    environment = {"ZDOTDIR": str(place), "HOME": str(place), "LINE": line, "PATH": search(place), "TERM": "dumb"}
    environment["DUMP"] = str(place.parent / "zcompdump")  # of the whole session: to make it takes a second
    with subprocess.Popen(
        ["zsh", "-i"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment,
        cwd=place / "cwd",
        start_new_session=True,
    ) as shell:
        os.close(slave)
        shown = b""
        try:
            while data := os.read(master, 4096):
                shown += data
        except OSError:  # the other end is closed
            pass
        assert shell.wait(timeout=20) == 0 and b"_ociruntime:" not in shown, shown
    os.close(master)
    offered = place / "offered"
    return offered.read_text().split("\n") if offered.exists() else []


def fish(place: Path, line: str) -> list[str]:
    script = place / "script"
    script.write_text(completion.fish())
    lines = ask(place, ["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"])
    return [line.partition("\t")[0].partition("=")[2] or line.partition("\t")[0] for line in lines]


def search(place: Path) -> str:
    return f"{place}/bin:{os.environ['PATH']}"


def ask(place: Path, command: list[str]) -> list[str]:
    environment = {**os.environ, "PATH": search(place), "HOME": str(place), "LC_ALL": "C.UTF-8"}
    result = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment, cwd=place / "cwd", timeout=60
    )
    assert result.stderr == ""
    return result.stdout.split("\n")


SHELLS: dict[str, Callable[[Path, str], list[str]]] = {"bash": bash, "zsh": zsh, "fish": fish}


@pytest.fixture(params=SHELLS)
def offered(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], set[str]]:
    """What a shell offers for the last word after "ociruntime"."""
    if not shutil.which(request.param):
        pytest.skip(f"this machine has no {request.param}")
    for name in ("bin", "cwd", "cwd/bundle"):
        (tmp_path / name).mkdir()
    (tmp_path / "cwd/mounts.json").touch()
    stub = tmp_path / "bin/ociruntime"
    stub.write_text(STUB)
    stub.chmod(0o755)
    return lambda line: {word.rstrip("/") for word in SHELLS[request.param](tmp_path, "ociruntime " + line) if word}


OFFERS = {
    "st": "start state",
    "--debug --root st sta": "start state",
    "help st": "start state",
    "--log-l": "",  # hidden
    "--lo": "--log --log-format",
    "delete --": "--force --regex --help",
    "pause --": "--help",
    "list --format ": "table json",
    "list --format=": "table json",
    "--log-format=j": "json",
    "--log-format j": "json",
    "create --preserve-fds ": "",
    "create --bundle ": "bundle",
    "create --bundle=b": "bundle",
    "create --pid-file m": "mounts.json",
    "validate ": "bundle",
    "create x": "",
    "kill ": "demo other",
    "exec d": "demo",
    "exec --cwd / d": "demo",
    "--root x kill ": "in-x",
    "--root=x kill ": "in-x",
    "kill demo K": "KILL",
    "kill demo KILL ": "",
    "exec demo kill ": "",  # what follows the id is another program's
    "exec demo kill -": "",
    "ps demo -": "",
    "mounts ": "add remove",
    "mounts add ": "demo other",
    "mounts add demo m": "mounts.json",
    "checkpoint ": "",
}


@pytest.mark.parametrize("line", OFFERS)
def test_offers(offered: Callable[[str], set[str]], line: str) -> None:
    shown = offered(line)
    if line == "kill demo KILL " and shown:  # zsh has nothing but options to offer then
        assert {word[0] for word in shown} == {"-"}
    else:
        assert shown == set(OFFERS[line].split())


def test_offers_every_command(offered: Callable[[str], set[str]]) -> None:
    assert {word for word in offered("") if word[0] != "-"} == {*cli.COMMANDS, "help"}


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_offers_every_option(offered: Callable[[str], set[str]], name: str) -> None:
    options = (*cli.command_named(name).OPTIONS, cli.HELP)
    names = {name for option in options if not option.hidden for name in option.names if name.startswith("--")}
    assert offered(f"{name} --") == names
