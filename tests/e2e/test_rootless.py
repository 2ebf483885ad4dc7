"""Without privilege: an ordinary user, one mapping, no cgroup."""

from __future__ import annotations

import json
import os
import pwd
import select
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.box import Box, Outcome

ROOT = os.geteuid() == 0
USER = 1507 if ROOT else os.geteuid()  # 1507 has no entry in passwd or subuid

pytestmark = [pytest.mark.guest, pytest.mark.unprivileged]
as_root = pytest.mark.skipif(not ROOT, reason="needs root, to be somebody without a session and subordinate ids")


class Rootless(Box):
    """A box whose runtime is started by an ordinary user: the one who runs the tests, if he is not root."""

    session: dict[str, str] = {}  # noqa: RUF012 -- where a test wants the user's systemd

    def call(self, *words: str, timeout: float = 120, **options: Any) -> Outcome:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.place),
            "XDG_RUNTIME_DIR": str(self.place / "run"),
            **self.session,
            **options.pop("env", {}),
        }
        logged = [] if words[0] == "spec" else ["--log", str(self.log), "--log-format", "json"]
        become = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--"] if ROOT else []
        command = [*become, *self.before, self.runtime, *logged, *words]
        with (self.place / "out").open("wb") as out, (self.place / "err").open("wb") as err:
            result = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=self.bundle, env=environment,
                timeout=timeout, check=False, **options,
            )  # fmt: skip
        shown = [(self.place / name).read_text(errors="replace") for name in ("out", "err")]
        return Outcome(result.returncode, *shown)


@pytest.fixture
def rootless(box: Box) -> Iterator[Rootless]:
    """The directories belong to the user; config.json is what `spec --rootless` says, with this user's id."""
    if not shutil.which("setpriv"):
        pytest.skip("needs setpriv (util-linux)")
    box.place.chmod(0o755)
    for parent in box.place.parents if ROOT else ():
        if parent != Path("/tmp") and str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    (box.place / "own").mkdir()
    own = Rootless(box.place / "own", box.name)
    (own.place / "run").mkdir(mode=0o700)
    if ROOT:
        subprocess.run(["chown", "-R", f"{USER}:{USER}", own.place], check=True)
    written = own.call("spec", "--rootless")
    assert written.status == 0, written
    spec = json.loads((own.bundle / "config.json").read_text())
    spec["process"]["terminal"] = False
    for kind in ("uid", "gid"):
        assert spec["linux"][f"{kind}Mappings"] == [{"containerID": 0, "hostID": USER, "size": 1}]
    own.spec = spec
    yield own
    assert own.call("delete", "--force", own.name).status == 0


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
    if ROOT:
        os.chown(volume, USER, USER)
    rootless.mount("/mnt", volume, "bind", "rbind", "nosuid", "nodev")
    assert rootless.run("touch /mnt/made; stat -c %u /mnt").out == "0\n"
    assert (volume / "made").stat().st_uid == USER


@as_root
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


def test_mounts_of_proc_and_sys(rootless: Rootless) -> None:
    """sysfs belongs to the network namespace: a new sysfs with one of its own, else the host's."""
    kind = "stat -f -c %T /proc /sys; ls /sys/class/net"
    assert rootless.run(kind).lines[:2] == ["proc", "sysfs"]
    at = next(at for at, mount in enumerate(rootless.spec["mounts"]) if mount["destination"] == "/sys")
    rootless.spec["mounts"][at] = {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]}
    refused = rootless.run(kind)
    assert refused.status == 1 and f"/mounts/{at}" in refused.err
    assert "network namespace of its own" in refused.err
    rootless.linux["namespaces"].append({"type": "network"})
    assert rootless.run(kind).lines == ["proc", "sysfs", "lo"]


def test_devices_are_the_hosts(rootless: Rootless) -> None:
    """Nobody but the host's root can make a device that opens; the host's is bound in its place."""
    rootless.linux["devices"] = [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o666}]
    if not Path("/dev/fuse").exists():
        rootless.linux["devices"] = []
    outcome = rootless.run(
        "cat /dev/zero | head -c 1 | wc -c; echo x > /dev/null; grep -c ' /dev/null ' /proc/self/mountinfo"
    )
    assert outcome.lines == ["1", "1"], outcome


def test_a_device_that_the_host_lacks(rootless: Rootless) -> None:
    rootless.linux["devices"] = [{"path": "/dev/none", "type": "c", "major": 10, "minor": 250}]
    outcome = rootless.run("true")
    assert outcome.status == 1 and "/linux/devices/0" in outcome.err


def test_a_terminal(rootless: Rootless) -> None:
    rootless.process["terminal"] = True
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(rootless.place / "run/tty"))
        (rootless.place / "run/tty").chmod(0o777)
        listener.listen()
        listener.settimeout(60)
        options = ("--console-socket", str(rootless.place / "run/tty"))
        assert rootless.create("tty; exec sleep 1000", options=options).status == 0
        connection, _ = listener.accept()
        with connection:
            _, [terminal], _, _ = socket.recv_fds(connection, 4096, 1)
        assert rootless.start().status == 0
        said = b""
        while b"/dev/pts/0" not in said:
            assert select.select([terminal], [], [], 60)[0], said
            said += os.read(terminal, 4096)
        os.close(terminal)


