"""Some tests make this process a subreaper (the conformance suite, the sweep of faults); the next must not be one.

As one, it would collect the processes that a container leaves to init, as zombies that keep their cgroups.
"""

from __future__ import annotations

from collections.abc import Iterator

import prctl
import pytest


@pytest.fixture(autouse=True)
def _no_subreaper_afterwards() -> Iterator[None]:
    yield
    prctl.set_child_subreaper(False)
