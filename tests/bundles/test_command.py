"""`python -m bundles` as people type it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bundles.build import catalogue
from bundles.errors import BundleError
from bundles.running import remove
from tests.bundles.conftest import DEADLINE


def bundles(*words: str, status: int = 0, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "bundles", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        env=os.environ | environment,
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout or done.stderr


def test_list_has_every_sample() -> None:
    assert [line.split()[0] for line in bundles("--list").splitlines()] == list(catalogue())


@pytest.mark.parametrize("name", catalogue())
def test_every_sample_has_a_page(name: str) -> None:
    assert bundles(name, "--page").startswith(f"# {name}\n")


def test_build_prints_the_commands_that_run_it(tmp_path: Path) -> None:
    out = tmp_path / "b"
    said = bundles("busybox", "--out", str(out), "--runtime", "/r", "--id", "me")
    assert said == f"/r run --bundle {out} me\n"
    assert json.loads((out / "config.json").read_text())["hostname"] == "busybox"
    assert (out / "rootfs/bin/ls").is_symlink()


def test_build_of_a_pod_prints_the_whole_life(tmp_path: Path) -> None:
    said = bundles("pod", "--out", str(tmp_path / "b"), "--runtime", "r", "--id", "me").splitlines()
    assert [line.split()[1] for line in said] == ["create", "start", "create", "start", "run", "delete", "delete"]
    assert [line.split()[-1] for line in said[-2:]] == ["me-web", "me-pause"]


@pytest.mark.parametrize(
    ("words", "status", "error"),
    [
        (["nothing", "--run"], 2, "nothing: not a sample; --list prints them"),
        (["busybox"], 2, "say --out DIR, --run or both"),
        (["busybox", "--run", "--runtime", "/no/runtime"], 1, "bundles: /no/runtime: no such runtime on PATH"),
        (["alpine", "--out", "{tmp}/b"], 1, "bundles: alpine: say --rootfs PATH"),
        (["alpine", "--out", "{tmp}/b", "--rootfs", "{tmp}/none"], 1, "none: no such archive or directory"),
        (["busybox", "--out", "{tmp}"], 1, "not empty; a bundle is written to a new directory"),
        (["busybox", "--out", "{tmp}/file/b"], 1, "file/b: Not a directory"),
    ],
)
def test_errors_are_one_line(tmp_path: Path, words: list[str], status: int, error: str) -> None:
    (tmp_path / "file").touch()
    said = bundles(*[word.format(tmp=tmp_path) for word in words], status=status)
    assert error in said.splitlines()[-1]


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    said = bundles("busybox", "--out", str(tmp_path / "b"), status=1, PATH=str(tmp_path))
    assert said == "bundles: busybox: no such program on this host; install the package that has it\n"
    assert not (tmp_path / "b").exists()


def test_a_bundle_with_a_mount_in_it_is_not_removed(place: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    (place / "b/rootfs").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", place / "b/rootfs"], check=True)
    try:
        (place / "b/rootfs/precious").touch()
        with pytest.raises(BundleError, match="still has mounts in it"):
            remove(place / "b")
        assert (place / "b/rootfs/precious").exists()
    finally:
        subprocess.run(["umount", place / "b/rootfs"], check=True)
    remove(place / "b")
    assert not (place / "b").exists()
