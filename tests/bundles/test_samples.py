"""Every sample is built and run for real, and looked at from inside and from outside."""

from __future__ import annotations

import io
import os
import pty
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from bundles.build import catalogue
from bundles.samples.network import addresses
from tests.bundles.conftest import DEADLINE, Box, leftovers
from tests.docs import console

pytestmark = pytest.mark.root

KINDS = {"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"}
USUAL = {"ipc", "mnt", "net", "pid", "uts"}


def own(kind: str) -> str:
    return os.readlink(f"/proc/self/ns/{kind}")


def test_every_sample_is_tried_here() -> None:
    names = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {name for name in catalogue() if not any(test.startswith(name) for test in names)} == set()


@pytest.mark.parametrize(
    ("sample", "new"),
    [("hostbox", USUAL), ("busybox", USUAL), ("rootless", USUAL | {"user"}), ("hardened", USUAL | {"user", "cgroup"})],
)
def test_namespaces_of_a_sample(box: Box, sample: str, new: set[str]) -> None:
    if sample == "rootless":
        os.chown(box.root, 65534, 65534)
    with box.hold(sample, shell="/bin/bash" if sample == "hostbox" else "/bin/sh") as held:
        assert {kind for kind in KINDS if held.namespace(kind) != own(kind)} == new
        assert held.status("NSpid").split()[-1] == "1"


def test_hostbox_shows_its_own_processes_only(box: Box) -> None:
    lines = box.run("hostbox").splitlines()
    processes = [line.split() for line in lines if line.split()[0].isdigit()]
    assert [name for _, name in processes] == ["bash", "ps"]
    assert processes[0][0] == "1"
    assert Path("/bin/bash").read_bytes() == (box.rootfs / "bin/bash").read_bytes()


def test_hostbox_by_chroot_alone_shows_the_hosts_processes(box: Box) -> None:
    box.build("hostbox")
    script = 'mount -t proc proc "$1/proc" && chroot "$1" /bin/ps -e -o pid='
    said = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", str(box.rootfs)], capture_output=True, text=True, check=True
    )
    assert str(os.getpid()) in said.stdout.split()


def test_tour_shows_what_is_its_own(box: Box) -> None:
    _, hostname, processes, mounts, files, cgroup = box.run("tour").split("\n== ")
    assert hostname.splitlines()[1] == "tour"
    assert [line.split()[-1] for line in processes.splitlines()[2:]] == ["bash", "ps"]
    places = [line.split()[2] for line in mounts.splitlines()[1:]]
    assert places[:2] == ["/", "/proc"]
    assert files.splitlines()[1] == "256"
    assert [line.split()[-1] for line in cgroup.splitlines()[1:]] == [f"{64 << 20}", "32"]


def test_busybox_has_its_own_hostname(box: Box) -> None:
    before = os.uname().nodename
    said = box.run("busybox").splitlines()
    assert said[:3] == ["hostname: busybox", "pid: 1", "interfaces: lo"]
    assert os.uname().nodename == before


def test_a_command_replaces_the_program(box: Box) -> None:
    assert box.run("busybox", "--", "echo", "a  b", "$HOME") == "a  b $HOME\n"


def test_a_terminal_is_the_containers_own(box: Box) -> None:
    box.build("busybox", "/bin/sh", "-c", "tty", terminal=True)
    outer, inner = pty.openpty()
    try:
        subprocess.run(box.plan.front(), stdin=inner, stdout=inner, stderr=inner, check=True, timeout=60)
        # crun 1.8.1 may warn on the same terminal.
        assert b"/dev/pts/0" in os.read(outer, 1000).split()
    finally:
        os.close(outer)
        os.close(inner)


@pytest.mark.parametrize("source", ["archive", "directory"])
def test_alpine_runs_any_root(box: Box, source: str) -> None:
    box.build("busybox")
    tree = box.out.rename(box.place / "other") / "rootfs"
    (tree / "etc/os-release").write_text('PRETTY_NAME="Home Made 1"\n')
    if source == "archive":
        tree, directory = box.place / "root.tar.gz", tree
        with tarfile.open(tree, "w:gz") as archive:
            archive.add(directory, ".")
    assert box.run("alpine", "--rootfs", str(tree)) == "this is Home Made 1\n"


