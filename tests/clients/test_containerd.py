"""containerd's own client: ctr run, exec and the operations on tasks."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients import host
from tests.clients.conftest import Same
from tests.clients.containerd import Ctr

BOX = "clients-box"


@dataclass(frozen=True)
class Case:
    """ctr run OPTIONS IMAGE BOX sh -c SCRIPT prints something that matches EXPECT and ends with STATUS."""

    name: str
    options: Sequence[str]
    script: str
    expect: str = ""
    status: int = 0


CASES = [
    Case("output", [], "echo hello", r"^hello$"),
    Case("status", [], "exit 7", status=7),
    Case("killed", [], "sleep 9 & kill -9 $!; wait $!", status=137),
    Case("env", ["--env", "A=x y"], 'echo "$A"', r"^x y$"),
    Case("cwd", ["--cwd", "/data"], "pwd", r"^/data$"),
    Case("read-only", ["--read-only"], "touch /file", status=1),
    Case("privileged", ["--privileged"], "grep CapEff /proc/self/status; ls /dev | wc -l", r"ffff\n\d+$"),
    Case("cap-drop", ["--cap-drop", "CAP_CHOWN"], "chown 1 /tmp", status=1),
    Case("seccomp", ["--seccomp"], "grep Seccomp: /proc/self/status", r"\s2$"),
    Case("no-seccomp", [], "grep Seccomp: /proc/self/status", r"\s0$"),
    Case("new-privileges", ["--allow-new-privs"], "grep NoNewPrivs /proc/self/status", r"\s0$"),
    Case("cgroup", ["--cgroup", f"/{host.CTR_NAMESPACE}/box"], "cat /proc/self/cgroup | wc -l", r"^\d+$"),
    Case("no-pivot", ["--no-pivot"], "ls -d /bin /data", r"^/bin\n/data$"),
    Case("net-host", ["--net-host"], "ip -o link | grep -c LOOPBACK", r"^1$"),
    Case("device", ["--device", "/dev/fuse"], "test -c /dev/fuse || echo $?"),
    Case("mounts", ["--mount", "type=tmpfs,src=tmpfs,dst=/mnt,options=size=64k"], "df -k /mnt | tail -n1", r"\s64 "),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_run(ctr: Ctr, same: Same, case: Case) -> None:
    if case.name == "device" and not Path("/dev/fuse").exists():
        pytest.skip("no /dev/fuse here")
    # Once in hundreds of runs ctr loses what a program said that ended at once, with its own runtime too
    for _ in range(3):
        done = ctr.run(BOX, "sh", "-c", case.script, options=("--rm", *case.options))
        assert done.status == case.status, done
        if done.text or not case.expect:
            break
    assert re.search(case.expect, done.text), done
    same((done.status, done.out))


def test_limits(ctr: Ctr, same: Same) -> None:
    done = ctr.run(BOX, "sleep", "1000", options=("-d", "--memory-limit", "67108864", "--cpu-shares", "512"))
    assert done.status == 0, done
    memory = host.cgroup_file(ctr.pid(BOX), "memory.max", "memory/memory.limit_in_bytes")
    shares = host.cgroup_file(ctr.pid(BOX), "cpu.weight", "cpu/cpu.shares")
    assert memory == "67108864"
    assert shares == ("512" if host.cgroup_version() == 1 else "20")
    same((memory, shares))


def test_bind_mount(ctr: Ctr, same: Same, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mounted\n")
    mount = f"type=bind,src={tmp_path},dst=/data,options=rbind:ro"
    done = ctr.run(BOX, "sh", "-c", "cat /data/file; touch /data/new", options=("--rm", "--mount", mount))
    assert (done.status, done.text) == (1, "mounted"), done
    same((done.status, done.out))


@pytest.mark.parametrize("program", ["no-such-program", "/no/such/program", "/etc", "/etc/not-executable"])
def test_what_cannot_be_executed(ctr: Ctr, same: Same, program: str) -> None:
    done = ctr.run(BOX, program, options=("--rm",))
    assert done.status == 1 and program.rpartition("/")[2] in done.err, done
    same(done.status)


@pytest.fixture
def box(ctr: Ctr) -> Ctr:
    """ctr, with a container that sleeps and ends on SIGTERM."""
    script = "trap 'exit 3' TERM; touch /ready; while :; do sleep 1000 & wait; done"
    done = ctr.run(BOX, "sh", "-c", script, options=("-d",))
    assert done.status == 0, done
    ready = ["task", "exec", "--exec-id", "ready", BOX, "test", "-e", "/ready"]
    host.until(lambda: ctr(*ready).status == 0, "the container's script to run")
    return ctr


def test_detached(box: Ctr, same: Same) -> None:
    assert Path(f"/proc/{box.pid(BOX)}/cmdline").read_bytes().startswith(b"sh\0-c\0")
    same(box.status(BOX))


EXECS = [
    (["echo", "hello"], 0, "hello"),
    (["sh", "-c", "exit 9"], 9, ""),
    (["sh", "-c", "sort /proc/1/cgroup > /tmp/1; sort /proc/self/cgroup | diff /tmp/1 -"], 0, ""),
    (["no-such-program"], 1, ""),
]


@pytest.mark.parametrize("case", EXECS, ids=lambda case: " ".join(case[0])[:20])
def test_exec(box: Ctr, same: Same, case: tuple[list[str], int, str]) -> None:
    argv, status, text = case
    done = box("task", "exec", "--exec-id", "one", BOX, *argv)
    assert (done.status, done.text) == (status, text), done
    same((done.status, done.out))


def test_exec_options(box: Ctr, same: Same) -> None:
    done = box("task", "exec", "--exec-id", "one", "--cwd", "/data", "--user", "1234", BOX, "sh", "-c", "pwd; id -u")
    assert (done.status, done.out.split()) == (0, ["/data", "1234"]), done
    same(done)


def test_pause_and_resume(box: Ctr, same: Same) -> None:
    box.ok("task", "pause", BOX)
    paused = box.status(BOX)
    box.ok("task", "resume", BOX)
    assert (paused, box.status(BOX)) == ("PAUSED", "RUNNING")
    assert box.ok("task", "exec", "--exec-id", "one", BOX, "echo", "thawed") == "thawed"
    same((paused, box.status(BOX)))


@pytest.mark.parametrize(("signal", "status"), [("KILL", 137), ("TERM", 3)])
def test_kill(box: Ctr, same: Same, signal: str, status: int) -> None:
    box.ok("task", "kill", "-s", signal, BOX)
    host.until(lambda: box.status(BOX) == "STOPPED", "the end of the task")
    done = box("task", "rm", BOX)
    assert str(status) in done.err, done
    same(done.status)


def test_kill_all(box: Ctr) -> None:
    box.ok("task", "exec", "-d", "--exec-id", "one", BOX, "sleep", "4321")
    box.ok("task", "kill", "-a", "-s", "KILL", BOX)
    host.until(lambda: box.status(BOX) == "STOPPED", "the end of the task")


def test_processes(box: Ctr) -> None:
    box.ok("task", "exec", "-d", "--exec-id", "one", BOX, "sleep", "4321")
    listed = {line.split()[0] for line in box.ok("task", "ps", BOX).splitlines()[1:]}
    assert str(box.pid(BOX)) in listed
    sleep = b"sleep\x004321\0"  # once it has been executed
    host.until(lambda: sleep in [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in listed], "the exec among them")


def test_metrics(box: Ctr) -> None:
    rows = dict(line.split()[:2] for line in box.ok("task", "metrics", BOX).splitlines() if len(line.split()) > 1)
    name = "pids.current" if host.cgroup_version() == 2 else "memory.usage_in_bytes"
    assert int(rows.get(name, 0)) > 0, rows


def test_update_of_resources_by_a_second_container(box: Ctr) -> None:
    """Two containers at once: neither sees the other's processes or cgroup."""
    done = box.run("clients-other", "sh", "-c", "ps | grep -c '[s]leep 1000'", options=("--rm",))
    assert done.text == "0"


