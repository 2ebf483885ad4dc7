"""The libraries of a program are the ones that its loader really loads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bundles import elf
from bundles.errors import BundleError


def loaded(program: str) -> set[Path]:
    """What the loader itself says; `program` is one of this host's own."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    words = [word for line in said.splitlines() for word in line.split() if word.startswith("/")]
    return {Path(word).resolve() for word in words}


@pytest.mark.parametrize("name", ["bash", "ls", "ps", "python3", "ip", "mount"])
def test_companions_are_those_of_the_loader(name: str) -> None:
    path = os.path.realpath(sys.executable) if name == "python3" else shutil.which(name)
    if path is None:
        pytest.skip(f"{name}: not on this host")
    assert {found.resolve() for found in elf.companions(Path(path))} == loaded(path)


def compiled(tmp_path: Path, name: str, source: str, *options: str) -> Path:
    """A program or library made of one line of C."""
    if not shutil.which("gcc"):
        pytest.skip("gcc: not on this host")
    (tmp_path / "source.c").write_text(source)
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    subprocess.run(["gcc", "-o", path, tmp_path / "source.c", *options], check=True)
    return path


@pytest.mark.parametrize("tags", ["--enable-new-dtags", "--disable-new-dtags"])
def test_origin_is_where_the_program_is(tmp_path: Path, tags: str) -> None:
    library = compiled(tmp_path, "own/libown.so", "int own(void) { return 0; }", "-shared", "-fPIC")
    program = compiled(
        tmp_path,
        "program",
        "int own(void); int main(void) { return own(); }",
        *("-L", f"{library.parent}", "-lown", f"-Wl,{tags}", "-Wl,-rpath,$ORIGIN/own"),
    )
    assert library in elf.companions(program)
    assert {path.resolve() for path in elf.companions(program)} == loaded(str(program))


def test_rpath_holds_for_libraries_of_libraries_and_runpath_does_not(tmp_path: Path) -> None:
    inner = compiled(tmp_path, "own/libinner.so", "int inner(void) { return 0; }", "-shared", "-fPIC")
    source = "int inner(void); int outer(void) { return inner(); }"
    compiled(tmp_path, "own/libouter.so", source, "-shared", "-fPIC", "-L", str(inner.parent), "-linner")
    main = "int outer(void); int main(void) { return outer(); }"
    link = ("-L", str(inner.parent), "-louter", "-Wl,--allow-shlib-undefined", "-Wl,-rpath,$ORIGIN/own")
    old = compiled(tmp_path, "old", main, *link, "-Wl,--disable-new-dtags")
    new = compiled(tmp_path, "new", main, *link, "-Wl,--enable-new-dtags")
    assert inner in elf.companions(old)
    with pytest.raises(BundleError, match=r"libouter\.so: needs libinner\.so"):
        elf.companions(new)


def test_a_static_program_needs_nothing(tmp_path: Path) -> None:
    program = compiled(tmp_path, "static", "int main(void) { return 0; }", "-static")
    assert elf.companions(program) == []


def test_the_program_is_not_run(tmp_path: Path) -> None:
    """The loader named in a program is a program as well, and ldd would run it."""
    witness = tmp_path / "witness"
    loader = tmp_path / "loader"
    loader.write_text(f"#!/bin/sh\ntouch {witness}\n")
    loader.chmod(0o755)
    program = compiled(tmp_path, "program", "int main(void) { return 0; }", f"-Wl,--dynamic-linker={loader}")
    with pytest.raises(BundleError, match="loader: not a program or library"):
        elf.companions(program)
    assert not witness.exists()


def test_a_script_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/bin/sh\n")
    with pytest.raises(BundleError, match=r"script: not a program or library that can be read"):
        elf.companions(tmp_path / "script")


def test_a_library_of_nowhere_is_named(tmp_path: Path) -> None:
    library = compiled(tmp_path, "libgone.so", "int gone(void) { return 0; }", "-shared", "-fPIC")
    program = compiled(
        tmp_path, "program", "int gone(void); int main(void) { return gone(); }", "-L", str(tmp_path), "-lgone"
    )
    library.unlink()
    with pytest.raises(BundleError, match=r"program: needs libgone\.so"):
        elf.companions(program)
