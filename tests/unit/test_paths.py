"""core/paths.py says what `os` says."""

from __future__ import annotations

import os
import posixpath
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociruntime.core import paths

PATHS = st.text(alphabet="a./-", max_size=12)


@given(PATHS)
def test_by_their_text(path: str) -> None:
    for name in ("dirname", "basename", "split", "normpath", "abspath"):
        assert getattr(paths, name)(path) == getattr(posixpath, name)(path)


@given(PATHS, PATHS)
def test_join(directory: str, name: str) -> None:
    assert paths.join(directory, name) == posixpath.join(directory, name)


@given(st.binary(max_size=8))
def test_bytes_and_back(name: bytes) -> None:
    assert paths.fsdecode(name) == os.fsdecode(name)
    assert paths.fsencode(paths.fsdecode(name)) == name


def test_what_a_path_is(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nothing")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("", "file", "dangling", "link", "link/file", "file/below", "none", "nul\0"):
        path = f"{tmp_path}/{name}"
        for question in ("isdir", "exists", "lexists"):
            assert getattr(paths, question)(path) == getattr(posixpath, question)(path), (question, name)


@pytest.mark.parametrize("name", ["", "link", "link/./file", "..", "none/below", "/proc/self/../self/fd", "/"])
def test_realpath(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert paths.realpath(name or str(tmp_path)) == posixpath.realpath(name or str(tmp_path))


def test_makedirs(tmp_path: Path) -> None:
    for _ in range(2):
        paths.makedirs(f"{tmp_path}/a/b/c", 0o700)
        assert (tmp_path / "a/b/c").stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        paths.makedirs(f"{tmp_path}/file", 0o700)
    with pytest.raises(NotADirectoryError):
        paths.makedirs(f"{tmp_path}/file/below", 0o700)


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHS_TEST", "grün")
    assert paths.getenv("PATHS_TEST") == "grün"
    assert paths.environ() == dict(os.environ)
    assert paths.environ("PATHS_") == {"PATHS_TEST": "grün"}
    monkeypatch.delenv("PATHS_TEST")
    assert paths.getenv("PATHS_TEST", "other") == "other"
