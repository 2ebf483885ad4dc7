"""Id-mapped mounts (config.md, Mounts: uidMappings, gidMappings, the options idmap and ridmap)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.box import Box
from tests.e2e.test_namespaces import MAPS, mapped, sleeper

OWN = [{"containerID": 0, "hostID": 7000, "size": 10}]


@pytest.fixture
def volume(box: Box) -> Iterator[Path]:
    """A directory of root's with a file of user 5, and a tmpfs below it with one of user 6."""
    volume = box.place / "volume"
    (volume / "below").mkdir(parents=True)
    (volume / "file").touch()
    os.chown(volume / "file", 5, 5)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", volume / "below"], check=True)
    (volume / "below/file").touch()
    os.chown(volume / "below/file", 6, 6)
    yield volume
    box.call("delete", "--force", box.name)
    subprocess.run(["umount", volume / "below"], check=True)


def bind(box: Box, volume: Path, *options: str, maps: list[dict[str, int]] | None = None) -> None:
    entry: dict[str, Any] = {"destination": "/mnt", "type": "bind", "source": str(volume), "options": list(options)}
    if maps:
        entry |= {"uidMappings": maps, "gidMappings": maps}
    box.spec["mounts"].append(entry)


def in_user_namespace(box: Box) -> None:
    mapped(box)
    box.namespaces("pid", "mount", "uts", "ipc", "network", "user")


def owners(box: Box, *files: str) -> list[str]:
    outcome = box.run("stat", "-c", "%u:%g", *(f"/mnt/{file}" for file in files))
    assert outcome.status == 0, outcome
    return outcome.lines


def test_idmap_takes_the_maps_of_the_containers_user_namespace(box: Box, volume: Path) -> None:
    in_user_namespace(box)
    bind(box, volume, "bind", "idmap")
    assert owners(box, ".", "file") == ["0:0", "5:5"]


def test_what_the_container_writes_has_plain_owners(box: Box, volume: Path) -> None:
    in_user_namespace(box)
    volume.chmod(0o777)
    bind(box, volume, "bind", "idmap")
    box.process["user"] = {"uid": 9, "gid": 9}
    assert box.run("touch /mnt/new").status == 0
    assert (os.stat(volume / "new").st_uid, os.stat(volume / "new").st_gid) == (9, 9)


def test_the_mounts_own_maps_win(box: Box, volume: Path) -> None:
    in_user_namespace(box)
    bind(box, volume, "bind", "idmap", maps=[{"containerID": 0, "hostID": 100020, "size": 10}])
    assert owners(box, "file") == ["25:25"]


def test_own_maps_without_a_user_namespace_or_an_option(box: Box, volume: Path) -> None:
    bind(box, volume, "bind", maps=OWN)
    assert owners(box, "file") == ["7005:7005"]


def test_idmap_is_for_the_mount_itself_alone(box: Box, volume: Path) -> None:
    bind(box, volume, "rbind", "idmap", maps=OWN)
    assert owners(box, "file", "below/file") == ["7005:7005", "6:6"]


def test_ridmap_is_for_the_mounts_below_too(box: Box, volume: Path) -> None:
    bind(box, volume, "rbind", "ridmap", maps=OWN)
    assert owners(box, "file", "below/file") == ["7005:7005", "7006:7006"]


def test_idmap_and_read_only(box: Box, volume: Path) -> None:
    bind(box, volume, "bind", "idmap", "ro", maps=OWN)
    outcome = box.run("stat -c %u /mnt/file; touch /mnt/new")
    assert outcome.status == 1 and outcome.lines == ["7005"]
    assert "Read-only file system" in outcome.err


def test_idmap_with_the_maps_of_a_joined_user_namespace(box: Box, volume: Path) -> None:
    mapped(box)
    with sleeper("--user") as pid:
        for kind in ("uid", "gid"):
            Path(f"/proc/{pid}/{kind}_map").write_text("0 100000 65536")
        box.namespaces("pid", "mount", "uts", "ipc", user=f"/proc/{pid}/ns/user")
        del box.linux["uidMappings"], box.linux["gidMappings"]
        box.spec["mounts"] = [mount for mount in box.spec["mounts"] if mount["type"] != "sysfs"]
        bind(box, volume, "bind", "idmap")
        assert owners(box, "file") == ["5:5"]


@pytest.mark.parametrize("option", ["idmap", "ridmap"])
def test_without_maps_it_is_an_error(box: Box, volume: Path, option: str) -> None:
    bind(box, volume, "bind", option)
    outcome = box.create("true")
    assert outcome.status == 1 and "has no id mappings" in outcome.err
    assert box.records()[-1]["origin"].endswith("/options")


def test_one_map_without_the_other_is_an_error(box: Box, volume: Path) -> None:
    bind(box, volume, "bind", "idmap")
    box.spec["mounts"][-1]["uidMappings"] = MAPS
    outcome = box.create("true")
    assert outcome.status == 1 and "uidMappings without gidMappings" in outcome.err


def test_a_file_system_that_cannot_is_an_error(box: Box) -> None:
    bind(box, Path("/proc/sys"), "bind", "idmap", maps=OWN)
    outcome = box.create("true")
    assert outcome.status == 1 and "cannot id-map the mount of /proc/sys" in outcome.err
