"""The session keyring of a container (docs/compatibility.md; keyrings(7))."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.box import Box

pytestmark = pytest.mark.skipif(not Path("/proc/keys").exists(), reason="this kernel has no keyrings")

SHOW = "cat /proc/keys"


def serials(listing: list[str], name: str) -> list[str]:
    """The serial numbers of the session keyrings of this name; /proc/keys lists what its reader may see."""
    return [line.split()[0] for line in listing if f" _ses.{name}:" in line]


def test_a_container_has_a_session_keyring_and_exec_joins_it(box: Box) -> None:
    os.mkfifo(box.rootfs / "tmp/ready")
    box.up("cat /proc/keys > /tmp/keys; echo > /tmp/ready; sleep 1000")
    box.exec("cat", "/tmp/ready")
    own = serials((box.rootfs / "tmp/keys").read_text().splitlines(), box.name)
    assert len(own) == 1
    assert serials(box.exec("sh", "-c", SHOW).lines, box.name) == own


def test_no_new_keyring_keeps_the_callers_for_exec_too(box: Box) -> None:
    os.mkfifo(box.rootfs / "tmp/ready")
    box.process["args"] = ["sh", "-c", "cat /proc/keys > /tmp/keys; echo > /tmp/ready; sleep 1000"]
    box.write()
    assert box.call("create", "--no-new-keyring", box.name).status == 0
    assert box.start().status == 0
    box.exec("cat", "/tmp/ready")
    assert not serials((box.rootfs / "tmp/keys").read_text().splitlines(), box.name)
    assert not serials(box.exec("sh", "-c", SHOW).lines, box.name)
