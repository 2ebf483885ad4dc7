"""Docker: dockerd with ociruntime as an additional runtime, driven by Debian's client."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients import host, image
from tests.clients.conftest import Same
from tests.clients.docker import Docker, Dockerd

IMAGE = "clients:1"
BOX = "clients-box"
STATUS = "/proc/self/status"
NONE = ["--network", "none"]


@dataclass(frozen=True)
class Case:
    """docker run OPTIONS clients:1 COMMAND prints something that matches EXPECT and ends with STATUS."""

    name: str
    options: Sequence[str]
    command: Sequence[str]
    expect: str = ""
    status: int = 0


def sh(script: str) -> list[str]:
    return ["sh", "-c", script]


ULIMITS = ["--ulimit", "nofile=99:111", "--ulimit", "core=0:0"]
NO_SUCH_DEVICE = sh("mknod /tmp/new c 42 1; cat /tmp/new 2>&1")
CASES = [
    Case("output", [], ["echo", "hello"], r"^hello$"),
    Case("status", [], sh("exit 7"), status=7),
    Case("killed", ["--init"], sh("kill -9 $$"), status=137),
    Case("env", ["-e", "A=x y"], sh('echo "$A"'), r"^x y$"),
    Case("workdir-made", ["-w", "/data/new"], ["pwd"], r"^/data/new$"),
    Case("hostname", ["--hostname", "box"], ["hostname"], r"^box$"),
    Case("user", ["--user", "guest"], ["id"], r"uid=1234\(guest\) gid=1234\(guest\) groups=.*4321\(extra\)"),
    Case("group-add", ["--group-add", "99"], ["id", "-G"], r"\b99\b"),
    Case("cap-drop", ["--cap-drop", "all"], ["grep", "CapEff", STATUS], r"\s0+$"),
    Case("cap-add", ["--cap-drop", "all", "--cap-add", "net_admin"], ["grep", "CapEff", STATUS], r"\s0{12}1000$"),
    Case("privileged", ["--privileged"], sh("mount -t tmpfs none /mnt && echo done"), r"^done$"),
    Case("no-new-privileges", ["--security-opt", "no-new-privileges"], ["grep", "NoNewPrivs", STATUS], r"1$"),
    Case("seccomp", [], ["grep", "Seccomp:", STATUS], r"2$"),
    Case("seccomp-off", ["--security-opt", "seccomp=unconfined"], ["grep", "Seccomp:", STATUS], r"0$"),
    Case("read-only", ["--read-only"], ["touch", "/file"], status=1),
    Case("tmpfs", ["--tmpfs", "/data:size=64k"], sh("df -k /data | tail -n1"), r"^tmpfs\s+64 "),
    Case("shm-size", ["--shm-size", "128k"], sh("df -k /dev/shm | tail -n1"), r"\s128 "),
    Case("device", ["--device", "/dev/null:/dev/new"], sh("stat -c '%F %t %T' /dev/new"), r"1 3$"),
    Case("device-rule", ["--device-cgroup-rule", "c 42:* rwm"], NO_SUCH_DEVICE, r"No such device", 1),
    Case("memory", ["--memory", "64m"], ["limit", "memory"], r"^67108864$"),
    Case("cpus", ["--cpus", "0.5"], ["limit", "cpu"], r"^50000 100000$"),
    Case("cpuset", ["--cpuset-cpus", "0"], ["grep", "Cpus_allowed_list", STATUS], r"\s0$"),
    Case("pids-limit", ["--pids-limit", "16"], ["limit", "pids"], r"^16$"),
    Case("ulimit", ULIMITS, sh("ulimit -Sn; ulimit -Hn; ulimit -c"), r"^99\n111\n0$"),
    Case("sysctl", ["--sysctl", "kernel.shmmni=77"], ["cat", "/proc/sys/kernel/shmmni"], r"^77$"),
    Case("init", ["--init"], sh("tr '\\0' ' ' < /proc/1/cmdline"), r"docker-init"),
    Case("pid-host", ["--pid", "host"], ["readlink", "/proc/self/ns/pid"], re.escape(os.readlink("/proc/self/ns/pid"))),
    Case("ipc-host", ["--ipc", "host"], ["readlink", "/proc/self/ns/ipc"], re.escape(os.readlink("/proc/self/ns/ipc"))),
    Case("network-host", ["--network", "host"], sh("ip -o link | grep -c LOOPBACK"), r"^1$"),
    Case("bridge", ["--network", "bridge"], sh("ip -4 addr show eth0 | grep -o 'inet 172[.]'"), r"^inet 172\.$"),
    Case("bad-option", ["--no-such-option"], ["true"], status=125),
    Case("not-in-path", [], ["no-such-program"], status=127),
    Case("not-there", [], ["/no/such/program"], status=127),
    Case("a-folder", [], ["/etc"], status=126),
    Case("not-executable", [], ["/etc/not-executable"], status=126),
    Case("mount-source-missing", ["--mount", "type=bind,src=/no/such,dst=/data"], ["true"], status=125),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_run(docker: Docker, same: Same, case: Case, runtime: Path | None) -> None:
    if case.name == "privileged" and not runtime and not host.may_raise_limits():
        pytest.skip("runc refuses to give a container CAP_SYS_RESOURCE, which nobody has here")
    network = [] if "--network" in case.options else NONE
    done = docker.run("--rm", *network, *case.options, IMAGE, *case.command)
    assert done.status == case.status, done
    assert re.search(case.expect, done.text), done
    same((done.status, done.out))


def test_stdin(docker: Docker, same: Same) -> None:
    done = docker.run("--rm", "-i", *NONE, IMAGE, "wc", "-c", stdin="x" * 100_000)
    assert (done.status, done.text) == (0, "100000"), done
    same(done)


@pytest.mark.parametrize(("options", "status", "text"), [("rw", 0, "new"), ("ro", 1, "old")])
def test_volume(docker: Docker, tmp_path: Path, options: str, status: int, text: str) -> None:
    (tmp_path / "file").write_text("old\n")
    script = "cat /data/file; echo new > /data/file && cat /data/file"
    done = docker.run("--rm", *NONE, "-v", f"{tmp_path}:/data:{options}", IMAGE, "sh", "-c", script)
    assert (done.status, done.out.split()[-1]) == (status, text), done


def test_file_over_a_folder(docker: Docker, same: Same, tmp_path: Path) -> None:
    """dockerd reads the runtime's words: "not a directory" becomes 127 and a hint."""
    (tmp_path / "file").write_text("")
    done = docker.run("--rm", *NONE, "-v", f"{tmp_path}/file:/data", IMAGE, "true")
    assert done.status != 0 and "not a directory" in done.err, done
    same(done.status)


