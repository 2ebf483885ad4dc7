"""The suite makes its process a subreaper; the tests after these must not inherit that.

As one, this process would collect the processes that a container leaves to init, as zombies in their cgroups.
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