def test_alpine_leaves_nothing_of_a_refused_archive(box: Box) -> None:
    source = box.place / "evil.tar"
    with tarfile.open(source, "w") as archive:
        member = tarfile.TarInfo("../escaped")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"evil"))
    with pytest.raises(
        AssertionError, match=r"^bundles: '\.\./escaped': a name with '\.\.' may point out of the root\n"
    ):
        box.run("alpine", "--rootfs", str(source))
    assert sorted(path.name for path in box.place.iterdir()) == ["evil.tar", "state"]


def test_limits_are_seen_from_inside(box: Box) -> None:
    memory, processes, disk = box.run("limits").splitlines()
    assert memory == "256 MiB of memory: exit status 137 (137 is killed)"
    assert processes.endswith("Resource temporarily unavailable")
    assert disk.endswith("No space left on device")


def test_limits_are_seen_from_outside(box: Box) -> None:
    script = "dd if=/dev/zero of=/dev/null bs=256M count=1 2>/dev/null; echo hidden > /scratch/secret"
    with box.hold("limits", script) as held:
        memory, pids = held.cgroup("memory"), held.cgroup("pids")
        v1 = (memory / "memory.limit_in_bytes").exists()
        limit, events = ("limit_in_bytes", "oom_control") if v1 else ("max", "events")
        assert (memory / f"memory.{limit}").read_text() == f"{32 << 20}\n"
        counts = dict(line.split() for line in (memory / f"memory.{events}").read_text().splitlines())
        assert int(counts["oom_kill"]) >= 1
        assert (pids / "pids.max").read_text() == "16\n"
        # The tmpfs is in the container's mount namespace, the host has an empty directory.
        assert list((box.rootfs / "scratch").iterdir()) == []
        assert Path(f"/proc/{held.pid}/root/scratch/secret").read_text() == "hidden\n"
    assert list((box.rootfs / "scratch").iterdir()) == []


def test_pod_shares_what_it_says(box: Box) -> None:
    assert box.run("pod").splitlines() == [
        "over localhost: hello from web",
        "hostname: pod",
        "message queues: from-web",
        "the other's files: ls: /www: No such file or directory",
        "the other's process: not visible",
    ]


def test_pod_from_outside(box: Box) -> None:
    box.build("pod", "tail", "-f", "/dev/null")
    box.start()
    three = [box.held(container.name) for container in box.containers]
    for kind in ("net", "ipc", "uts"):
        assert len({held.namespace(kind) for held in three}) == 1
        assert three[0].namespace(kind) != own(kind)
    for kind in ("pid", "mnt"):
        assert len({held.namespace(kind) for held in three} | {own(kind)}) == 4


def test_rootless_is_root_inside_only(box: Box) -> None:
    os.chown(box.root, 65534, 65534)
    said = box.run("rootless")
    assert said == "inside: uid 0\noutside: uid 65534\nmay write to this root\nInvalid argument\n"
    assert (box.rootfs / "made-here").stat().st_uid == 65534


def test_rootless_by_a_user_who_is_not_root(box: Box) -> None:
    home = box.place / "home"
    home.mkdir()
    os.chown(home, 12345, 12345)
    if any(not path.stat().st_mode & stat.S_IXOTH for path in (console.REPOSITORY, *console.REPOSITORY.parents)):
        pytest.skip(f"{console.REPOSITORY}: other users may not enter this checkout")
    said = subprocess.run(
        [sys.executable, "-m", "bundles", "rootless", "--run", "--runtime", box.runtime],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "TMPDIR": str(home)},
        user=12345,
        group=12345,
        extra_groups=[],
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert said.stdout == "inside: uid 0\noutside: uid 12345\nmay write to this root\nInvalid argument\n", said.stderr