def test_info_lists_the_runtime(docker: Docker) -> None:
    """Debian 12's Docker (20.10) lists names and paths; the features came with version 23."""
    runtimes = json.loads(docker.ok("info", "--format", "{{json .Runtimes}}"))
    assert runtimes["ociruntime"]["path"] == str(host.OCIRUNTIME)


@pytest.fixture
def box(docker: Docker) -> Docker:
    """docker, with a container that sleeps and ends on SIGTERM."""
    script = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 1000 & wait; done"
    docker.start(BOX, *NONE, IMAGE, "sh", "-c", script)
    host.until(lambda: "ready" in docker.ok("logs", BOX), "the container's first words")
    return docker


@pytest.mark.guest
def test_detached(box: Docker, same: Same, runtime: Path | None) -> None:
    assert box.inspect(BOX)["HostConfig"]["Runtime"] == ("ociruntime" if runtime else "runc")
    assert Path(f"/proc/{box.pid(BOX)}/cmdline").read_bytes().startswith(b"sh\0-c\0")
    same(box.state(BOX))


def test_stop(box: Docker, same: Same) -> None:
    box.ok("stop", "-t", "60", BOX)
    assert "bye" in box.ok("logs", BOX)
    assert box.state(BOX)["ExitCode"] == 3
    same(box.state(BOX))


