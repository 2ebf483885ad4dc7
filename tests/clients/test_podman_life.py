"""podman: the life of a container after `run -d`, terminals, exec, pods."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.clients import host
from tests.clients.conftest import Same
from tests.clients.podman import Podman, has_cgroup, rootless

IMAGE = "clients:1"
BOX = "clients-box"

POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: clients-kube
spec:
  hostname: kube
  restartPolicy: Never
  containers:
  - name: server
    image: docker.io/library/clients:1
    imagePullPolicy: Never
    command: [nc, -ll, -p, "80", -e, echo, served]
    resources: {}
  - name: client
    image: docker.io/library/clients:1
    imagePullPolicy: Never
    command: [sh, -c, "until nc 127.0.0.1 80; do usleep 50000; done; hostname"]
    securityContext: {runAsUser: 1234, capabilities: {drop: [ALL]}}
"""


@pytest.fixture
def box(podman: Podman) -> Podman:
    """podman, with a container that sleeps and ends on SIGTERM."""
    script = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 1000 & wait; done"
    podman.ok("run", "-d", "--name", BOX, "--network", "none", IMAGE, "sh", "-c", script)
    host.until(lambda: "ready" in podman.ok("logs", BOX), "the container's first words")
    return podman


def state(podman: Podman, name: str = BOX) -> dict[str, Any]:
    """The part of `inspect` that does not differ from run to run."""
    found = podman.inspect(name)
    kept = {name: found["State"][name] for name in ("Status", "Running", "Paused", "OOMKilled", "Dead", "ExitCode")}
    return {**kept, "caps": found["EffectiveCaps"], "pid": found["State"]["Pid"] > 0}


@pytest.mark.guest
def test_detached_container_is_running(box: Podman, same: Same) -> None:
    outcome = state(box)
    assert (outcome["Status"], outcome["pid"]) == ("running", True)
    assert box.inspect(BOX)["OCIRuntime"] == ("ociruntime" if box.runtime else "crun")
    assert Path(f"/proc/{box.pid(BOX)}/cmdline").read_bytes().startswith(b"sh\0-c\0")
    same(outcome)


def test_logs(podman: Podman, same: Same) -> None:
    podman("run", "--name", BOX, "--network", "none", IMAGE, "sh", "-c", "echo out; echo err >&2; printf unfinished")
    done = podman("logs", BOX)
    assert (done.out, done.err) == ("out\nunfinished", "err\n"), done
    same(done)


@pytest.mark.guest
def test_stop_lets_the_container_say_goodbye(box: Podman, same: Same) -> None:
    box.ok("stop", "-t", "60", BOX)
    assert "bye" in box.ok("logs", BOX)
    assert state(box)["ExitCode"] == 3
    same(state(box))


def test_stop_kills_in_the_end(podman: Podman, same: Same) -> None:
    podman.ok("run", "-d", "--name", BOX, "--network", "none", IMAGE, "sleep", "1000")  # PID 1 ignores SIGTERM
    podman.ok("stop", "-t", "1", BOX)
    assert state(podman)["ExitCode"] == 137
    same(state(podman))


@pytest.mark.parametrize(("signal", "status"), [("KILL", 137), ("SIGTERM", 3), ("15", 3)])
def test_kill(box: Podman, same: Same, signal: str, status: int) -> None:
    box.ok("kill", "--signal", signal, BOX)
    assert box.ok("wait", BOX) == str(status)
    same(state(box))


def test_kill_of_a_stopped_container(box: Podman, same: Same) -> None:
    box.ok("kill", BOX)
    box.ok("wait", BOX)
    done = box("kill", BOX)
    assert done.status == 125
    same(done.status)


def test_kill_all_processes_of_a_host_pid_namespace(podman: Podman) -> None:
    """Without a PID namespace of its own a container ends only if all of its cgroup is killed."""
    if rootless():
        pytest.skip("the host's PID namespace needs root here")
    podman.ok("run", "-d", "--name", BOX, "--pid", "host", IMAGE, "sh", "-c", "sleep 4321 & sleep 4321 & wait")
    podman.ok("rm", "-f", "-t", "0", BOX)  # what is left is found by the fixture nothing_left


