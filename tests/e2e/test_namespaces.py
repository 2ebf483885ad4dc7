"""/linux/namespaces and what belongs to them (config-linux.md): looked at from inside and outside."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.box import Box

FILES = {"pid": "pid", "network": "net", "mount": "mnt", "ipc": "ipc", "uts": "uts", "cgroup": "cgroup", "time": "time"}
MAPS = [{"containerID": 0, "hostID": 100000, "size": 65536}]


def links(box: Box) -> dict[str, str]:
    """The namespaces of the program, by their spec names."""
    script = "; ".join(f"readlink /proc/self/ns/{file}" for file in [*FILES.values(), "user"])
    outcome = box.run(script)
    assert outcome.status == 0, outcome
    return dict(zip([*FILES, "user"], outcome.lines, strict=True))


def own(kind: str) -> str:
    return os.readlink(f"/proc/self/ns/{FILES.get(kind, kind)}")


def mapped(box: Box) -> None:
    """A user namespace whose root is somebody else on the host."""
    box.linux["uidMappings"] = box.linux["gidMappings"] = MAPS
    subprocess.run(["chown", "-R", "100000:100000", box.rootfs], check=True)
    for directory in (box.place, *box.place.parents[:-1]):
        if not directory.stat().st_mode & 0o001:
            directory.chmod(directory.stat().st_mode | 0o011)


@contextmanager
def sleeper(*flags: str) -> Iterator[int]:
    """A process in namespaces of its own."""
    command = ["unshare", *flags, "sh", "-c", "echo ready; exec sleep 1000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        try:
            yield process.pid
        finally:
            process.kill()


@pytest.mark.parametrize("kind", [kind for kind in FILES if kind not in ("mount", "uts", "time")])
def test_not_listed_is_inherited(box: Box, kind: str) -> None:
    kinds = [name for name in ("pid", "network", "mount", "ipc", "uts", "cgroup") if name != kind]
    box.namespaces(*kinds)
    if kind == "network":
        box.spec["mounts"] = [mount for mount in box.spec["mounts"] if mount["type"] != "sysfs"]
    seen = links(box)
    assert seen[kind] == own(kind)
    assert all(seen[other] != own(other) for other in kinds)


def test_every_namespace_new(box: Box) -> None:
    mapped(box)
    box.namespaces(*FILES, "user")
    seen = links(box)
    assert [kind for kind in seen if seen[kind] == own(kind)] == []


@pytest.mark.parametrize(
    ("kind", "flag"),
    [("network", "--net"), ("ipc", "--ipc"), ("uts", "--uts"), ("cgroup", "--cgroup"), ("time", "--time")],
)
def test_joined_by_path(box: Box, kind: str, flag: str) -> None:
    with sleeper(flag, *(["--fork"] if kind == "time" else [])) as pid:
        file = "time_for_children" if kind == "time" else FILES[kind]
        path = f"/proc/{pid}/ns/{file}"
        others = [name for name in ("pid", "network", "mount", "ipc", "uts") if name != kind]
        box.namespaces(*others, **{kind: path})
        if kind == "uts":
            box.spec["hostname"] = "joined"
        assert links(box)[kind] == os.readlink(path)
        if kind == "uts":
            shown = subprocess.run(["nsenter", f"--uts={path}", "hostname"], capture_output=True, text=True, check=True)
            assert shown.stdout == "joined\n"


def test_joined_pid_namespace(box: Box) -> None:
    with sleeper("--pid", "--fork", "--kill-child") as pid:
        child = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
        box.namespaces("mount", "uts", pid=f"/proc/{child}/ns/pid")
        outcome = box.run("readlink /proc/self/ns/pid; cat /proc/1/comm")
        assert outcome.lines == [os.readlink(f"/proc/{child}/ns/pid"), "sleep"]


def test_joined_mount_namespace(box: Box) -> None:
    with sleeper("--mount") as pid:
        box.namespaces("pid", "uts", mount=f"/proc/{pid}/ns/mnt")
        box.spec["mounts"] = box.spec["mounts"][:1]
        assert box.run("readlink", "/proc/self/ns/mnt").out.strip() == os.readlink(f"/proc/{pid}/ns/mnt")


def test_joined_user_namespace(box: Box) -> None:
    mapped(box)
    with sleeper("--user") as pid:
        for kind in ("uid", "gid"):
            Path(f"/proc/{pid}/{kind}_map").write_text("0 100000 65536")
        box.namespaces("pid", "mount", "uts", "ipc", user=f"/proc/{pid}/ns/user")
        del box.linux["uidMappings"], box.linux["gidMappings"]
        box.spec["mounts"] = [mount for mount in box.spec["mounts"] if mount["type"] != "sysfs"]
        seen = links(box)
        assert seen["user"] == os.readlink(f"/proc/{pid}/ns/user")
        assert seen["pid"] != own("pid")
        assert box.run("cat", "/proc/self/uid_map").out.split() == ["0", "100000", "65536"]


def test_a_new_user_namespace_beside_a_joined_network(box: Box) -> None:
    """As in a pod: the network belongs to the host's user namespace, so it is joined before the clone."""
    mapped(box)
    before = own("network")
    with sleeper("--net") as pid:
        box.namespaces("pid", "mount", "uts", "user", network=f"/proc/{pid}/ns/net")
        box.spec["mounts"] = [mount for mount in box.spec["mounts"] if mount["type"] != "sysfs"]
        assert links(box)["network"] == os.readlink(f"/proc/{pid}/ns/net")
    assert own("network") == before


