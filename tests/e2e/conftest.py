"""End-to-end tests: a real runtime, a real kernel, as root; nothing may be left on the host afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.box import BUSYBOX, OCIRUNTIME, Box
from tests.e2e.host import Picture


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = ""
    if not os.access(OCIRUNTIME, os.X_OK):
        reason = f"{OCIRUNTIME} is missing: run make"
    elif not os.access(BUSYBOX, os.X_OK):
        reason = "needs busybox: apt-get install busybox-static"
    for item in items:
        if "tests/e2e" in str(item.path):
            item.add_marker(pytest.mark.root)
            unprivileged = item.get_closest_marker("unprivileged")
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))
            elif os.geteuid() != 0 and not unprivileged:
                item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A bundle, deleted by force afterwards; then nothing of it may be left."""
    before = Picture()
    name = f"e2e-{os.getpid()}-{tmp_path.name}"
    box = Box(tmp_path, name)
    yield box
    box.call("delete", "--force", name)
    left = before.differences(name)
    assert not left, "left on the host:\n" + "\n".join(left)
    assert not box.root.exists() or [entry.name for entry in box.root.iterdir() if entry.name[0] != "."] == []