@pytest.mark.guest
def test_pause_and_unpause(box: Podman, same: Same) -> None:
    if not has_cgroup():
        pytest.skip("pausing needs a cgroup")
    box.ok("pause", BOX)
    paused = state(box)
    refused = box("exec", BOX, "true").status
    box.ok("unpause", BOX)
    assert (paused["Status"], refused > 0, state(box)["Status"]) == ("paused", True, "running")
    assert box.ok("exec", BOX, "echo", "thawed") == "thawed"
    same((paused, refused, state(box)))


@pytest.mark.guest
def test_stats(box: Podman) -> None:
    if not has_cgroup():
        pytest.skip("statistics need a cgroup")
    stats = json.loads(box.ok("stats", "--no-stream", "--format", "json", BOX))[0]
    assert stats["name"] == BOX
    assert int(stats["pids"]) >= 1
    assert not stats["mem_usage"].startswith("0B /")


@pytest.mark.guest
def test_update(podman: Podman, same: Same) -> None:
    if not has_cgroup():
        pytest.skip("limits need a cgroup")
    podman.ok("run", "-d", "--name", BOX, "--network", "none", "--memory", "64m", IMAGE, "sleep", "1000")
    podman.ok("update", "--memory", "48m", "--cpus", "0.25", BOX)
    limits = [podman.ok("exec", BOX, "limit", each) for each in ("memory", "cpu")]
    assert limits == [str(48 << 20), "25000 100000"]
    same(limits)


def test_top(box: Podman, same: Same) -> None:
    rows = box.ok("top", BOX, "user", "pid", "ppid", "comm").splitlines()
    assert rows[0].split() == ["USER", "PID", "PPID", "COMMAND"]
    assert rows[1].split() == ["root", "1", "0", "sh"]
    same(rows)


def test_oom(podman: Podman, same: Same) -> None:
    if not has_cgroup():
        pytest.skip("limits need a cgroup")
    options = ["--memory", "16m", "--memory-swap", "16m", "--network", "none"]
    done = podman("run", "--name", BOX, *options, IMAGE, "sh", "-c", "tail /dev/zero")
    assert done.status == 137 or "Killed" in done.err, done
    same(done.status)


def test_healthcheck(podman: Podman, same: Same) -> None:
    check = ["--health-cmd", "test -e /healthy", "--health-interval", "disable", "--health-retries", "1"]
    podman.ok("run", "-d", "--name", BOX, "--network", "none", *check, IMAGE, "sleep", "1000")
    sick = podman("healthcheck", "run", BOX)
    podman.ok("exec", BOX, "touch", "/healthy")
    healthy = podman("healthcheck", "run", BOX)
    assert (sick.status, healthy.status) == (1, 0)
    same((sick.out, healthy.out))


def test_restart_policy(podman: Podman, same: Same) -> None:
    podman(
        "run", "--name", BOX, "--network", "none", "--restart", "on-failure:2", IMAGE, "sh", "-c", "echo try; exit 5"
    )
    host.until(lambda: podman.inspect(BOX)["RestartCount"] == 2 and podman.status(BOX) == "exited", "two restarts")
    assert podman.ok("logs", BOX).split() == ["try"] * 3
    same(state(podman))


def test_restart_policy_always(podman: Podman, same: Same) -> None:
    podman.ok("run", "-d", "--name", BOX, "--network", "none", "--restart", "always", IMAGE, "sleep", "1000")
    os.kill(podman.pid(BOX), signal.SIGKILL)  # not by podman, whose `kill` means it
    host.until(lambda: podman.inspect(BOX)["RestartCount"] == 1 and podman.status(BOX) == "running", "a restart")
    podman.ok("stop", "-t", "0", BOX)
    assert podman.status(BOX) == "exited"
    same(podman.status(BOX))


def test_stop_signal(podman: Podman, same: Same) -> None:
    script = "trap 'exit 4' USR1; echo ready; while :; do sleep 1000 & wait; done"
    options = ["--name", BOX, "--network", "none", "--stop-signal", "USR1"]
    podman.ok("run", "-d", *options, IMAGE, "sh", "-c", script)
    host.until(lambda: "ready" in podman.ok("logs", BOX), "the container's first words")
    podman.ok("stop", "-t", "60", BOX)
    assert state(podman)["ExitCode"] == 4
    same(state(podman))