TYPED = 'trap : INT; while read -r line; do eval "$line"; done'


def test_terminal(ctr: Ctr) -> None:
    screen = ctr.terminal(BOX, "sh", "-c", TYPED)
    screen.type("until [ \"$(stty size)\" = '33 77' ]; do usleep 20000; done; tty; exit 6\n")
    screen.expect("/dev/pts/0")
    assert screen.close() == 6


def test_exec_terminal(box: Ctr) -> None:
    screen = box.exec_terminal(BOX, "sh", "-c", TYPED)
    screen.type("until [ \"$(stty size)\" = '31 71' ]; do usleep 20000; done; tty; exit 6\n")
    screen.expect("/dev/pts/0")
    assert screen.close() == 6


def test_another_task_in_the_same_container(box: Ctr, same: Same) -> None:
    """The same id again, as soon as the first task has been removed."""
    first = box.pid(BOX)
    box.ok("task", "kill", "-s", "KILL", BOX)
    host.until(lambda: box.status(BOX) == "STOPPED", "the end of the task")
    box("task", "rm", BOX)
    box.ok("task", "start", "-d", BOX)
    assert box.pid(BOX) != first
    same(box.status(BOX))


def test_a_running_task_is_not_removed(box: Ctr, same: Same) -> None:
    done = box("task", "rm", BOX)
    assert done.status == 1 and "must be stopped" in done.err, done
    assert box.status(BOX) == "RUNNING"
    same(done.status)


