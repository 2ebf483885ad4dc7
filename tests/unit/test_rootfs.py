"""Paths beneath a root, with the real kernel: what is made, and that it is made below."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ociruntime.core.kernel import Kernel
from ociruntime.core.rootfs import make_dir_in_root, make_file_in_root


@pytest.fixture
def root(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    path = tmp_path / "outside/root"
    path.mkdir(parents=True)
    fd = os.open(path, os.O_PATH)
    yield fd, path
    os.close(fd)


def made(path: Path) -> set[str]:
    return {str(each.relative_to(path)) for each in path.rglob("*")}


@pytest.mark.parametrize("path", ["gone/../x", "gone/../../../x", "a/../../x/gone/..", "a/gone/../../../x"])
@pytest.mark.parametrize("led_to", [False, True])
def test_no_directory_is_left_again_by_what_would_lead_out(root: tuple[int, Path], path: str, led_to: bool) -> None:
    fd, below = root
    (below / "a").mkdir()
    try:
        os.close(make_dir_in_root(Kernel(), fd, path, led_to=led_to))
    except FileNotFoundError:
        assert not led_to
    assert made(below.parent) <= {"root", "root/a", "root/x", "root/x/gone", "root/a/x"}


def test_a_link_to_nothing(root: tuple[int, Path]) -> None:
    fd, below = root
    (below / "link").symlink_to("/deep/../far/place")
    with pytest.raises(NotADirectoryError):
        make_dir_in_root(Kernel(), fd, "link/x")
    os.close(make_file_in_root(Kernel(), fd, "link/x"))
    assert (below / "far/place/x").is_file()
    os.close(make_dir_in_root(Kernel(), fd, "link/y", led_to=True))
    assert (below / "far/place/y").is_dir() and not (below / "deep").exists()
