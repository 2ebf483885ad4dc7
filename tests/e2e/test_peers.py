"""The same bundles have the same outcome under every runtime; tests/vm/peers.sh prints them as a table."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.peers import CASES, PROFILE, compare, runtimes, same
from tests.e2e.test_cgroup import V2

pytestmark = [
    pytest.mark.guest,
    pytest.mark.skipif(
        not V2 or not Path("/run/systemd/system").is_dir() or not shutil.which("apparmor_parser"),
        reason="needs systemd, the unified hierarchy alone and AppArmor: run tests/vm/test.sh",
    ),
    pytest.mark.skipif(len(runtimes()) < 3, reason="needs runc and crun"),
]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.differs])
def test_same_outcome(name: str) -> None:
    if name.startswith("AppArmor"):
        subprocess.run(["apparmor_parser", "--replace"], input=PROFILE, text=True, check=True)
    found = compare(name)
    assert same(found), found