def test_kill_one_exec(box: Ctr) -> None:
    """Only the process that was added ends."""
    box.ok("task", "exec", "-d", "--exec-id", "one", BOX, "sleep", "4321")
    box.ok("task", "kill", "--exec-id", "one", "-s", "KILL", BOX)
    host.until(lambda: "4321" not in box.ok("task", "exec", "--exec-id", "two", BOX, "ps"), "the end of the exec")
    assert box.status(BOX) == "RUNNING"


def test_the_shim_is_killed(box: Ctr) -> None:
    """containerd then cleans up by itself: `delete --force` of the runtime ends what still runs."""
    pid = box.pid(BOX)
    shim = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    assert Path(f"/proc/{shim}/comm").read_text().startswith("containerd-shim")
    os.kill(shim, signal.SIGKILL)
    host.until(lambda: not Path(f"/proc/{pid}").exists() and not box.status(BOX), "the end of the container")


def test_no_checkpoint(box: Ctr) -> None:
    """Neither has CRIU here; the container must survive the question."""
    assert box("task", "checkpoint", BOX).status == 1
    assert box.ok("task", "exec", "--exec-id", "one", BOX, "echo", "alive") == "alive"


def test_what_start_cannot_execute(ctr: Ctr, runtime: Path | None) -> None:
    """docs/engines.md: the runtime's start tells; runc's container runs, in a way, and ends with 1."""
    done = ctr.run(BOX, "crlf", options=("--rm",))
    assert done.status == 1 and "no such file or directory" in done.err, done
    assert ("carriage return" in done.err) == bool(runtime)


@pytest.mark.guest
@pytest.mark.skipif(not host.has_systemd(), reason="systemd is not PID 1 here: runs in the guest")
def test_systemd_cgroup(ctr: Ctr, same: Same) -> None:
    options = ("-d", "--runc-systemd-cgroup", "--cgroup", "clientsctr.slice:clients:box", "--memory-limit", "67108864")
    done = ctr.run(BOX, "sleep", "1000", options=options)
    assert done.status == 0, done
    cgroup = Path(f"/proc/{ctr.pid(BOX)}/cgroup").read_text().strip()
    assert cgroup.endswith("clientsctr.slice/clients-box.scope")
    same((cgroup, host.cgroup_file(ctr.pid(BOX), "memory.max", "memory/memory.limit_in_bytes")))
