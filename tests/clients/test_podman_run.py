"""podman run: what each option does, seen from inside the container."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients import host, image
from tests.clients.conftest import Same
from tests.clients.podman import Podman, has_cgroup, rootless

IMAGE = "clients:1"


@dataclass(frozen=True)
class Case:
    """podman run OPTIONS clients:1 COMMAND prints something that matches EXPECT and ends with STATUS."""

    name: str
    options: Sequence[str]
    command: Sequence[str]
    expect: str = ""
    status: int = 0
    needs: str = ""
    """"root", "user", "cgroup" (one that podman may write to), "auto" (subordinate ids for podman to choose from)"""


def sh(script: str) -> list[str]:
    return ["sh", "-c", script]


ULIMITS = ["--ulimit", "nofile=99:111", "--ulimit", "core=0:0", "--ulimit", "nproc=4096:4096"]
PORT_START = "net.ipv4.ip_unprivileged_port_start"
TMPFS = sh("stat -f -c %T /data; stat -c %a /data; df -k /data | tail -n1")
COPY_UP = sh("stat -f -c %T /etc; cat /etc/hosts | wc -l; id -un")
# /dev/core is runc's and crun's: the specification does not have it, and /proc/kcore is masked anyway.
DEVICES = sh("ls /dev | grep -v core; stat -c '%n %F %t %T %a' /dev/null /dev/zero /dev/tty /dev/ptmx")
NO_SUCH_DEVICE = sh("mknod /tmp/new c 42 1; cat /tmp/new 2>&1")
FORKS = sh("sleep 9 & sleep 9 & sleep 9 & sleep 9 & wait")
LOOPBACK = sh("ip -o link | grep -c LOOPBACK")
QUOTA = ["--cpu-quota", "20000", "--cpu-period", "40000"]
SWAP = rf"^({16 << 20}|{80 << 20})$"  # that of v1 counts memory too
MAPPED = ["--uidmap", "0:100000:1000", "--gidmap", "0:100000:1000"]
IMAGE_VOLUME = ["--mount", f"type=image,source={IMAGE},destination=/mnt"]
UID_MAP = sh("id -u; cat /proc/self/uid_map")
STATUS = "/proc/self/status"
CAPS = sh("grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status")
CASES = [
    Case("output", [], ["echo", "hello"], r"^hello$"),
    Case("status", [], sh("exit 7"), status=7),
    Case("killed", ["--init"], sh("kill -9 $$"), status=137),
    Case("terminated", ["--init"], sh("kill $$"), status=143),
    Case("arguments-verbatim", [], ["printf", "[%s]", "a b", "", "$x", "'"], r"^\[a b\]\[\]\[\$x\]\['\]$"),
    Case("env", ["-e", "A=1", "-e", "B=x y"], sh('echo "$A $B $HOME $container"'), r"^1 x y /root podman$"),
    Case("workdir", ["-w", "/data"], ["pwd"], r"^/data$"),
    Case("workdir-missing", ["-w", "/data/new"], ["pwd"], status=126),
    Case("entrypoint", ["--entrypoint", "/bin/echo"], ["from", "entrypoint"], r"^from entrypoint$"),
    Case("hostname", ["--hostname", "box"], ["hostname"], r"^box$"),
    Case("uts-host", ["--uts", "host"], ["hostname"], re.escape(os.uname().nodename)),
    Case("user-numbers", ["--user", "7:8"], ["id"], r"^uid=7.* gid=8"),
    Case("user-name", ["--user", "guest"], ["id"], r"uid=1234\(guest\) gid=1234\(guest\) groups=.*4321\(extra\)"),
    Case("group-add", ["--group-add", "4321", "--group-add", "99"], ["id", "-G"], r"\b4321\b.*\b99\b|\b99\b.*\b4321\b"),
    Case("umask", ["--umask", "0077"], sh("umask"), r"^0077$"),
    Case("user-home", ["--user", "guest"], sh("echo $HOME"), r"^/home/guest$"),
    # --- what it may do
    Case("caps-default", [], CAPS, r"CapEff:\s0000000[0-9a-f]+"),
    Case("caps-of-user", ["--user", "guest"], CAPS, r"CapEff:\s0+\n"),
    Case("cap-drop-all", ["--cap-drop", "all"], CAPS, r"CapEff:\s0+\nCapBnd:\s0+\n"),
    Case("cap-add", ["--cap-drop", "all", "--cap-add", "net_admin"], CAPS, r"CapEff:\s0000000000001000"),
    Case("cap-drop-one", ["--cap-drop", "chown"], sh("chown 1 /tmp; echo $?"), r"^1$"),
    Case("privileged", ["--privileged"], sh("mount -t tmpfs none /mnt && grep -c ' /mnt ' /proc/mounts"), r"^1$"),
    Case("privileged-mapped", ["--privileged", *MAPPED], sh("mount -t tmpfs x /mnt && echo y"), r"^y$", needs="root"),
    Case("no-new-privileges", ["--security-opt", "no-new-privileges"], ["grep", "NoNewPrivs", STATUS], r"1$"),
    Case("seccomp-default", [], ["grep", "Seccomp:", STATUS], r"2$"),
    Case("seccomp-off", ["--security-opt", "seccomp=unconfined"], ["grep", "Seccomp:", STATUS], r"0$"),
    Case("masked", [], sh("cat /proc/kcore /proc/keys | wc -c; ls /sys/firmware | wc -l"), r"^0\n0$"),
    Case("unmasked", ["--security-opt", "unmask=ALL"], sh("grep -c ' /proc/keys ' /proc/self/mountinfo"), r"^0$", 1),
    Case("mask", ["--security-opt", "mask=/proc/version"], ["cat", "/proc/version"], r"^$"),
    Case("hidepid", ["--security-opt", "proc-opts=hidepid=2"], ["grep", "/proc ", "/proc/mounts"], r"hidepid=[2i]"),
    Case("proc-readonly", [], sh("echo 1 > /proc/sys/kernel/domainname"), status=1),
    Case("read-only", ["--read-only"], sh("touch /file; echo $?; touch /tmp/file && echo tmp"), r"^1\ntmp$"),
    Case("read-only-tmpfs-off", ["--read-only", "--read-only-tmpfs=false"], sh("touch /tmp/f"), status=1),
    # --- devices and file systems
    Case("dev", [], DEVICES, r"/dev/null char.* 1 3 666"),
    Case("dev-links", [], sh("for n in fd stdin stdout ptmx; do readlink /dev/$n; done"), r"/proc/self/fd\n"),
    Case("device", ["--device", "/dev/null:/dev/new"], sh("echo x > /dev/new && stat -c '%F %t %T' /dev/new"), r"1 3$"),
    Case("device-rule", ["--device-cgroup-rule", "c 42:* rwm"], NO_SUCH_DEVICE, r"No such device", 1, needs="root"),
    Case("device-forbidden", [], sh("mknod /tmp/disk b 8 0 && cat /tmp/disk; echo $?"), r"^1$", needs="root"),
    Case("tmpfs", ["--tmpfs", "/data:rw,size=64k,mode=1700"], TMPFS, r"^tmpfs\n1700\ntmpfs\s+64 "),
    Case("tmpfs-noexec", ["--tmpfs", "/data:noexec"], sh("cp /bin/echo /data; /data/echo; echo $?"), r"^126$"),
    Case("tmpfs-on-nothing", ["--tmpfs", "/new/place"], ["stat", "-c", "%a", "/new/place"], r"^1777$"),
    Case("tmpfs-copyup", ["--mount", "type=tmpfs,destination=/etc,tmpcopyup"], COPY_UP, r"^tmpfs\n\d+\nroot$"),
    Case("devpts", ["--mount", "type=devpts,destination=/mnt"], sh("grep ' /mnt ' /proc/mounts"), r"^devpts "),
    Case("image-volume", IMAGE_VOLUME, sh("ls /mnt/bin/sh && touch /mnt/new"), r"^/mnt/bin/sh$", 1),
    Case("device-mapped", [*MAPPED, "--device", "/dev/kmsg"], sh("stat -c %u:%g /dev/kmsg"), r"^0:0$", needs="root"),
    Case("shm-size", ["--shm-size", "128k"], sh("df -k /dev/shm | tail -n1"), r"\s128 "),
    Case("volume-named", ["-v", "clients-volume:/data"], sh("touch /data/f; stat -c %U /data"), r"^root$"),
    # --- limits
    Case("memory", ["--memory", "64m"], ["limit", "memory"], r"^67108864$", needs="cgroup"),
    Case("reservation", ["--memory-reservation", "32m"], ["limit", "reservation"], r"^33554432$", needs="cgroup"),
    Case("cpus", ["--cpus", "0.5"], ["limit", "cpu"], r"^50000 100000$", needs="cgroup"),
    Case("cpu-shares", ["--cpu-shares", "512"], ["limit", "shares"], r"^\d+$", needs="cgroup"),
    Case("cpuset", ["--cpuset-cpus", "0"], sh("grep Cpus_allowed_list /proc/self/status"), r"\s0$", needs="cgroup"),
    Case("pids-limit", ["--pids-limit", "16"], ["limit", "pids"], r"^16$", needs="cgroup"),
    Case("pids-unlimited", ["--pids-limit", "-1"], sh("limit pids; true"), r"^max$", needs="cgroup"),
    Case("cpu-quota", QUOTA, ["limit", "cpu"], r"^20000 40000$", needs="cgroup"),
    Case("memory-swap", ["--memory", "64m", "--memory-swap", "80m"], ["limit", "swap"], SWAP, needs="cgroup"),
    Case("pids-exceeded", ["--pids-limit", "3"], FORKS, status=2, needs="cgroup"),
    Case("ulimit", ULIMITS, sh("ulimit -Sn; ulimit -Hn; ulimit -c"), r"^99\n111\n0$"),
    Case("sysctl", ["--sysctl", f"{PORT_START}=77"], ["sysctl", "-n", PORT_START], r"^77$"),
    Case("sysctl-ipc", ["--sysctl", "kernel.shmmni=77"], ["cat", "/proc/sys/kernel/shmmni"], r"^77$"),
    Case("oom-score-adj", ["--oom-score-adj", "500"], ["cat", "/proc/self/oom_score_adj"], r"^500$"),
    # --- namespaces
    Case("pid-private", [], sh("echo $$; set -- /proc/[0-9]*; echo $#"), r"^1\n1$"),
    Case("init", ["--init"], sh("tr '\\0' ' ' < /proc/1/cmdline; echo $$"), r"(?s)init.*\n?[2-9]$"),
    Case("uidmap", MAPPED, UID_MAP, r"^0\n\s+0\s+100000\s+1000$", needs="root"),
    Case("userns-auto", ["--userns", "auto:size=999"], UID_MAP, r"^0\n.*\s999$", needs="auto"),
    Case("keep-id-as", ["--userns", "keep-id:uid=200,gid=210"], ["id"], r"^uid=200.* gid=210", needs="user"),
    Case("keep-groups", ["--group-add", "keep-groups"], ["id", "-G"], r"^0\b", needs="user"),
    Case("nomap", ["--userns", "nomap"], ["cat", "/proc/self/uid_map"], r"^0\s+1\s+\d+$", needs="user"),
    Case("keep-id", ["--userns", "keep-id"], ["id", "-u"], rf"^{os.getuid()}$", needs="user"),
    Case("cgroupns-host", ["--cgroupns", "host"], sh("grep -c libpod /proc/self/cgroup"), r"^[1-9]", needs="root"),
    Case("cgroupns-private", ["--cgroupns", "private"], sh("cut -d: -f3 /proc/self/cgroup"), r"^/\n?", needs="root"),
    Case("cgroups-disabled", ["--cgroups", "disabled"], ["echo", "free"], r"^free$"),
    Case("network-none", ["--network", "none"], sh("ip -o link | wc -l"), r"^1$"),
    Case("ipc-none", ["--ipc", "none"], sh("test -e /dev/shm || grep -c /dev/shm /proc/mounts"), r"^0$", 1),
    Case("network-by-path", ["--network", "ns:/proc/self/ns/net"], LOOPBACK, r"^1$", needs="root"),
    Case("network-host", ["--network", "host"], LOOPBACK, r"^1$"),
    Case("personality", ["--personality", "LINUX32"], ["uname", "-m"], r"^(i686|armv.*)$"),
    Case("annotation", ["--annotation", "org.example.a=b"], ["true"]),
    # --- what cannot be run
    Case("bad-option", ["--no-such-option"], ["true"], status=125),
    Case("not-in-path", [], ["no-such-program"], status=127),
    Case("not-there", [], ["/no/such/program"], status=127),
    Case("a-folder", [], ["/etc"], status=126),
    Case("not-executable", [], ["/etc/not-executable"], status=126),
    Case("cwd-not-a-folder", ["-w", "/etc/passwd"], ["true"], status=126),
    Case("mount-source-missing", ["-v", "/no/such/folder:/data"], ["true"], status=125),
]  # fmt: skip


def why_not(case: Case) -> str:
    """Why this machine cannot run the case; '' if it can."""
    if case.needs == "root" and rootless():
        return "needs root"
    if case.needs == "auto" and (rootless() or "containers:" not in Path("/etc/subuid").read_text()):
        return "/etc/subuid has nothing for the user `containers`"
    if case.needs == "user" and not rootless():
        return "is for an ordinary user"
    if case.needs == "cgroup" and not has_cgroup():
        return "no systemd user session to delegate a cgroup"
    return ""


GUEST = {
    "output",
    "user-name",
    "memory",
    "cpus",
    "pids-limit",
    "caps-default",
    "dev",
    "keep-id",
    "userns-auto",
    "not-in-path",
}
"""Run by `make test-vm`, where each takes half a minute: what depends on systemd, or on who one is."""


def marked(case: Case) -> object:
    return pytest.param(case, id=case.name, marks=[pytest.mark.guest] if case.name in GUEST else [])


@pytest.mark.parametrize("case", [marked(case) for case in CASES])
def test_run(podman: Podman, same: Same, case: Case) -> None:
    if reason := why_not(case):
        pytest.skip(reason)
    network = [] if "--network" in case.options or "--sysctl" in case.options else ["--network", "none"]
    done = podman("run", "--rm", *network, *case.options, IMAGE, *case.command)
    assert done.status == case.status, done
    assert re.search(case.expect, done.text), done
    same((done.status, done.out))


def test_stdin_and_stderr(podman: Podman, same: Same) -> None:
    done = podman(
        "run", "--rm", "-i", "--network", "none", IMAGE, "sh", "-c", "wc -c; echo err >&2", stdin="x" * 100_000
    )
    assert (done.status, done.text, done.err.strip()) == (0, "100000", "err")
    same(done)


def test_preserve_fds(podman: Podman, same: Same, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from outside\n")
    script = "cat <&3; ls /proc/self/fd | wc -l"
    done = podman("run", "--rm", "--preserve-fds", "1", IMAGE, "sh", "-c", script, descriptor=tmp_path / "file")
    assert done.status == 0 and done.out.startswith("from outside"), done
    same(done.out)


def test_socket_activation(podman: Podman, same: Same, tmp_path: Path) -> None:
    """sd_listen_fds(3): podman hands on what it was started with, and the runtime says whose it is."""
    (tmp_path / "file").write_text("from outside\n")
    script = ["sh", "-c", "echo $LISTEN_FDS $LISTEN_PID; cat <&3"]
    options = ["--rm", "--network", "none"]
    done = podman("run", *options, IMAGE, *script, descriptor=tmp_path / "file", activated=True)
    assert (done.status, done.out) == (0, "1 1\nfrom outside\n"), done
    same(done)


def test_many_at_once(podman: Podman, same: Same) -> None:
    with ThreadPoolExecutor(6) as pool:
        run = ["run", "--rm", "--network", "none", IMAGE, "echo"]
        done = list(pool.map(lambda number: podman(*run, str(number)), range(6)))
    assert [each.text for each in done] == [str(number) for number in range(6)], done
    same(done)


VOLUMES = [
    ("rw", "echo new > /data/file; cat /data/file", 0, "new"),
    ("ro", "cat /data/file; echo new > /data/file", 1, "old"),
    ("rprivate,noexec", "cp /bin/echo /data/echo; /data/echo", 126, ""),
    ("nosuid,nodev", "grep ' /data ' /proc/mounts | grep -c nosuid,nodev", 0, "1"),
    ("rshared", "grep ' /data ' /proc/self/mountinfo | grep -c shared:", 0, "1"),
    ("O", "echo new > /data/file; cat /data/file", 0, "new"),
    ("rslave", "grep ' /data ' /proc/self/mountinfo | grep -c master:", None, ""),
]  # fmt: skip


@pytest.mark.parametrize("case", VOLUMES, ids=lambda case: case[0])
def test_volume(podman: Podman, same: Same, tmp_path: Path, case: tuple[str, str, int | None, str]) -> None:
    options, script, status, text = case
    (tmp_path / "file").write_text("old\n")
    done = podman("run", "--rm", "--network", "none", "-v", f"{tmp_path}:/data:{options}", IMAGE, "sh", "-c", script)
    assert status is None or done.status == status, done
    assert text in done.out
    same((done.status, done.out))
    assert (tmp_path / "file").read_text() == ("new\n" if options == "rw" else "old\n")


def test_volume_with_mapped_owners(podman: Podman, same: Same, tmp_path: Path) -> None:
    """`idmap`: the owner on the disk is the owner that the container sees, in a user namespace of its own."""
    if rootless():
        pytest.skip("needs root")
    (tmp_path / "file").write_text("")
    os.chown(tmp_path / "file", 5, 6)
    volume = ["--network", "none", "-v", f"{tmp_path}:/data:idmap"]
    done = podman("run", "--rm", *volume, *MAPPED, IMAGE, "stat", "-c", "%u %g", "/data/file")
    assert (done.status, done.text) == (0, "5 6"), done
    same(done.out)


STAGES = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]


def test_hooks(podman: Podman, same: Same, tmp_path: Path, runtime: Path | None) -> None:
    """oci-hooks(5): podman puts them into config.json, each stage comes in its turn.

    crun 1.8.1 does not wait for startContainer's before it runs poststart's.
    """
    stages = [stage for stage in STAGES if runtime or stage != "startContainer"]
    (tmp_path / "hooks").mkdir()
    for stage in stages:
        line = ["sh", "-c", f"cat; echo {stage} >> {tmp_path}/log"]  # crun minds who does not read
        hook = {"version": "1.0.0", "hook": {"path": "/bin/sh", "args": line}, "when": {"always": True}}
        (tmp_path / f"hooks/{stage}.json").write_text(json.dumps({**hook, "stages": [stage]}))
    options = ["--rm", "--network", "none", "-v", f"{tmp_path}:{tmp_path}"]
    done = podman("--hooks-dir", tmp_path / "hooks", "run", *options, IMAGE, "sh", "-c", f"cat {tmp_path}/log")
    before_the_program = 4 if runtime else 3
    assert (done.status, done.out.split()[:before_the_program]) == (0, stages[:before_the_program]), done
    assert (tmp_path / "log").read_text().split() == stages
    same(done.out.split()[:3])


def test_volume_of_a_file(podman: Podman, same: Same, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("one file\n")
    done = podman("run", "--rm", "-v", f"{tmp_path}/file:/etc/over:ro", IMAGE, "cat", "/etc/over")
    assert (done.status, done.text) == (0, "one file")
    same(done)


def test_seccomp_profile(podman: Podman, same: Same, tmp_path: Path) -> None:
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 122}  # EDQUOT
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    done = podman("run", "--rm", "--security-opt", f"seccomp={profile}", IMAGE, "mkdir", "/tmp/new")
    assert done.status == 1 and "quota" in done.err.lower(), done
    same((done.status, done.err))


def test_bridge_network(podman: Podman, same: Same) -> None:
    """Two containers reach each other by address."""
    if rootless():
        pytest.skip("the bridge needs root; see test_slirp4netns")
    podman.ok("run", "-d", "--name", "clients-server", IMAGE, "nc", "-ll", "-p", "80", "-e", "echo", "served")
    address = podman.inspect("clients-server")["NetworkSettings"]["IPAddress"]
    done = podman("run", "--rm", IMAGE, "nc", address, "80")
    assert (done.status, done.text) == (0, "served"), done
    same(done)


def test_network_of_two_containers(podman: Podman, same: Same) -> None:
    """A network of their own; one is found by name, and by a port of the host."""
    if rootless():
        pytest.skip("the bridge needs root; see test_slirp4netns")
    podman.ok("network", "create", "clients-net")
    try:
        server = ["--network", "clients-net", "-p", "8080:80", "--name", "clients-server"]
        podman.ok("run", "-d", *server, IMAGE, "nc", "-ll", "-p", "80", "-e", "echo", "served")
        talk = "until nc clients-server 80; do usleep 50000; done"
        inside = podman("run", "--rm", "--network", "clients-net", IMAGE, "sh", "-c", talk)
        outside = host.run([*podman.home.prefix, image.BUSYBOX, "nc", "127.0.0.1", "8080"])
    finally:
        podman.ok("network", "rm", "-f", "-t", "0", "clients-net")
    assert (inside.text, outside.text) == ("served", "served"), (inside, outside)
    same((inside.out, outside.out))


@pytest.mark.guest
def test_slirp4netns(podman: Podman, same: Same) -> None:
    if not rootless():
        pytest.skip("root has the bridge; see test_bridge_network")
    if not os.access("/dev/net/tun", os.W_OK):
        pytest.skip("slirp4netns needs /dev/net/tun, open to all")
    done = podman("run", "--rm", "--network", "slirp4netns", IMAGE, "ip", "-o", "-4", "addr", "show", "tap0")
    assert done.status == 0 and "10.0.2." in done.out, done
    same(done)


def test_error_text_reaches_the_user(podman: Podman) -> None:
    """podman shows the runtime's own sentence, taken from the one record of its JSON log."""
    done = podman("run", "--rm", "--network", "none", IMAGE, "no-such-program")
    assert "no-such-program" in done.err and "not found" in done.err, done
    assert "{" not in done.err, "the log's JSON was not understood"


@pytest.mark.parametrize("program", ["crlf", "unreadable-format"])
def test_what_start_cannot_execute(podman: Podman, runtime: Path | None, program: str) -> None:
    """docs/engines.md: crun's container "runs" and ends with 1; ociruntime's start tells why, as for any failure."""
    done = podman("run", "--rm", "--network", "none", IMAGE, program)
    assert done.status == (126 if runtime else 1), done
    assert f"exec /bin/{program}: " in done.err or not runtime


def test_info(podman: Podman, runtime: Path | None) -> None:
    shown = json.loads(podman.ok("info", "--format", "json"))["host"]["ociRuntime"]
    assert shown["name"] == ("ociruntime" if runtime else "crun")
    assert f"{shown['name']} version " in shown["version"]
