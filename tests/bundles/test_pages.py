"""The commands of every page are typed, and print what the page says."""

from __future__ import annotations

import os
import shutil

import pytest

from bundles.build import catalogue
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