def test_copy_and_commit(box: Podman, same: Same, tmp_path: Path) -> None:
    """Files go into a running container and come back; what changed becomes an image."""
    (tmp_path / "file").write_text("copied\n")
    box.ok("cp", tmp_path / "file", f"{BOX}:/data/file")
    inside = box.ok("exec", BOX, "cat", "/data/file")
    box.ok("cp", f"{BOX}:/data/file", tmp_path / "back")
    box.ok("commit", "-q", BOX, "clients-committed:1")
    changed = box.ok("diff", BOX).splitlines()
    again = box.ok("run", "--rm", "--network", "none", "clients-committed:1", "cat", "/data/file")
    box.ok("rmi", "clients-committed:1")
    assert (inside, (tmp_path / "back").read_text(), again) == ("copied", "copied\n", "copied")
    assert "A /data/file" in changed
    same(sorted(changed))


def test_a_container_that_has_stopped_refuses(podman: Podman, same: Same) -> None:
    podman.ok("run", "--name", BOX, "--network", "none", IMAGE, "true")
    refused = [podman(*words, BOX, *more).status for words, more in REFUSED]
    assert refused == [255, 125, 125, 125]
    same(refused)


REFUSED = [(["exec"], ["true"]), (["pause"], []), (["kill"], []), (["top"], [])]


def test_restart_and_start_again(box: Podman, same: Same) -> None:
    first = box.pid(BOX)
    box.ok("restart", "-t", "60", BOX)
    assert box.pid(BOX) != first
    box.ok("kill", BOX)
    box.ok("wait", BOX)
    box.ok("start", BOX)
    assert state(box)["Status"] == "running"
    same(state(box))


def test_create_init_start(podman: Podman, same: Same) -> None:
    podman.ok("create", "--name", BOX, "--network", "none", IMAGE, "sleep", "1000")
    podman.ok("init", BOX)
    made = state(podman)
    podman.ok("start", BOX)
    assert (made["Status"], state(podman)["Status"]) == ("initialized", "running")
    same((made, state(podman)))


def test_start_attached(podman: Podman, same: Same) -> None:
    podman.ok("create", "--name", BOX, "--network", "none", IMAGE, "sh", "-c", "echo attached; exit 4")
    done = podman("start", "--attach", BOX)
    assert (done.status, done.text) == (4, "attached")
    same(done)


def test_no_checkpoint(box: Podman, same: Same) -> None:
    """Neither has CRIU here; the container must survive the question."""
    assert box("container", "checkpoint", BOX).status == 125
    assert box.ok("exec", BOX, "echo", "alive") == "alive"
    same(box.status(BOX))


@pytest.mark.skipif(rootless() or host.cgroup_version() == 2, reason="here the manager is systemd; see test_systemd.py")
def test_the_other_cgroup_manager(podman: Podman, same: Same) -> None:
    """systemd's, where there is no systemd: an error from the runtime, and nothing is left."""
    other = ["--cgroup-manager", "systemd", "run", "--rm", "--network", "none", IMAGE, "true"]
    if host.has_systemd():
        pytest.skip("systemd runs here; see test_systemd.py")
    done = podman(*other)
    assert done.status == 127 and "bus" in done.err, done
    mine = podman.ok("--cgroup-manager", "cgroupfs", *other[2:-1], "cat", "/proc/self/cgroup")
    assert "/libpod_parent/libpod-" in mine
    same(done.status)


# --- exec -------------------------------------------------------------------

EXECS = [
    pytest.param((["sh", "-c", "echo out; exit 9"], 9, "out"), marks=pytest.mark.guest),
    (["-e", "A=1", "-w", "/data", BOX, "sh", "-c", "echo $A $PWD"], 0, "1 /data"),
    (["--user", "guest", BOX, "id", "-un"], 0, "guest"),
    (["--user", "7:8", BOX, "sh", "-c", "id -u; id -g"], 0, "7\n8"),
    (["--privileged", BOX, "sh", "-c", "grep -c 'CapEff:.*ffff$' /proc/self/status"], 0, "1"),
    (["sh", "-c", "sort /proc/1/cgroup > /tmp/1; sort /proc/self/cgroup | diff /tmp/1 -"], 0, ""),
    (["no-such-program"], 127, ""),
    (["/no/such/program"], 127, ""),
    (["/etc"], 126, ""),
    (["-w", "/no/such/folder", BOX, "true"], 127, ""),
    (["sh", "-c", "kill -9 $$"], 137, ""),
]  # fmt: skip


