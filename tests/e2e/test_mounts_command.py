"""mounts add, mounts remove (crun's command): a container that runs gets a mount, and loses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.box import Box, Outcome
from tests.e2e.test_namespaces import mapped


def mounts(box: Box, word: str, *entries: dict[str, Any]) -> Outcome:
    file = box.place / "mounts.json"
    file.write_text(json.dumps(entries))
    return box.call("mounts", word, box.name, str(file))


def bind(source: Path, *options: str) -> dict[str, Any]:
    return {"destination": "/mnt", "type": "bind", "source": str(source), "options": ["bind", *options]}


@pytest.fixture
def volume(box: Box) -> Path:
    volume = box.place / "volume"
    volume.mkdir()
    (volume / "file").write_text("hello\n")
    return volume


def test_mounts_add_and_remove(box: Box, volume: Path) -> None:
    box.up()
    outcome = mounts(box, "add", bind(volume, "ro"))
    assert outcome.status == 0 and outcome.out == "", outcome
    seen = box.exec("sh", "-c", "cat /mnt/file; touch /mnt/new || echo refused")
    assert seen.lines == ["hello", "refused"]
    assert mounts(box, "remove", {"destination": "/mnt"}).status == 0
    assert box.exec("ls", "/mnt").out == ""


def test_mounts_add_of_file_systems(box: Box) -> None:
    box.up()
    tmpfs = {"destination": "/tmp", "type": "tmpfs", "source": "x", "options": ["size=64k", "noexec"]}
    proc = {"destination": "/other/proc", "type": "proc", "source": "proc"}
    assert mounts(box, "add", tmpfs, proc).status == 0
    seen = box.exec("sh", "-c", "grep ' /tmp ' /proc/mounts; cat /other/proc/1/comm")
    assert "size=64k" in seen.lines[0] and "noexec" in seen.lines[0]
    assert seen.lines[1] == "sleep"


def test_mounts_add_in_a_user_namespace(box: Box, volume: Path) -> None:
    mapped(box)
    volume.chmod(0o755)
    box.namespaces("pid", "mount", "uts", "ipc", "network", "user")
    box.up()
    outcome = mounts(box, "add", bind(volume))
    assert outcome.status == 0, outcome
    assert box.exec("cat", "/mnt/file").out == "hello\n"
    assert mounts(box, "remove", {"destination": "/mnt"}).status == 0


def test_mounts_add_does_not_follow_a_link_out(box: Box, volume: Path) -> None:
    (box.rootfs / "mnt").symlink_to("/../../../../../../tmp")
    box.up()
    assert mounts(box, "add", bind(volume)).status == 0
    assert box.exec("cat", "/tmp/file").out == "hello\n"
    assert not Path("/tmp/file").exists()


def test_mounts_that_cannot_be(box: Box, volume: Path) -> None:
    box.up()
    missing = mounts(box, "add", bind(volume / "gone"))
    assert missing.status == 1 and "gone" in missing.err
    nothing = mounts(box, "remove", {"destination": "/root"})
    assert nothing.status == 1 and "nothing is mounted on /root" in nothing.err
    assert mounts(box, "add", {"source": "x"}).status == 1
    assert mounts(box, "swap").status == 1
    (box.place / "mounts.json").write_text("{}")
    refused = box.call("mounts", "add", box.name, str(box.place / "mounts.json"))
    assert refused.status == 1 and "no list of mounts" in refused.err


def test_mounts_of_a_container_that_has_stopped(box: Box, volume: Path) -> None:
    box.up("true")
    box.wait_for("stopped")
    outcome = mounts(box, "add", bind(volume))
    assert outcome.status == 1 and "container not running" in outcome.err
