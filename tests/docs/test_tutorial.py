"""The pages with commands are typed, command by command, and print what they say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.docs import console

pytestmark = pytest.mark.root

DOCS = console.REPOSITORY / "docs"
OCIRUNTIME = Path(os.environ.get("OCIRUNTIME", console.REPOSITORY / ".venv/bin/ociruntime")).absolute()


@pytest.mark.parametrize("page", ["tutorial.md", "configuration.md"])
def test_page(page: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("containers by hand need root")
    if not OCIRUNTIME.exists():
        pytest.skip(f"{OCIRUNTIME}: not built, see `make`")
    assert console.check(DOCS / page, str(OCIRUNTIME)) > 0