def test_user_namespace_maps_and_devices(box: Box) -> None:
    mapped(box)
    box.namespaces("pid", "mount", "uts", "ipc", "network", "user")
    outcome = box.run(
        "cat /proc/self/uid_map /proc/self/gid_map; id -u; echo x > /dev/null; head -c1 /dev/zero | wc -c"
    )
    assert [line.split() for line in outcome.lines[:2]] == [["0", "100000", "65536"]] * 2
    assert outcome.lines[2:] == ["0", "1"]


def test_maps_without_a_user_namespace_mean_nothing(box: Box) -> None:
    """As with runc and crun; `validate` warns."""
    mapped(box)
    box.namespaces("pid", "mount", "uts", "ipc", "network")
    assert box.run("cat", "/proc/self/uid_map").out.split() == ["0", "0", "4294967295"]


def test_a_device_that_the_host_has_not_got(box: Box) -> None:
    """In a user namespace nobody may make one, and there is none to bind."""
    mapped(box)
    box.namespaces("pid", "mount", "uts", "ipc", "network", "user")
    box.linux["devices"] = [
        {"path": "/dev/nil", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 7, "gid": 8}
    ]
    box.linux["resources"] = {}
    outcome = box.run("stat -c '%a %u:%g %t:%T' /dev/nil; echo x > /dev/nil; grep ' /dev/nil ' /proc/mounts")
    assert outcome.lines[0] == "640 7:8 1:3"
    assert "nosuid" in outcome.lines[1] and "noexec" in outcome.lines[1] and "nodev" not in outcome.lines[1]


def test_a_device_of_the_host_for_another_root(box: Box) -> None:
    """The one that is asked for belongs to the container's root, who could not open the host's own."""
    mapped(box)
    box.namespaces("pid", "mount", "uts", "ipc", "network", "user")
    info = os.stat("/dev/kmsg")
    major, minor = os.major(info.st_rdev), os.minor(info.st_rdev)
    box.linux["devices"] = [{"path": "/dev/kmsg", "type": "c", "major": major, "minor": minor, "fileMode": 0o600}]
    assert box.run("stat -c '%a %u:%g' /dev/kmsg").lines == ["600 0:0"]
    assert os.stat("/dev/kmsg") == info


