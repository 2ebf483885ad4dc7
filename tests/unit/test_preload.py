"""The modules of a command from one file: used where it is true, and never otherwise.

Seen from real interpreters on a copy of the package, since what is tested is how modules come to be.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import ociruntime

PACKAGE = Path(ociruntime.__file__).parent
# As the launcher boots; prints how many of our modules came from the file.
BOOT = f"""\
import sys
sys.path += [sys.argv[1], {sysconfig.get_path("platlib")!r}]
from ociruntime import preload
preload.preload(["--root", "/nowhere", *sys.argv[2:]])
print(len([m for m in sys.modules.values() if m.__name__.startswith("ociruntime.") and m.__spec__.loader is None]))
from ociruntime import cli
command = cli.command_named("state")
print(command.SUMMARY)
print(bool(preload.bare))
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory with a package of which a file for `state` was written."""
    shutil.copytree(PACKAGE, tmp_path / "site/ociruntime", ignore=shutil.ignore_patterns("__pycache__"))
    write(tmp_path / "site")
    return tmp_path / "site"


def write(site: Path) -> None:
    code = """
from ociruntime import preload
preload.preload(['state'])
import ociruntime.__main__, ociruntime.commands.state, ociruntime.core.lifecycle.state
from ociruntime.preload_write import keep
keep(['--root', '/nowhere', 'state', 'x'])
"""
    python(f"import sys; sys.path += [{str(site)!r}, {sysconfig.get_path('platlib')!r}]\n{code}")


def python(code: str, *args: str) -> list[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [sys.executable, "-I", "-S", "-c", code, *args]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def boot(site: Path, *words: str) -> tuple[int, str]:
    """How many modules were preloaded, and what the command says of itself; the two must not contradict."""
    count, summary, missing = python(BOOT, str(site), *words)
    assert (missing == "True") == (count == "0" and "--debug" not in words)
    return int(count), summary


def kept(site: Path) -> Path:
    [found] = (site / "ociruntime/__pycache__").glob("state.*.preload")
    return found


def test_used(site: Path) -> None:
    count, summary = boot(site, "state", "x")
    assert count > 15
    assert summary == "print the state of a container"


def test_another_command_has_none(site: Path) -> None:
    assert boot(site, "kill", "x")[0] == 0


def test_debug_does_without(site: Path) -> None:
    assert boot(site, "--debug", "state")[0] == 0


def test_an_edited_source_is_what_runs(site: Path) -> None:
    source = site / "ociruntime/commands/state.py"
    source.write_text(source.read_text().replace("print the state", "paint the state"))
    assert boot(site, "state") == (0, "paint the state of a container")


def test_an_edit_of_equal_size_and_second_is_seen(site: Path) -> None:
    source = site / "ociruntime/commands/state.py"
    before = source.stat()
    source.write_text(source.read_text().replace("print the state", "paint the state"))
    shutil.rmtree(source.parent / "__pycache__")  # the interpreter's own files do not see this
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert boot(site, "state") == (0, "paint the state of a container")


def test_a_source_that_is_gone(site: Path) -> None:
    (site / "ociruntime/core/lifecycle/state.py").unlink()
    assert boot(site, "state")[0] == 0


def test_a_copy_elsewhere(site: Path) -> None:
    copy = site.with_name("copy")
    shutil.copytree(site, copy)  # with the times of the files
    source = copy / "ociruntime/commands/state.py"
    source.write_text(source.read_text().replace("print the state", "paint the state"))
    assert boot(copy, "state") == (0, "paint the state of a container")


@pytest.mark.parametrize("cut", [0, 10, 100, 5000])
def test_a_file_that_was_cut_short(site: Path, cut: int) -> None:
    kept(site).write_bytes(kept(site).read_bytes()[:cut])
    assert boot(site, "state")[0] == 0


def test_a_file_of_another_interpreter(site: Path) -> None:
    content = bytearray(kept(site).read_bytes())
    content[content.index(b"\n") + 1] ^= 1
    kept(site).write_bytes(content)
    assert boot(site, "state")[0] == 0


def test_written_anew(site: Path) -> None:
    (site / "ociruntime/commands/state.py").touch()
    assert boot(site, "state")[0] == 0
    write(site)
    assert boot(site, "state")[0] > 15


def test_nowhere_to_write(site: Path) -> None:
    """As in a read-only installation: no file, no error."""
    shutil.rmtree(site / "ociruntime/__pycache__")
    (site / "ociruntime/__pycache__").write_text("in the way")
    write(site)
    assert boot(site, "state")[0] == 0


def test_what_it_names_exists() -> None:
    """Every command and module of the table, imported and found in the file."""
    code = "from ociruntime import preload_write as w; print(*(f'core.{m}' for c in w.USUAL for m in w.USUAL[c]))"
    names = python(f"import sys; sys.path.append({str(PACKAGE.parent)!r}); {code}")[0].split()
    assert [name for name in names if not (PACKAGE / f"{name.replace('.', '/')}.py").is_file()] == []


def test_docstrings_of_functions_go_and_strings_of_theirs_stay() -> None:
    source = """
def plain(x):
    "said"
    return x

def equal():
    "said"
    return "said"

def none():
    return ["said", (lambda: "said")(), *("said" for _ in "x")]

class Kept:
    "said"
"""
    code = "import sys; from ociruntime.preload_write import _lean; exec(_lean(compile(sys.argv[1], 'x', 'exec')))\n"
    code += "print(plain.__doc__, plain(1), equal(), none(), Kept.__doc__)"
    said = python(f"import sys; sys.path.append({str(PACKAGE.parent)!r})\n{code}", source)
    assert said == ["None 1 said ['said', 'said', 'said'] said"]
