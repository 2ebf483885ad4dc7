"""The systemd driver against a real systemd: units, properties, daemon-reload, and nothing left."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ociruntime.core.cgroup.host import probe_cgroups
from ociruntime.core.kernel import Kernel
from ociruntime.core.plan.draft import Host
from tests.e2e.box import Box, Outcome

HOST = Host()
probe_cgroups(Kernel(), HOST)
V2 = HOST.cgroup == "v2"
# Debian's kernel 6.12 has no memory controller for v1 any more
MEMORY = V2 or "memory" in HOST.cgroup_mounts

pytestmark = [
    pytest.mark.guest,
    pytest.mark.skipif(
        not Path("/run/systemd/system").is_dir(), reason="systemd does not run this machine (sd_booted(3))"
    ),
]


class Scoped(Box):
    """A box whose runtime is always told to use systemd."""

    def call(self, *words: str, timeout: float = 120, **options: Any) -> Outcome:
        return super().call("--systemd-cgroup", *words, timeout=timeout, **options)

    @property
    def unit(self) -> str:
        return f"e2e-{self.name}.scope"

    def shown(self, name: str) -> str:
        """A property of the unit."""
        command = ["systemctl", "show", "--value", "--property", name, self.unit]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def directory(self, controller: str) -> Path:
        return Path(f"{HOST.cgroup_mounts['' if V2 else controller]}/e2e.slice/e2e-tests.slice/{self.unit}")

    def value(self, v1: str, v2: str) -> str:
        name = v2 if V2 else v1
        return (self.directory(name.partition(".")[0]) / name).read_text().strip()


@pytest.fixture
def scoped(box: Box, tmp_path: Path) -> Iterator[Scoped]:
    """The box of this test, and afterwards the proof that its unit is gone."""
    scoped = Scoped(tmp_path / "scoped", box.name)
    scoped.linux["cgroupsPath"] = f"e2e-tests.slice:e2e:{box.name}"
    yield scoped
    assert scoped.call("delete", "--force", scoped.name).status == 0
    assert scoped.shown("LoadState") == "not-found"
    assert not scoped.directory("pids").exists()


def test_the_scope_is_mounted_in_the_runtimes_cgroup_namespace(scoped: Scoped) -> None:
    """As for a privileged pod of Kubernetes: what is bound is there only once systemd has made it for the child."""
    entry = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro", "nosuid"]}
    scoped.spec["mounts"].append(entry)
    outcome = scoped.run("cat /sys/fs/cgroup/" + ("cgroup.procs" if V2 else "pids/cgroup.procs"))
    assert outcome.status == 0 and outcome.lines[0] == "1", outcome


def test_the_container_lives_in_its_scope(scoped: Scoped) -> None:
    scoped.up()
    assert scoped.shown("ActiveState") == "active"
    assert scoped.shown("Slice") == "e2e-tests.slice"
    assert scoped.shown("Delegate") == "yes"
    assert scoped.shown("Description") == f"container {scoped.name}"
    lines = Path(f"/proc/{scoped.pid()}/cgroup").read_text().splitlines()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers.split(",")[0] in HOST.cgroup_mounts:
            assert path == f"/e2e.slice/e2e-tests.slice/{scoped.unit}", line


def test_without_a_path_it_is_in_the_system_slice(box: Box, tmp_path: Path) -> None:
    scoped = Scoped(tmp_path / "scoped", box.name)
    del scoped.linux["cgroupsPath"]
    scoped.up()
    text = Path(f"/proc/{scoped.pid()}/cgroup").read_text()
    assert f"/system.slice/ociruntime-{box.name}.scope" in text
    assert scoped.delete("--force").status == 0


def test_limits_are_properties_and_survive_a_reload(scoped: Scoped) -> None:
    scoped.linux["resources"].update(
        memory={"limit": 64 << 20} if MEMORY else {},
        pids={"limit": 44},
        cpu={"shares": 512, "quota": 50000, "period": 100000},
    )
    scoped.up()
    assert scoped.shown("TasksMax") == "44"
    assert scoped.shown("CPUWeight" if V2 else "CPUShares") == ("59" if V2 else "512")
    assert scoped.shown("CPUQuotaPerSecUSec") == "500ms"
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    assert scoped.value("pids.max", "pids.max") == "44"
    if MEMORY:
        assert scoped.shown("MemoryMax" if V2 else "MemoryLimit") == str(64 << 20)
        assert scoped.value("memory.limit_in_bytes", "memory.max") == str(64 << 20)
    assert scoped.value("cpu.shares", "cpu.weight") == ("59" if V2 else "512")
    assert scoped.value("cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"


EVERY: dict[str, Any] = {
    "cpu": {"shares": 512, "quota": 50000, "period": 200000, "burst": 20000, "cpus": "0", "mems": "0"},
    "memory": {"limit": 64 << 20, "reservation": 32 << 20, "swap": 80 << 20},
    "pids": {"limit": 44},
    "blockIO": {"throttleReadBpsDevice": [{"major": 254, "minor": 0, "rate": 1 << 20}]},
    "hugepageLimits": [{"pageSize": "2MB", "limit": 4 << 20}],
    "unified": {"memory.high": str(48 << 20), "memory.min": "4096", "cgroup.max.depth": "5"},
}
PROPERTIES = {
    "CPUWeight": "59", "CPUQuotaPerSecUSec": "250ms", "CPUQuotaPeriodUSec": "200ms", "AllowedCPUs": "0",
    "AllowedMemoryNodes": "0", "MemoryMax": str(64 << 20), "MemoryLow": str(32 << 20), "MemorySwapMax": str(16 << 20),
    "MemoryHigh": str(48 << 20), "MemoryMin": "4096", "TasksMax": "44",
}  # fmt: skip
FILES = {
    "cpu.weight": "59", "cpu.max": "50000 200000", "cpu.max.burst": "20000", "cpuset.cpus": "0", "cpuset.mems": "0",
    "memory.max": str(64 << 20), "memory.low": str(32 << 20), "memory.swap.max": str(16 << 20),
    "memory.high": str(48 << 20), "memory.min": "4096", "memory.oom.group": "0", "pids.max": "44",
    "io.max": "254:0 rbps=1048576 wbps=max riops=max wiops=max", "hugetlb.2MB.max": str(4 << 20),
    "cgroup.max.depth": "5",
}  # fmt: skip


@pytest.mark.skipif(not V2, reason="names files of cgroup v2")
def test_every_resource_is_a_property_or_a_file(scoped: Scoped) -> None:
    """What systemd has no word for is in the file alone, and a reload takes none of it back."""
    if not Path("/sys/dev/block/254:0").exists():
        pytest.skip("needs the guest's disk, 254:0")
    scoped.linux["resources"].update(EVERY)
    scoped.up()
    for _ in range(2):
        assert {name: scoped.shown(name) for name in PROPERTIES} == PROPERTIES
        assert {name: (scoped.directory("") / name).read_text().strip() for name in FILES} == FILES
        subprocess.run(["systemctl", "daemon-reload"], check=True)


@pytest.mark.skipif(not V2, reason="cgroup v2 alone has cpu.idle and systemd's word for it")
def test_an_idle_container(scoped: Scoped) -> None:
    scoped.linux["resources"]["cpu"] = {"idle": 1}
    scoped.up()
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    assert (scoped.directory("") / "cpu.idle").read_text() == "1\n"


def test_devices_survive_a_reload(scoped: Scoped) -> None:
    """What a GPU user sees otherwise: systemd takes away what it was not told of."""
    for kind in ("bounding", "effective", "permitted"):
        scoped.process["capabilities"][kind].append("CAP_MKNOD")
    rule = {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rwm"}
    scoped.linux["resources"]["devices"].append(rule)
    scoped.up("mknod /tmp/fuse c 10 229; mknod /tmp/hpet c 10 228; sleep 1000")
    for _ in range(2):
        assert scoped.exec("sh", "-c", "true < /tmp/fuse && echo opened").lines == ["opened"]
        assert "not permitted" in scoped.exec("sh", "-c", "true < /tmp/hpet").err
        assert scoped.exec("sh", "-c", "echo x > /dev/null").status == 0
        subprocess.run(["systemctl", "daemon-reload"], check=True)


def test_an_update_of_device_rules_survives_a_reload(scoped: Scoped) -> None:
    for kind in ("bounding", "effective", "permitted"):
        scoped.process["capabilities"][kind].append("CAP_MKNOD")
    scoped.up("mknod /tmp/fuse c 10 229; sleep 1000")
    rules = [*scoped.linux["resources"]["devices"], {"allow": True, "type": "c", "major": 10, "access": "rw"}]
    given = scoped.place / "resources.json"
    given.write_text(json.dumps({"devices": rules}))
    assert "not permitted" in scoped.exec("sh", "-c", "true < /tmp/fuse").err
    assert scoped.call("update", "--resources", str(given), scoped.name) == (0, "", "")
    for _ in range(2):
        assert scoped.exec("sh", "-c", "true < /tmp/fuse && echo opened").lines == ["opened"]
        subprocess.run(["systemctl", "daemon-reload"], check=True)


def test_update_reaches_systemd_and_the_files(scoped: Scoped) -> None:
    scoped.linux["resources"]["pids"] = {"limit": 44}
    scoped.up()
    assert scoped.call("update", "--pids-limit", "55", "--cpu-share", "2048", scoped.name) == (0, "", "")
    assert scoped.shown("TasksMax") == "55"
    assert scoped.value("pids.max", "pids.max") == "55"
    assert scoped.shown("CPUWeight" if V2 else "CPUShares") == ("174" if V2 else "2048")
    assert scoped.value("cpu.shares", "cpu.weight") == ("174" if V2 else "2048")


def test_pause_exec_and_kill(scoped: Scoped) -> None:
    scoped.up()
    assert scoped.call("pause", scoped.name).status == 0
    assert scoped.state()["status"] == "paused"
    assert scoped.call("resume", scoped.name).status == 0
    assert scoped.exec("cat", "/proc/self/cgroup").status == 0
    assert scoped.kill("KILL").status == 0
    scoped.wait_for("stopped")
    assert scoped.delete().status == 0


def test_run_leaves_no_unit(scoped: Scoped) -> None:
    assert scoped.run("exit 3").status == 3
    assert scoped.shown("LoadState") == "not-found"
    assert scoped.run("exit 4").status == 4


def test_a_create_that_fails_leaves_no_unit(scoped: Scoped) -> None:
    scoped.linux["resources"]["cpu"] = {"shares": 512}
    scoped.mount("/mnt", "/does/not/exist", "bind", "rbind")
    assert scoped.create().status == 1
    assert scoped.shown("LoadState") == "not-found"


@pytest.mark.skipif(not MEMORY, reason="this kernel has no memory controller for v1")
def test_a_small_memory_limit(scoped: Scoped) -> None:
    scoped.linux["resources"]["memory"] = {"limit": 1 << 20}
    assert scoped.run("busybox", "true") == (0, "", "")


@pytest.mark.skipif(not V2, reason="cgroup v1 refuses a limit that is below what is used")
def test_a_memory_limit_that_init_does_not_survive(scoped: Scoped) -> None:
    scoped.linux["resources"]["memory"] = {"limit": 4096}
    outcome = scoped.create()
    assert outcome.status == 1 and "the memory limit of 4096 bytes may be too small" in outcome.err
    assert scoped.records()[-1]["code"] == "init-killed"
    assert scoped.shown("LoadState") == "not-found"


def test_a_path_of_the_other_driver(scoped: Scoped) -> None:
    scoped.linux["cgroupsPath"] = "/a/b"
    outcome = scoped.create()
    assert outcome.status == 1
    assert "/linux/cgroupsPath" in outcome.err and "slice:prefix:name" in outcome.err


def test_annotations_are_properties(scoped: Scoped) -> None:
    scoped.spec["annotations"] = {"org.systemd.property.TimeoutStopUSec": "uint64 5000000"}
    scoped.up()
    assert scoped.shown("TimeoutStopUSec") == "5s"


# --- an ordinary user, and his own systemd ----------------------------------------------------------------


class Users(Box):
    """A box of a user with a systemd of his own, called from outside of that one's part of the tree."""

    def __init__(self, place: Path, name: str, user: pwd.struct_passwd) -> None:
        super().__init__(place, name)
        self.user = user
        self.above = f"/user.slice/user-{user.pw_uid}.slice/user@{user.pw_uid}.service"

    def call(self, *words: str, timeout: float = 120, **options: Any) -> Outcome:
        command = [
            "setpriv", f"--reuid={self.user.pw_uid}", f"--regid={self.user.pw_gid}", "--clear-groups", "--",
            self.runtime, "--systemd-cgroup", *words,
        ]  # fmt: skip
        environment = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": f"/run/user/{self.user.pw_uid}"}
        with (self.place / "out").open("wb") as out, (self.place / "err").open("wb") as err:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=self.bundle, env=environment,
                timeout=timeout, check=False,
            )  # fmt: skip
        shown = [(self.place / name).read_text(errors="replace") for name in ("out", "err")]
        return Outcome(done.returncode, *shown)