def test_the_hosts_ptmx_among_the_devices_that_an_engine_binds(box: Box) -> None:
    """podman's way of --privileged in a user namespace; a link cannot take the place of a mount."""
    mapped(box)
    box.namespaces("pid", "mount", "uts", "ipc", "network", "user")
    box.mount("/dev/ptmx", "/dev/ptmx", "bind", "bind")
    assert box.run("stat -c %F /dev/ptmx").lines == ["character special file"]


def test_wrong_type_is_refused(box: Box) -> None:
    box.namespaces("pid", "mount", "uts", network="/proc/self/ns/ipc")
    outcome = box.run("true")
    assert outcome.status == 1 and "is not a network namespace" in outcome.err
    assert box.records()[0]["origin"] == "/linux/namespaces/3/path"


def test_duplicate_is_refused(box: Box) -> None:
    box.namespaces("pid", "mount", "uts", "pid")
    outcome = box.run("true")
    assert outcome.status == 1 and box.records()[0]["origin"].startswith("/linux/namespaces/3")


def test_unknown_type_is_refused(box: Box) -> None:
    box.namespaces("pid", "mount", "uts", "moon")
    outcome = box.run("true")
    assert outcome.status == 1 and "moon" in outcome.err and box.records()[0]["origin"] == "/linux/namespaces/3/type"


@pytest.mark.parametrize("user", [False, True])
def test_time_offsets(box: Box, user: bool) -> None:
    box.namespaces("pid", "mount", "uts", "network", "time", *(["user"] if user else []))
    if user:
        mapped(box)
    box.linux["timeOffsets"] = {"boottime": {"secs": 1_000_000}, "monotonic": {"secs": 5, "nanosecs": 7}}
    outcome = box.run("cat /proc/uptime; cat /proc/self/timens_offsets")
    assert float(outcome.lines[0].split()[0]) > 1_000_000
    assert [line.split() for line in outcome.lines[1:]] == [["monotonic", "5", "7"], ["boottime", "1000000", "0"]]
    assert float(Path("/proc/uptime").read_text().split()[0]) < 1_000_000


def test_hostname_and_domainname(box: Box) -> None:
    box.spec["domainname"] = "example.test"
    before = os.uname().nodename
    assert box.run("hostname; cat /proc/sys/kernel/domainname").lines == ["box", "example.test"]
    assert os.uname().nodename == before


def test_sysctl(box: Box) -> None:
    box.linux["sysctl"] = {
        "net.ipv4.ip_forward": "1",
        "kernel.shmmni": "99",
        "net.ipv4.conf.lo.forwarding": "1",
        "fs.mqueue.queues_max": "33",
    }
    outcome = box.run("cd /proc/sys; cat net/ipv4/ip_forward kernel/shmmni fs/mqueue/queues_max")
    assert outcome.lines == ["1", "99", "33"]


@pytest.mark.parametrize("key", ["vm.swappiness", "kernel.core_pattern", "net.core.somaxconn"])
def test_a_sysctl_of_the_host_is_refused(box: Box, key: str) -> None:
    box.namespaces("pid", "mount", "uts", "ipc")
    box.linux["sysctl"] = {key: "1"}
    outcome = box.run("true")
    assert outcome.status == 1 and box.records()[0]["origin"] == f"/linux/sysctl/{key}"


def test_the_loopback_device_is_up(box: Box) -> None:
    assert "LOOPBACK,UP" in box.run("ip", "link", "show", "lo").out


def test_exec_joins_all_of_them(box: Box) -> None:
    mapped(box)
    box.namespaces("pid", "network", "mount", "ipc", "uts", "cgroup", "time", "user")
    box.up()
    script = "; ".join(f"readlink /proc/self/ns/{file} /proc/1/ns/{file}" for file in [*FILES.values(), "user"])
    script = "; ".join(f"readlink /proc/{who}/ns/{file}" for file in [*FILES.values(), "user"] for who in ("self", "1"))
    lines = box.exec("sh", "-c", script).lines
    assert lines[0::2] == lines[1::2] and len(lines) == 16
