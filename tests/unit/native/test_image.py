"""The interpreter's image: used where it is true, written anew where it is not, and never believed otherwise."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.unit.native.prefix import INTERPRETER, PACKAGE, Prefix

pytestmark = pytest.mark.skipif(
    not INTERPRETER.exists(), reason="Python's library is no archive here, so there is no interpreter of our own"
)


# Where the header (native/image.c) says whether memory is to be had in huge pages, and how long its hot part is
HUGE, HOT_SIZE = 40, 80


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    made = Prefix(tmp_path / "prefix", own=True, image=True)
    made.run()
    return made


def loaded_from_image(prefix: Prefix) -> bool:
    """Whether the stub's module was imported by the process that wrote the image, and no later one."""
    first, second = prefix.run(), prefix.run()
    assert first["image"] and second["image"]
    return bool(first["loaded"] == second["loaded"])


def test_modules_are_imported_once(prefix: Prefix) -> None:
    assert loaded_from_image(prefix)


def test_environment_and_arguments_are_those_of_each_start(prefix: Prefix) -> None:
    for word in ("one", "two"):
        report = prefix.run(word, env={"WORD": word})
        assert (report["argv"][2], report["environ"]) == (word, {"WORD": word})


def test_an_edited_source_is_what_runs(prefix: Prefix) -> None:
    prefix.word.write_text(prefix.word.read_text().replace("first", "another"))
    assert prefix.run()["word"] == "another"
    assert loaded_from_image(prefix)


def test_an_edit_of_equal_size_and_second_is_seen(prefix: Prefix) -> None:
    before = prefix.word.stat()
    prefix.word.write_text(prefix.word.read_text().replace("first", "other"))
    shutil.rmtree(prefix.word.parent / "__pycache__")  # the interpreter's own files do not see this
    os.utime(prefix.word, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert prefix.run()["word"] == "other"


def test_a_source_that_is_gone(prefix: Prefix) -> None:
    (prefix.package / "core/other.py").write_text("")
    prefix.image.unlink()
    before = prefix.run()["loaded"]
    (prefix.package / "core/other.py").unlink()
    assert prefix.run()["loaded"] != before


def test_another_program_does_not_take_it(prefix: Prefix) -> None:
    """Of the same content: where its data lies is the same, who knows what else is not."""
    before = prefix.run()["loaded"]
    copy = prefix.package / "copy"
    shutil.copy(prefix.package / INTERPRETER.name, copy)
    copy.rename(prefix.package / INTERPRETER.name)
    assert prefix.run()["loaded"] != before


@pytest.mark.parametrize("size", [0, 10, 100, 5000, 500_000])
def test_an_image_that_was_cut_short(prefix: Prefix, size: int) -> None:
    os.truncate(prefix.image, size)
    assert prefix.run()["word"] == "first"
    assert loaded_from_image(prefix)


@pytest.mark.parametrize("at", [0, 16, 24, 40, 48, 56, 64])
def test_a_header_that_says_something_else(prefix: Prefix, at: int) -> None:
    content = bytearray(prefix.image.read_bytes())
    content[at] ^= 1
    prefix.image.write_bytes(content)
    assert prefix.run()["word"] == "first"


@pytest.mark.parametrize(("command", "huge"), [("create", 1), ("create", 0), ("state", 1)])
def test_huge_pages_are_for_commands_that_clone(prefix: Prefix, command: str, huge: int) -> None:
    content = bytearray(prefix.image.read_bytes())
    content[HUGE] = huge
    prefix.image.write_bytes(content)
    assert loaded_from_image(prefix)
    assert prefix.run(command)["arena_of_the_file"] == (command != "create" or not huge)


def test_modules_are_compiled_before_the_image_is_made(prefix: Prefix) -> None:
    """What compiles leaves its memory behind: an image of the first start is as small as one of a later."""
    prefix.image.unlink()
    for directory in prefix.package.rglob("__pycache__"):
        shutil.rmtree(directory)
    prefix.run()
    first = prefix.image.stat().st_size
    prefix.image.unlink()
    prefix.run()
    assert first == prefix.image.stat().st_size


def test_nowhere_to_write(prefix: Prefix) -> None:
    """As in a read-only installation: no image, no error."""
    shutil.rmtree(prefix.image.parent)
    prefix.image.parent.write_text("in the way")
    done = subprocess.run([prefix.launcher, prefix.place / "report"], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (5, b"", b"")


def test_what_cannot_be_in_it_is_not_tried_at_every_start(prefix: Prefix) -> None:
    """A pointer into a library, here of a module in C that was imported too early: the image says that it is none."""
    early = "import _json\nLOADED = 0\nWORD = 'early'\n"
    prefix.word.write_text(early)
    source = prefix.package / "image.py"
    source.write_text(source.read_text().replace("isinstance(spec.loader, ExtensionFileLoader)", "False"))
    first, second = (prefix.run(), prefix.image.stat()), (prefix.run(), prefix.image.stat())
    assert first[0]["word"] == second[0]["word"] == "early"
    assert not first[0]["image"]
    assert first[1] == second[1]


def test_many_first_starts_at_once(prefix: Prefix) -> None:
    prefix.image.unlink()
    with ThreadPoolExecutor(8) as threads:
        reports = [prefix.place / f"report-{number}" for number in range(8)]
        started = list(threads.map(lambda report: subprocess.run([prefix.launcher, report], check=False), reports))
    assert [done.returncode for done in started] == [5] * 8
    assert [path.name for path in prefix.image.parent.glob("image*") if not path.name.endswith(".pyc")] == ["image"]


def test_everything_hot_is_in_it() -> None:
    """The package that is installed: no command loads a module of ours from a file once there is an image."""
    launcher = Path(sys.prefix) / "bin/ociruntime"
    command = [str(launcher), "--root", "/nowhere", "delete", "--force", "x"]
    subprocess.run(command, check=False, capture_output=True)
    trace = ["strace", "-f", "-e", "trace=openat", *command]
    done = subprocess.run(trace, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "__pycache__/image" in done.stderr
    assert ".pyc" not in done.stderr


def test_what_create_uses_fits_into_two_huge_pages() -> None:
    """A third would cost half a millisecond. What is new has to go elsewhere (MET in image.py), or something out."""
    launcher = Path(sys.prefix) / "bin/ociruntime"
    subprocess.run([str(launcher), "--version"], check=True, capture_output=True)
    header = (PACKAGE / "__pycache__/image").read_bytes()[: HOT_SIZE + 8]
    assert 3 << 20 < int.from_bytes(header[HOT_SIZE:], sys.byteorder) <= 2 * (2 << 20)