def test_kill(box: Docker, same: Same) -> None:
    box.ok("kill", BOX)
    assert box.ok("wait", BOX) == "137"
    same(box.state(BOX))


def test_pause(box: Docker, same: Same) -> None:
    box.ok("pause", BOX)
    paused = box.state(BOX)
    box.ok("unpause", BOX)
    assert (paused["Status"], box.state(BOX)["Status"]) == ("paused", "running")
    same(paused)


def test_restart(box: Docker, same: Same) -> None:
    first = box.pid(BOX)
    box.ok("restart", "-t", "60", BOX)
    assert box.pid(BOX) != first
    same(box.state(BOX))


def test_restart_policy(docker: Docker, same: Same) -> None:
    docker.start(BOX, *NONE, "--restart", "on-failure:2", IMAGE, "sh", "-c", "echo try; exit 5")
    ended = ("exited", 2)
    host.until(lambda: (docker.state(BOX)["Status"], docker.inspect(BOX)["RestartCount"]) == ended, "two restarts")
    assert docker.ok("logs", BOX).split() == ["try"] * 3
    same(docker.state(BOX))


def test_stats(box: Docker) -> None:
    stats = json.loads(box.ok("stats", "--no-stream", "--format", "{{json .}}", BOX))
    assert stats["Name"] == BOX and int(stats["PIDs"]) >= 1, stats
    assert not stats["MemUsage"].startswith("0B /"), stats


def test_update(docker: Docker, same: Same) -> None:
    docker.start(BOX, *NONE, "--memory", "64m", "--memory-swap", "64m", IMAGE, "sleep", "1000")
    docker.ok("update", "--memory", "48m", "--memory-swap", "48m", "--pids-limit", "9", "--cpus", "0.25", BOX)
    limits = [docker.ok("exec", BOX, "limit", each) for each in ("memory", "pids", "cpu")]
    assert limits == [str(48 << 20), "9", "25000 100000"]
    same(limits)


@pytest.mark.guest
def test_out_of_memory_is_reported(docker: Docker, same: Same) -> None:
    """Sometimes containerd comes too late to ask the cgroup, which is gone with the container, whatever the runtime."""
    limited = (*NONE, "--memory", "16m", "--memory-swap", "16m")
    for _ in range(5):
        docker.run("--name", BOX, *limited, IMAGE, "tail", "/dev/zero")
        if docker.state(BOX)["OOMKilled"]:
            break
        docker.ok("rm", BOX)
    assert docker.state(BOX)["OOMKilled"] is True
    assert docker.state(BOX)["ExitCode"] == 137
    same(docker.state(BOX))


def test_top(box: Docker) -> None:
    rows = box.ok("top", BOX, "-eo", "pid,comm").splitlines()
    assert [str(box.pid(BOX)), "sh"] in [row.split() for row in rows]


def test_healthcheck(docker: Docker) -> None:
    check = ["--health-cmd", "true", "--health-interval", "100ms"]
    docker.start(BOX, *NONE, *check, IMAGE, "sleep", "1000")
    host.until(lambda: docker.inspect(BOX)["State"]["Health"]["Status"] == "healthy", "a healthy container")


EXECS = [
    (["echo", "hello"], 0, "hello"),
    (["sh", "-c", "exit 9"], 9, ""),
    (["-e", "A=1", "-w", "/data", BOX, "sh", "-c", "echo $A $PWD"], 0, "1 /data"),
    (["--user", "guest", BOX, "id", "-un"], 0, "guest"),
    (["--privileged", BOX, "sh", "-c", "grep -c 'CapEff:.*ffff$' /proc/self/status"], 0, "1"),
    (["sh", "-c", "sort /proc/1/cgroup > /tmp/1; sort /proc/self/cgroup | diff /tmp/1 -"], 0, ""),
    (["/etc/not-executable"], 126, None),
    (["no-such-program"], 126, None),  # the client's choice for every exec that fails
]


