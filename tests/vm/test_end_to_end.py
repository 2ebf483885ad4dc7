"""What only the guest can show (marked `guest`): systemd, pure cgroup v2, AppArmor, a user with a session."""

from __future__ import annotations

import os
import re

import pytest

from tests.vm.conftest import WHAT, Runs

TAIL = 20_000


@pytest.mark.slow
@pytest.mark.skipif("IN_GUEST" in os.environ, reason="this is the guest")
@pytest.mark.parametrize("user", WHAT)
def test_in_the_guest(user: str, guests: Runs) -> None:
    status, output = guests.start(user).finish()
    if "guest: no status from the guest" in output:  # an emulated kernel may die of its emulator; twice is no accident
        status, output = guests.again(user, output).finish()
    skipped = re.search(r"^(?:guest|test-vm): skipped: (?!see above)(.*)$", output, re.MULTILINE)
    if skipped:
        pytest.skip(skipped[1])
    counted = guests.conclude(user, output)
    assert status == 0 and counted, f"status {status}\n{output[-TAIL:]}"