def test_rootless_from_outside(box: Box) -> None:
    os.chown(box.root, 65534, 65534)
    with box.hold("rootless") as held:
        assert held.status("Uid").split() == ["65534"] * 4
        assert Path(f"/proc/{held.pid}/uid_map").read_text().split() == ["0", "65534", "1"]
        assert Path(f"/proc/{held.pid}/setgroups").read_text() == "deny\n"


def test_hardened_refuses(box: Box) -> None:
    first, *tries, masked = box.run("hardened").splitlines()
    assert first == "uid 1000, CapBnd: 0000000000000000, Seccomp: 2"
    assert {line[:26].strip(): line[27:].strip() for line in tries} == {
        "write to the root": "refused: Read-only file system",
        "write to /tmp": "worked",
        "run what was written": "refused: Permission denied",
        "mount": "refused: permission denied (are you root?)",
        "new user namespace": "refused: Operation not permitted",
        "make a device": "refused: Operation not permitted",
        "change a kernel setting": "refused: Read-only file system",
    }
    assert masked == "bytes of /proc/kallsyms: 0"


def test_hardened_from_outside(box: Box) -> None:
    with box.hold("hardened") as held:
        assert held.status("Uid").split() == ["101000"] * 4
        assert held.status("NoNewPrivs") == "1"
        assert held.status("Seccomp") == "2"
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(held.status(kind), 16) == 0
        assert Path(f"/proc/{held.pid}/uid_map").read_text().split() == ["0", "100000", "65536"]
        mounts = [line.split() for line in Path(f"/proc/{held.pid}/mountinfo").read_text().splitlines()]
        root = next(words for words in mounts if words[4] == "/")
        assert "ro" in root[5].split(",")
        assert "/proc/kallsyms" in [words[4] for words in mounts]


def test_network_reaches_the_host(box: Box) -> None:
    address, reply = box.run("network").splitlines()
    assert address == f"eth0 {addresses(box.out)[1]}/30"
    assert f"bytes from {addresses(box.out)[0]}:" in reply


def test_network_is_reached_from_the_host(box: Box) -> None:
    with box.hold("network", "ip -4 -o address show dev eth0 | awk '{print $4}'") as held:
        address = held.said.partition("/")[0]
        subprocess.run(["busybox", "ping", "-c", "1", "-W", "5", address], check=True, capture_output=True)


def test_hooks_run_in_order(box: Box) -> None:
    box.run("hooks")
    lines = (box.rootfs / "witness.log").read_text().splitlines()
    names = [line.split()[0] for line in lines]
    assert names[:3] == ["prestart", "createRuntime", "createContainer"]
    # The specification has startContainer before poststart; runc runs poststart at the end of create.
    assert sorted(names[3:5]) == ["poststart", "startContainer"]
    assert names[5:] == ["poststop"]
    container = {line.split()[0] for line in lines if "mounts: the container's" in line}
    assert container == {"createContainer", "startContainer"}
    assert [line.split()[0] for line in lines if "files: the container's" in line] == ["startContainer"]


def test_python_is_complete(box: Box) -> None:
    version, root, modules = box.run("python").splitlines()
    assert version.endswith("is process 1")
    assert "home" not in root.split()
    assert "OpenSSL and SQLite 3" in modules


def test_a_run_that_is_ended_takes_its_containers_along(box: Box) -> None:
    options = ["--runtime", box.runtime, "--root", str(box.root), "--out", str(box.out), "--id", box.id]
    words = [sys.executable, "-m", "bundles", "busybox", "--run", *options, "--", "sh", "-c", "echo up; sleep 1000"]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as running:
        assert running.stdout and running.stdout.readline() == "up\n"
        running.terminate()
        assert running.wait(60) == 130
    assert leftovers(box) == {}


def test_debian_by_debootstrap(box: Box) -> None:
    if "BUNDLES_DEBOOTSTRAP" not in os.environ:
        pytest.skip("downloads a distribution; set BUNDLES_DEBOOTSTRAP=1 to try it")
    assert box.run("debian").startswith("this is Debian GNU/Linux")