@as_root
def test_a_limit_without_delegation_says_how_to_get_it(rootless: Rootless) -> None:
    rootless.linux["resources"] = {"pids": {"limit": 20}}
    outcome = rootless.run("true")
    assert outcome.status == 1 and len(outcome.err.splitlines()) == 1
    assert "not delegated to this user" in outcome.err and "Delegate=yes" in outcome.err


@as_root
def test_rootless_false_wants_its_cgroup(rootless: Rootless) -> None:
    """runc's word: without it a user who has no cgroup runs without; with it that is an error."""
    assert rootless.run("true").status == 0
    refused = rootless.call("--rootless=false", "run", rootless.name)
    assert refused.status == 1 and "not delegated to this user" in refused.err


# --- what an ordinary user with subordinate ids and a session has ------------------------------------------


def granted(kind: str) -> tuple[int, int]:
    """First and number of the ids granted to this user; skips where there are none."""
    name = pwd.getpwuid(os.geteuid()).pw_name
    for line in Path(f"/etc/sub{kind}").read_text().splitlines():
        user, first, size = line.split(":")
        if user == name and not ROOT:
            return int(first), int(size)
    pytest.skip("needs an ordinary user with subordinate ids: run tests/vm/test.sh")


def map_more(rootless: Rootless) -> None:
    for kind in ("uid", "gid"):
        first, size = granted(kind)
        rootless.linux[f"{kind}Mappings"] = [
            {"containerID": 0, "hostID": USER, "size": 1},
            {"containerID": 1, "hostID": first, "size": min(size, 65536)},
        ]


def test_ids_from_newuidmap_and_newgidmap(rootless: Rootless) -> None:
    map_more(rootless)
    rootless.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [5, 10]}
    outcome = rootless.run(
        "id -u; id -G; cat /proc/self/setgroups; touch /tmp/mine 2> /dev/null; wc -l < /proc/self/uid_map"
    )
    assert outcome.lines == ["1000", "1000 5 10", "allow", "2"], outcome


def test_exec_with_more_ids(rootless: Rootless) -> None:
    map_more(rootless)
    rootless.up()
    assert rootless.exec("id", "-u", options=("--user", "33:33")).lines == ["33"]


def test_more_ids_than_granted(rootless: Rootless) -> None:
    map_more(rootless)
    rootless.linux["uidMappings"][1]["hostID"] -= 1
    outcome = rootless.run("true")
    assert outcome.status == 1 and "newuidmap" in outcome.err and "/etc/subuid" in outcome.err


@pytest.fixture
def session(rootless: Rootless) -> Rootless:
    if ROOT or not Path(f"/run/user/{USER}/systemd").is_dir():
        pytest.skip("needs an ordinary user with a systemd session: run tests/vm/test.sh")
    rootless.session = {"XDG_RUNTIME_DIR": f"/run/user/{USER}"}
    return rootless


def own_cgroup() -> Path:
    return Path("/sys/fs/cgroup" + Path("/proc/self/cgroup").read_text().strip().rpartition(":")[2])


def test_a_delegated_cgroup(session: Rootless) -> None:
    session.linux["resources"] = {"pids": {"limit": 20}, "memory": {"limit": 64 << 20}, "cpu": {"shares": 512}}
    session.up()
    inside = own_cgroup().parent / session.name
    assert Path(f"/proc/{session.pid()}/cgroup").read_text().endswith(f"/{session.name}\n")
    assert (inside / "pids.max").read_text() == "20\n"
    assert (inside / "memory.max").read_text() == f"{64 << 20}\n"
    assert (inside / "cpu.weight").read_text() == "59\n"
    assert session.call("pause", session.name) == (0, "", "")
    assert session.call("resume", session.name) == (0, "", "")
    assert session.delete("--force").status == 0
    assert not inside.exists()


def test_a_delegation_that_is_missing_is_named(session: Rootless) -> None:
    """Below the tests' own cgroup, which has a process and so no controllers to give."""
    session.linux["cgroupsPath"] = f"{own_cgroup()}/{session.name}".removeprefix("/sys/fs/cgroup")
    session.linux["resources"] = {"memory": {"limit": 64 << 20}}
    outcome = session.create()
    assert outcome.status == 1
    assert 'controller "memory" is not available' in outcome.err and "has processes of its own" in outcome.err


def test_somebody_elses_cgroup(session: Rootless) -> None:
    session.linux["cgroupsPath"] = f"/{session.name}"
    outcome = session.create()
    assert outcome.status == 1 and "not delegated to this user" in outcome.err


def test_the_users_own_systemd(session: Rootless) -> None:
    """A transient scope of the user's manager."""
    session.linux["resources"] = {"pids": {"limit": 20}}
    session.write()
    assert session.call("--systemd-cgroup", "create", session.name) == (0, "", "")
    unit = f"ociruntime-{session.name}.scope"
    ask = ["systemctl", "--user", "show", "--value", "--property"]
    assert subprocess.check_output([*ask, "TasksMax", unit], text=True) == "20\n"
    assert subprocess.check_output([*ask, "Delegate", unit], text=True) == "yes\n"
    assert session.call("update", "--pids-limit", "30", session.name) == (0, "", "")
    assert subprocess.check_output([*ask, "TasksMax", unit], text=True) == "30\n"
    assert session.delete("--force").status == 0
    assert subprocess.check_output([*ask, "LoadState", unit], text=True) == "not-found\n"


@as_root
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
