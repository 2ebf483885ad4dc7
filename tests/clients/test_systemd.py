"""Engines where systemd is PID 1: its cgroup driver, and containers that run a systemd of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients import host
from tests.clients.conftest import Same
from tests.clients.podman import Podman, rootless

pytestmark = [
    pytest.mark.guest,
    pytest.mark.skipif(not host.has_systemd(), reason="systemd is not PID 1 here: runs in the guest"),
]

IMAGE = "clients:1"
BOX = "clients-box"


def cgroup(pid: int) -> str:
    return Path(f"/proc/{pid}/cgroup").read_text().strip().rpartition("::")[2]


def properties(unit: str, *names: str) -> dict[str, str]:
    """What systemd itself says of a unit."""
    user = ["--user"] if rootless() else []
    argv = ["systemctl", *user, "show", unit, *(f"--property={name}" for name in names)]
    lines = subprocess.check_output(argv, text=True).splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_podman_makes_a_scope_with_limits(podman: Podman, same: Same) -> None:
    """crun 1.8.1 writes most limits to the cgroup only; ociruntime tells systemd of every one."""
    limits = ["--memory", "64m", "--cpus", "0.5", "--pids-limit", "99"]
    podman.ok("run", "-d", "--name", BOX, "--network", "none", *limits, IMAGE, "sleep", "1000")
    unit = f"libpod-{podman.inspect(BOX)['Id']}.scope"
    assert f"/{unit}" in cgroup(podman.pid(BOX))
    if podman.runtime:
        known = properties(unit, "MemoryMax", "TasksMax", "CPUQuotaPerSecUSec")
        assert known == {"MemoryMax": str(64 << 20), "TasksMax": "99", "CPUQuotaPerSecUSec": "500ms"}
    subprocess.run(["systemctl", *(["--user"] if rootless() else []), "daemon-reload"], check=True)
    inside = [podman.ok("exec", BOX, "limit", name) for name in ("memory", "cpu", "pids")]
    assert inside == [str(64 << 20), "50000 100000", "99"]
    same((properties(unit, "Delegate", "ActiveState"), inside))


def test_podman_with_the_cgroupfs_manager(podman: Podman, same: Same) -> None:
    if rootless():
        pytest.skip("cgroupfs as an ordinary user needs a cgroup that was delegated to the caller")
    other = Podman(podman.home, podman.runtime, cgroups="cgroupfs")
    try:
        other.ok("run", "-d", "--name", BOX, "--network", "none", "--memory", "64m", IMAGE, "sleep", "1000")
        assert "/libpod_parent/libpod-" in cgroup(other.pid(BOX))
        limit = other.ok("exec", BOX, "limit", "memory")
    finally:
        other.remove_all()
    assert limit == str(64 << 20)
    same(limit)


@pytest.fixture
def told_to_systemd(podman: Podman) -> Iterator[None]:
    """The podman that a unit of systemd starts has systemd's environment, not ours: it would look elsewhere."""
    systemctl = ["systemctl", *(["--user"] if rootless() else [])]
    subprocess.run(
        [*systemctl, "set-environment", *(f"{name}={value}" for name, value in podman.environment.items())], check=True
    )
    yield
    subprocess.run([*systemctl, "unset-environment", *podman.environment], check=True)


@pytest.mark.usefixtures("told_to_systemd")
def test_podman_checks_health_by_a_timer(podman: Podman, same: Same) -> None:
    """A transient timer of systemd runs `podman healthcheck run`, which is an exec."""
    check = ["--health-cmd", "test -e /healthy", "--health-interval", "1s", "--health-retries", "1"]
    script = "touch /healthy; exec sleep 1000"
    podman.ok("run", "-d", "--name", BOX, "--network", "none", *check, IMAGE, "sh", "-c", script)
    host.until(lambda: health(podman) == "healthy", "a healthy container")
    podman.ok("exec", BOX, "rm", "/healthy")
    host.until(lambda: health(podman) == "unhealthy", "a sick container")
    same(health(podman))


def health(podman: Podman) -> str:
    text: str = podman.inspect(BOX)["State"]["Health"]["Status"]
    return text


@pytest.fixture
def debian(home: object, tmp_path: Path) -> Iterator[Path]:
    """A root file system for systemd: the guest's own /usr will be bound into it."""
    for name in ("etc", "usr", "proc", "sys", "dev", "run", "tmp", "var", "root"):
        (tmp_path / name).mkdir()
    for name in ("bin", "sbin", "lib", "lib64"):
        (tmp_path / name).symlink_to(f"usr/{name}")
    texts = {"os-release": "ID=debian\n", "passwd": "root:x:0:0::/root:/bin/sh\n", "group": "root:x:0:\n"}
    for name, text in {**texts, "machine-id": ""}.items():
        (tmp_path / "etc" / name).write_text(text)
    yield tmp_path


def test_podman_runs_systemd(podman: Podman, same: Same, debian: Path) -> None:
    """It boots, rules over its own cgroup, and halts when podman stops it."""
    options = ["--network", "none", "--systemd", "always", "-v", "/usr:/usr:ro", "--rootfs", str(debian)]
    podman.ok("run", "-d", "--name", BOX, *options, "/usr/lib/systemd/systemd", "systemd.unit=basic.target")
    asked = ["exec", BOX, "systemctl", "is-active", "basic.target"]
    host.until(lambda: podman(*asked).text == "active", "systemd in the container")
    own = podman.ok("exec", BOX, "cat", "/proc/1/cgroup")
    podman.ok("stop", "-t", "300", BOX)
    status = podman.inspect(BOX)["State"]["ExitCode"]
    assert (own, status) == ("0::/init.scope", 0)
    same((own, status))


def test_a_user_session_has_what_podman_needs() -> None:
    """Otherwise the tests as an ordinary user would quietly prove less."""
    if not rootless():
        pytest.skip("is for an ordinary user")
    controllers = Path(f"/sys/fs/cgroup/user.slice/user-{os.getuid()}.slice/user@{os.getuid()}.service")
    assert {"cpu", "memory", "pids"} <= set((controllers / "cgroup.controllers").read_text().split())
