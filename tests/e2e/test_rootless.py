"""Without privilege: an ordinary user, one mapping, no cgroup."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.box import Box, Outcome

USER = 1507  # has no entry in passwd or subuid


class Rootless(Box):
    """A box whose runtime is started by an ordinary user."""

    def call(self, *words: str, timeout: float = 60, **options: Any) -> Outcome:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.place),
            "XDG_RUNTIME_DIR": str(self.place / "run"),
            **options.pop("env", {}),
        }
        command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--", self.runtime, *words]
        if words[0] != "spec":
            command[6:6] = ["--log", str(self.log), "--log-format", "json"]
        with (self.place / "out").open("wb") as out, (self.place / "err").open("wb") as err:
            result = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=self.bundle, env=environment,
                timeout=timeout, check=False, **options,
            )  # fmt: skip
        shown = [(self.place / name).read_text(errors="replace") for name in ("out", "err")]
        return Outcome(result.returncode, *shown)


@pytest.fixture
def rootless(box: Box) -> Rootless:
    """The directories belong to the user; config.json is what `spec --rootless` says, with this user's id."""
    if not shutil.which("setpriv"):
        pytest.skip("needs setpriv (util-linux)")
    box.place.chmod(0o755)
    for parent in box.place.parents:
        if parent != Path("/tmp") and str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    (box.place / "own").mkdir()
    own = Rootless(box.place / "own", box.name)
    (own.place / "run").mkdir(mode=0o700)
    subprocess.run(["chown", "-R", f"{USER}:{USER}", own.place], check=True)
    written = own.call("spec", "--rootless")
    assert written.status == 0, written
    spec = json.loads((own.bundle / "config.json").read_text())
    spec["process"]["terminal"] = False
    for kind in ("uid", "gid"):
        assert spec["linux"][f"{kind}Mappings"] == [{"containerID": 0, "hostID": USER, "size": 1}]
    own.spec = spec
    return own


def test_run(rootless: Rootless) -> None:
    outcome = rootless.run("id -u; cat /proc/self/uid_map /proc/self/setgroups; echo x > /dev/null; exit 4")
    assert outcome.status == 4, outcome
    assert [line.split() for line in outcome.lines] == [["0"], ["0", str(USER), "1"], ["deny"]]


def test_the_whole_life(rootless: Rootless) -> None:
    rootless.up()
    state = rootless.state()
    assert state["status"] == "running"
    assert list((rootless.place / "run").glob(f"*/{rootless.name}/state.json"))
    outcome = rootless.exec(
        "sh", "-c", "id -u; cat /proc/1/comm; for ns in pid mnt user; do readlink /proc/self/ns/$ns; done"
    )
    assert outcome.status == 0, outcome
    assert outcome.lines[:2] == ["0", "sleep"]
    assert outcome.lines[2:] == [os.readlink(f"/proc/{state['pid']}/ns/{kind}") for kind in ("pid", "mnt", "user")]
    assert rootless.kill() == (0, "", "")
    rootless.wait_for("stopped")
    assert rootless.delete() == (0, "", "")


def test_a_volume_of_the_user(rootless: Rootless) -> None:
    volume = rootless.place / "volume"
    volume.mkdir()
    os.chown(volume, USER, USER)
    rootless.mount("/mnt", volume, "bind", "rbind", "nosuid", "nodev")
    assert rootless.run("touch /mnt/made; stat -c %u /mnt").out == "0\n"
    assert (volume / "made").stat().st_uid == USER


def test_other_ids_need_a_grant(rootless: Rootless) -> None:
    for kind in ("uid", "gid"):
        rootless.spec["linux"][f"{kind}Mappings"] = [{"containerID": 0, "hostID": 300000, "size": 1000}]
    outcome = rootless.run("true")
    assert outcome.status == 1 and len(outcome.err.splitlines()) == 1
    assert "newuidmap" in outcome.err


def test_a_failed_exec_leaves_nobody(rootless: Rootless) -> None:
    rootless.up()
    assert rootless.exec("nope").status == 255
    assert rootless.exec("ps", "-o", "comm").lines == ["COMMAND", "sleep", "ps"]


def test_groups_that_cannot_be_set_are_an_error(rootless: Rootless) -> None:
    rootless.process["user"]["additionalGids"] = [5]
    outcome = rootless.run("true")
    assert outcome.status == 1 and rootless.records()[0]["origin"].startswith("/process/user")


def test_a_network_from_which_the_caller_could_not_return(box: Box) -> None:
    """podman without root: root of a user namespace joins a network of that one, and was born in the host's."""
    script = "echo ready; exec sleep inf"
    line = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", script]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None and holder.stdout.readline() == "ready\n"
            place = f"/proc/{holder.pid}/ns"
            box.before = ["nsenter", f"--user={place}/user", "--"]
            box.namespaces("pid", "mount", "ipc", "uts", network=f"{place}/net")
            box.spec["mounts"] = [mount for mount in box.spec["mounts"] if mount["type"] == "proc"]
            outcome = box.run("readlink /proc/self/ns/net")
            assert outcome.lines == [os.readlink(f"{place}/net")], outcome
        finally:
            holder.kill()
