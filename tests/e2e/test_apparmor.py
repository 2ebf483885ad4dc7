"""process.apparmorProfile on a host that has AppArmor (config.md, Linux Process). tests/vm has such a host."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.box import Box

ENABLED = Path("/sys/module/apparmor/parameters/enabled")

pytestmark = [
    pytest.mark.guest,
    pytest.mark.skipif(
        not ENABLED.exists() or ENABLED.read_text() != "Y\n" or not shutil.which("apparmor_parser"),
        reason="needs AppArmor and apparmor_parser: run tests/vm/test.sh",
    ),
]

PROFILE = """
profile {name} flags=(attach_disconnected) {{
  file,
  capability,
  deny /etc/secret r,
}}
"""


@pytest.fixture
def profile(box: Box) -> Iterator[str]:
    """A loaded profile that denies one file."""
    text = PROFILE.format(name=box.name)
    subprocess.run(["apparmor_parser", "--replace"], input=text, text=True, check=True)
    (box.rootfs / "etc/secret").write_text("secret\n")
    yield box.name
    subprocess.run(["apparmor_parser", "--remove"], input=text, text=True, check=True)


SHOW = "cat /proc/self/attr/current; cat /etc/secret"


@pytest.mark.parametrize("no_new_privileges", [True, False])
@pytest.mark.parametrize("uid", [0, 1000])
def test_the_profile_confines_the_program(box: Box, profile: str, uid: int, no_new_privileges: bool) -> None:
    box.process.update(apparmorProfile=profile, user={"uid": uid, "gid": uid}, noNewPrivileges=no_new_privileges)
    outcome = box.run(SHOW)
    assert outcome.lines == [f"{profile} (enforce)"], outcome
    assert "Permission denied" in outcome.err


def test_and_the_program_of_exec(box: Box, profile: str) -> None:
    box.process["apparmorProfile"] = profile
    box.up("sleep", "1000")
    inherited = box.exec("sh", "-c", SHOW)
    assert inherited.lines == [f"{profile} (enforce)"], inherited
    other = box.exec("sh", "-c", SHOW, options=("--apparmor", "unconfined"))
    assert other.lines == ["unconfined", "secret"], other


@pytest.mark.parametrize("namespace", ["", "user"])
def test_with_a_mount_over_proc_it_is_still_the_kernel_that_hears(box: Box, profile: str, namespace: str) -> None:
    """CVE-2019-16884, CVE-2025-52881: nothing in the container can play the part of the label's file."""
    box.process["apparmorProfile"] = profile
    if namespace:
        box.linux["namespaces"].append({"type": "user"})
        for kind in ("uid", "gid"):
            box.linux[f"{kind}Mappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        for path in (box.place, *box.place.parents[:-1]):
            path.chmod(path.stat().st_mode | 0o055)
    box.spec["mounts"] = [mount for mount in box.spec["mounts"] if mount["destination"] != "/proc"]
    fake = box.rootfs / "proc/thread-self/attr/apparmor"
    fake.mkdir(parents=True)
    (fake / "exec").write_text("")
    outcome = box.run("cat /etc/secret")
    # A user namespace gets no procfs of its own where it sees none (mount_namespaces(7))
    assert ("no procfs at /proc" if namespace else "Permission denied") in outcome.err, outcome
    assert (fake / "exec").read_text() == ""


def test_no_descriptor_of_the_procfs_is_left(box: Box, profile: str) -> None:
    box.process["apparmorProfile"] = profile
    assert "attr" not in box.run("ls -l /proc/self/fd").out


def test_a_profile_that_is_not_loaded_is_an_error(box: Box) -> None:
    box.process["apparmorProfile"] = "no-such-profile"
    outcome = box.run("true")
    assert outcome.status == 1 and "no-such-profile" in outcome.err
    assert "/process/apparmorProfile" in outcome.err
