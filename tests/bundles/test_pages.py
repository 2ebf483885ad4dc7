"""The commands of every page are typed, and print what the page says."""

from __future__ import annotations

import os
import shutil

import pytest

from bundles.build import catalogue
from bundles.pages import BEGIN, refreshed
from tests.bundles.conftest import OCIRUNTIME
from tests.docs import console

pytestmark = pytest.mark.root

QUIET = {"debian"}  # downloads


def runtime() -> str:
    """What the pages call `ociruntime`: that, or the reference while there is none."""
    return str(OCIRUNTIME) if OCIRUNTIME.exists() else shutil.which("runc") or ""


@pytest.mark.parametrize("name", catalogue())
def test_page(name: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("containers by hand need root")
    if not runtime():
        pytest.skip("neither ociruntime nor runc is here")
    assert console.check(catalogue()[name].page, runtime()) > 0 or name in QUIET


@pytest.mark.parametrize("name", [name for name, sample in catalogue().items() if BEGIN in sample.page.read_text()])
def test_what_explain_prints_is_current(name: str) -> None:
    """Otherwise: python -m bundles.pages .venv/bin/ociruntime"""
    if not OCIRUNTIME.exists():
        pytest.skip(f"{OCIRUNTIME}: not built, see `make`")
    if "cgroup-v1" not in console.HERE or os.geteuid() != 0:
        pytest.skip("the pages show what root sees on a host with cgroup v1")
    assert refreshed(catalogue()[name], str(OCIRUNTIME)) == catalogue()[name].page.read_text()
