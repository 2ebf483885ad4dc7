"""Some tests make this process a subreaper (the conformance suite, the sweep of faults); the next must not be one.

As one, it would collect the processes that a container leaves to init, as zombies that keep their cgroups.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import pytest

PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>


@pytest.fixture(autouse=True)
def _no_subreaper_afterwards() -> Iterator[None]:
    yield
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