@pytest.mark.parametrize("case", EXECS, ids=lambda case: " ".join(case[0])[:30])
def test_exec(box: Podman, same: Same, case: tuple[list[str], int, str]) -> None:
    args, status, text = case
    done = box("exec", *([] if BOX in args else [BOX]), *args)
    assert (done.status, done.text) == (status, text), done
    same((done.status, done.out))


def test_exec_stdin(box: Podman, same: Same) -> None:
    done = box("exec", "-i", BOX, "wc", "-c", stdin="x" * 100_000)
    assert (done.status, done.text) == (0, "100000"), done
    same(done)


def test_exec_preserve_fds(box: Podman, same: Same, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("handed over\n")
    done = box("exec", "--preserve-fds", "1", BOX, "sh", "-c", "cat <&3", descriptor=tmp_path / "file")
    assert (done.status, done.text) == (0, "handed over"), done
    same(done)


def test_exec_detached(box: Podman) -> None:
    box.ok("exec", "-d", BOX, "sh", "-c", "echo detached > /tmp/done")
    host.until(lambda: box("exec", BOX, "cat", "/tmp/done").text == "detached", "what the detached command writes")


# --- terminals --------------------------------------------------------------

SHELL = ["sh", "-c", 'trap : INT; while read -r line; do eval "$line"; done']
"""busybox's interactive shell asks the terminal where the cursor is; this one does not."""


def test_run_on_a_terminal(podman: Podman) -> None:
    screen = podman.terminal("run", "--rm", "-it", "--network", "none", IMAGE, *SHELL, rows=33, columns=77)
    screen.type("tty; stty size; ls -l /dev/console | cut -c1; echo e''nd\n")
    assert screen.expect(r"(?s)\n(/dev/[^\r]+.*?)\r\nend").split() == ["/dev/pts/0", "33", "77", "c"]
    screen.resize(20, 50)
    screen.type("while [ \"$(stty size)\" != '20 50' ]; do usleep 20000; done; echo re''sized\n")
    screen.expect("resized")
    # ^C throws away what nobody has read yet, and the shell itself survives it: a child of its own does at no time
    screen.type("(echo sle''eping; exec sleep 1000) || echo inter''rupted\n")
    screen.expect("sleeping")
    screen.type("\x03")
    screen.expect("interrupted")
    screen.type("echo still he''re; exit 12\n")
    screen.expect("still here")
    assert screen.close() == 12


def test_exec_on_a_terminal(box: Podman) -> None:
    screen = box.terminal("exec", "-it", BOX, *SHELL, rows=31, columns=71)
    screen.type("until [ \"$(stty size)\" = '31 71' ]; do usleep 20000; done; tty; exit 6\n")
    screen.expect("/dev/pts/0")
    assert screen.close() == 6


def test_attach_to_a_terminal_and_leave(podman: Podman) -> None:
    podman.ok("run", "-dit", "--name", BOX, "--network", "none", IMAGE, *SHELL)
    screen = podman.terminal("attach", "--detach-keys", "ctrl-x", BOX)
    screen.type("echo he''llo\n")
    screen.expect("hello")
    screen.type("\x18")
    screen.close()
    assert podman.status(BOX) == "running"


# --- namespaces of others, pods ---------------------------------------------


@pytest.mark.parametrize("kind", ["pid", "ipc", "net"])
def test_join_a_namespace_of_a_container(box: Podman, same: Same, kind: str) -> None:
    script = ["readlink", f"/proc/self/ns/{kind}"]
    inside = box.ok("run", "--rm", f"--{kind}", f"container:{BOX}", IMAGE, *script)
    assert inside == os.readlink(f"/proc/{box.pid(BOX)}/ns/{kind}")
    same(inside.partition(":")[0])


def test_join_the_user_namespace_of_a_container(podman: Podman, same: Same) -> None:
    if rootless():
        pytest.skip("as an ordinary user all containers share one user namespace")
    maps = ["--uidmap", "0:100000:1000", "--gidmap", "0:100000:1000"]
    podman.ok("run", "-d", "--name", BOX, "--network", "none", *maps, IMAGE, "sleep", "1000")
    options = ["--network", "none", "--userns", f"container:{BOX}"]
    done = podman("run", "--rm", *options, IMAGE, "sh", "-c", "readlink /proc/self/ns/user; cat /proc/self/uid_map")
    assert os.readlink(f"/proc/{podman.pid(BOX)}/ns/user") in done.out, done
    same(done.out.splitlines()[1:])


@pytest.mark.parametrize("kind", ["pid", "ipc", "net"])
def test_share_a_namespace_with_the_host(podman: Podman, same: Same, kind: str) -> None:
    if kind == "ipc" and rootless() and not Path("/dev/mqueue").exists():
        pytest.skip("podman without root binds the host's /dev/mqueue, which is not there")
    if kind == "net":
        ours = host.run([*podman.home.prefix, "readlink", "/proc/self/ns/net"]).text
    else:
        ours = os.readlink(f"/proc/self/ns/{kind}")
    inside = podman("run", "--rm", f"--{kind}", "host", IMAGE, "readlink", f"/proc/self/ns/{kind}")
    assert inside.text == ours, inside
    same(inside.status)


def shared_kinds(pids: list[int]) -> list[str]:
    """The kinds of namespaces that the processes have in common."""
    kinds = ("net", "ipc", "uts", "pid", "mnt")
    return [kind for kind in kinds if len({os.readlink(f"/proc/{pid}/ns/{kind}") for pid in pids}) == 1]


@pytest.mark.guest
def test_pod_shares_namespaces(podman: Podman, same: Same) -> None:
    infra = ["--infra-image", "clients-pause:1", "--infra-command", "/bin/sleep inf"]
    podman.ok("pod", "create", "--name", "clients-pod", "--network", "none", "--hostname", "pod", *infra)
    names = ["clients-a", "clients-b"]
    for name in names:
        podman.ok("run", "-d", "--pod", "clients-pod", "--name", name, IMAGE, "sleep", "1000")
    shared = shared_kinds([podman.pid(name) for name in names])
    assert shared == ["net", "ipc", "uts"]
    podman.ok("exec", "-d", names[0], "nc", "-l", "-p", "80", "-e", "echo", "neighbour")
    talk = "until nc 127.0.0.1 80; do usleep 50000; done; hostname"
    assert podman.ok("exec", names[1], "sh", "-c", talk).split() == ["neighbour", "pod"]
    if has_cgroup():
        podman.ok("pod", "pause", "clients-pod")
        assert [podman.status(name) for name in names] == ["paused"] * 2
        podman.ok("pod", "unpause", "clients-pod")
    podman.ok("pod", "stop", "-t", "0", "clients-pod")
    assert [podman.status(name) for name in names] == ["exited"] * 2
    same(shared)


def test_pod_shares_processes(podman: Podman, same: Same) -> None:
    infra = ["--infra-image", "clients-pause:1", "--infra-command", "/bin/sleep inf"]
    podman.ok("pod", "create", "--name", "clients-pod", "--network", "none", "--share", "pid,net", *infra)
    podman.ok("run", "-d", "--pod", "clients-pod", "--name", "clients-a", IMAGE, "sleep", "4321")
    seen = podman.ok("run", "--rm", "--pod", "clients-pod", IMAGE, "sh", "-c", "ps | grep -c '[s]leep 4321'")
    assert seen == "1"
    same(seen)


def test_play_kube(podman: Podman, same: Same, tmp_path: Path) -> None:
    limited = POD.replace("resources: {}", "resources: {limits: {memory: 32Mi}}")
    (tmp_path / "pod.yaml").write_text(limited if has_cgroup() else POD)
    podman.ok("play", "kube", "--network", "none", tmp_path / "pod.yaml")
    client, server = "clients-kube-client", "clients-kube-server"
    assert podman.ok("wait", client) == "0"
    assert podman.ok("logs", client).split() == ["served", "kube"]
    if has_cgroup():
        assert podman.ok("exec", server, "limit", "memory") == str(32 << 20)
    podman.ok("play", "kube", "--down", tmp_path / "pod.yaml")
    same(podman.ok("ps", "-aq"))