@pytest.mark.parametrize("case", EXECS, ids=lambda case: " ".join(case[0])[:30])
def test_exec(box: Docker, same: Same, case: tuple[list[str], int, str | None], runtime: Path | None) -> None:
    args, status, text = case
    if "--privileged" in args and not runtime and not host.may_raise_limits():
        pytest.skip("runc refuses to give a container CAP_SYS_RESOURCE, which nobody has here")
    done = box("exec", *([] if BOX in args else [BOX]), *args)
    assert done.status == status, done
    if "--privileged" not in args or host.may_raise_limits():
        assert text is None or done.text == text, done
    same(done.status)


SHELL = ["sh", "-c", 'trap : INT; while read -r line; do eval "$line"; done']


def test_run_on_a_terminal(docker: Docker) -> None:
    screen = docker.terminal("run", "--rm", "-it", *NONE, IMAGE, *SHELL, rows=33, columns=77)
    screen.type("until [ \"$(stty size)\" = '33 77' ]; do usleep 20000; done; tty; ls -l /dev/console | cut -c1\n")
    assert screen.expect(r"\n(/dev/[^\r]+\r\nc)\r").split() == ["/dev/pts/0", "c"]
    screen.resize(20, 50)
    screen.type("until [ \"$(stty size)\" = '20 50' ]; do usleep 20000; done; echo re''sized; exit 12\n")
    screen.expect("resized")
    assert screen.close() == 12


def test_exec_on_a_terminal(box: Docker) -> None:
    screen = box.terminal("exec", "-it", BOX, *SHELL, rows=31, columns=71)
    screen.type("until [ \"$(stty size)\" = '31 71' ]; do usleep 20000; done; tty; exit 6\n")
    screen.expect("/dev/pts/0")
    assert screen.close() == 6


@pytest.mark.parametrize("buildkit", [False, True], ids=["classic", "buildkit"])
def test_build(builder: Dockerd, same: Same, tmp_path: Path, buildkit: bool) -> None:
    text = f"FROM {IMAGE}\nRUN echo built > /word; id -u >> /word; grep CapEff {STATUS} >> /word\nCMD cat /word\n"
    (tmp_path / "Dockerfile").write_text(text)
    options = ["--no-cache", "--network", "none", "-t", "clients-built:1"]
    done = builder.docker("build", *options, tmp_path, buildkit=buildkit)
    assert done.status == 0, done
    built = builder.docker("run", "--rm", *NONE, "clients-built:1")
    assert built.out.split()[:2] == ["built", "0"], built
    same(built.out)


@pytest.mark.parametrize("buildkit", [False, True], ids=["classic", "buildkit"])
def test_build_fails_as_the_step_does(builder: Dockerd, same: Same, tmp_path: Path, buildkit: bool) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN exit 7\n")
    done = builder.docker("build", "--no-cache", "--network", "none", tmp_path, buildkit=buildkit)
    assert done.status == (1 if buildkit else 7), done
    assert re.search(r"returned a non-zero code: 7|exit code: 7", done.err), done
    same(done.status)


def test_two_containers_talk(docker: Docker, same: Same) -> None:
    """As compose does it: a network of their own, found by name."""
    docker.ok("network", "create", "clients-net")
    docker.start("clients-server", "--network", "clients-net", IMAGE, "nc", "-ll", "-p", "80", "-e", "echo", "served")
    talk = "until nc clients-server 80; do usleep 50000; done"
    done = docker.run("--rm", "--network", "clients-net", IMAGE, "sh", "-c", talk)
    assert (done.status, done.text) == (0, "served"), done
    same(done.out)


def test_published_port(docker: Docker, same: Same) -> None:
    docker.start(BOX, "-p", "8080:80", IMAGE, "nc", "-ll", "-p", "80", "-e", "echo", "served")
    line = [*docker.daemon.home.prefix, image.BUSYBOX, "nc", "127.0.0.1", "8080"]
    assert host.until(lambda: host.run(line).text, "an answer from the port") == "served"
    same(docker.state(BOX))