@pytest.fixture
def users(box: Box, tmp_path: Path) -> Iterator[Users]:
    ordinary = [entry for entry in pwd.getpwall() if 1000 <= entry.pw_uid < 60000 and entry.pw_shell.endswith("sh")]
    if not ordinary or not shutil.which("setpriv"):
        pytest.skip("needs an ordinary user, and setpriv (util-linux)")
    user = ordinary[0]
    subprocess.run(["systemctl", "start", f"user@{user.pw_uid}.service"], check=True)
    for parent in tmp_path.parents:
        if str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    tmp_path.chmod(0o755)
    users = Users(tmp_path / "users", box.name, user)
    subprocess.run(["chown", "-R", f"{user.pw_uid}:{user.pw_gid}", users.place], check=True)
    assert users.call("spec", "--rootless").status == 0
    users.spec = json.loads((users.bundle / "config.json").read_text())
    users.process["terminal"] = False
    yield users
    assert users.call("delete", "--force", users.name).status == 0


@pytest.mark.skipif(not V2, reason="an ordinary user has controllers on cgroup v2 only")
def test_a_user_has_scopes_of_his_own(users: Users) -> None:
    users.linux["resources"] = {"pids": {"limit": 44}}
    users.up()
    scope = f"{users.above}/user.slice/ociruntime-{users.name}.scope"
    assert Path(f"/proc/{users.pid()}/cgroup").read_text() == f"0::{scope}\n"
    directory = Path(f"{HOST.cgroup_mounts['']}{scope}")
    assert (directory / "pids.max").read_text() == "44\n"
    # Neither clone3 nor cgroup.procs lets him in from where the caller is, but his systemd does.
    assert users.exec("sh", "-c", "cat /proc/self/cgroup").lines == ["0::/"]
    assert users.call("update", "--pids-limit", "55", "--cpu-share", "512", users.name) == (0, "", "")
    manager = {**os.environ, "XDG_RUNTIME_DIR": f"/run/user/{users.user.pw_uid}"}
    ask = ["setpriv", f"--reuid={users.user.pw_uid}", "--clear-groups", "systemctl", "--user"]
    subprocess.run([*ask, "daemon-reload"], check=True, env=manager)
    assert (directory / "pids.max").read_text() == "55\n"
    assert (directory / "cpu.weight").read_text() == "59\n"
    assert users.call("pause", users.name).status == 0
    assert users.state()["status"] == "paused"
    assert users.call("resume", users.name).status == 0
    assert users.kill().status == 0
    users.wait_for("stopped")
    assert users.delete().status == 0
    assert not directory.exists()