def test_service_that_waits_for_another(docker: Docker, same: Same) -> None:
    """As compose does `depends_on: condition: service_healthy`, with a volume that both have."""
    docker.ok("volume", "create", "clients-shared")
    try:
        volume = ["-v", "clients-shared:/data"]
        check = ["--health-cmd", "test -e /data/ready", "--health-interval", "100ms"]
        docker.start("clients-db", *NONE, *volume, *check, IMAGE, "sh", "-c", "echo row > /data/ready; sleep 1000")
        host.until(lambda: docker.inspect("clients-db")["State"]["Health"]["Status"] == "healthy", "the first")
        done = docker.run("--rm", *NONE, *volume, "--volumes-from", "clients-db:ro", IMAGE, "cat", "/data/ready")
        docker.ok("rm", "-f", "clients-db")
    finally:
        docker.ok("volume", "rm", "-f", "clients-shared")
    assert (done.status, done.text) == (0, "row"), done
    same(done)


def test_restart_policy_always(docker: Docker, same: Same) -> None:
    docker.start(BOX, *NONE, "--restart", "always", IMAGE, "sh", "-c", "echo again")
    host.until(lambda: docker.inspect(BOX)["RestartCount"] >= 2, "two restarts")
    docker.ok("stop", "-t", "0", BOX)
    assert docker.inspect(BOX)["State"]["Status"] == "exited"
    same(docker.state(BOX)["Status"])


def test_copy_and_commit(box: Docker, same: Same, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("copied\n")
    box.ok("cp", str(tmp_path / "file"), f"{BOX}:/data/file")
    inside = box.ok("exec", BOX, "cat", "/data/file")
    box.ok("commit", BOX, "clients-committed:1")
    changed = box.ok("diff", BOX).splitlines()
    again = box.run("--rm", *NONE, "clients-committed:1", "cat", "/data/file")
    box.ok("rmi", "clients-committed:1")
    assert (inside, again.text) == ("copied", "copied"), again
    assert "A /data/file" in changed
    same(sorted(changed))


def test_attach_to_a_terminal_and_leave(docker: Docker) -> None:
    docker.start(BOX, "-it", *NONE, IMAGE, *SHELL)
    screen = docker.terminal("attach", "--detach-keys", "ctrl-x", BOX, rows=24, columns=80)
    screen.type("echo he''llo\n")
    screen.expect("hello")
    screen.type("\x18")
    screen.close()
    assert docker.state(BOX)["Status"] == "running"


@pytest.mark.parametrize(("program", "status"), [("crlf", 127), ("unreadable-format", 125)])
def test_what_start_cannot_execute(docker: Docker, runtime: Path | None, program: str, status: int) -> None:
    """docs/engines.md: runc's container "runs" and ends with 1; ociruntime's start tells why, and docker shows it."""
    done = docker.run("--name", BOX, *NONE, IMAGE, program)
    assert done.status == (status if runtime else 1), done
    assert f"exec /bin/{program}: " in done.err
    assert docker.state(BOX)["Status"] == ("created" if runtime else "exited")


def test_a_warning_is_not_the_containers(docker: Docker, runtime: Path | None) -> None:
    """What the runtime has to remark stays out of the container's output."""
    if not runtime or host.may_raise_limits():
        pytest.skip("needs a caller without CAP_SYS_RESOURCE, and a runtime that goes on without it")
    done = docker.run("--rm", *NONE, "--cap-add", "sys_resource", IMAGE, "echo", "hello")
    assert (done.status, done.out, done.err) == (0, "hello\n", "")


def test_share_the_network_of_a_container(box: Docker) -> None:
    inside = box.run("--rm", "--network", f"container:{BOX}", IMAGE, "readlink", "/proc/self/ns/net")
    assert inside.text == os.readlink(f"/proc/{box.pid(BOX)}/ns/net"), inside
