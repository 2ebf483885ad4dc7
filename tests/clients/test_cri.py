"""Kubernetes' way: containerd's CRI plugin, with the cgroupfs and systemd drivers."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from tests.clients import host
from tests.clients.conftest import Same
from tests.clients.cri import RUNNING, Cri
from tests.clients.notes import block

drivers = pytest.mark.parametrize("driver", ["cgroupfs", pytest.param("systemd", marks=pytest.mark.guest)])

SLEEP = ("sh", "-c", "trap 'exit 3' TERM; while :; do sleep 1000 & wait; done")


def kinds(cri: Cri, *containers: str) -> list[str]:
    """The kinds of namespaces that the containers have in common, seen from inside."""
    names = ["ipc", "mnt", "net", "pid", "uts"]
    return [
        name
        for name in names
        if len({cri.execute(each, "readlink", f"/proc/self/ns/{name}") for each in containers}) == 1
    ]


@drivers
def test_pod_of_two_containers(cri: Cri, same: Same) -> None:
    pod = cri.pod()
    server = cri.start(pod, "server", "nc", "-ll", "-p", "80", "-e", "echo", "served")
    client = cri.start(pod, "client", *SLEEP)
    shared = kinds(cri, server, client)
    talk = cri.execute(client, "sh", "-c", "until nc 127.0.0.1 80; do usleep 50000; done; hostname")
    assert shared == ["ipc", "net", "uts"]
    assert talk == (0, "served\npod\n")
    same((shared, talk))


def test_shared_process_namespace(cri: Cri, same: Same) -> None:
    """shareProcessNamespace: the containers see each other's processes."""
    pod = cri.pod(namespaces={"pid": "POD"})
    one = cri.start(pod, "one", *SLEEP)
    two = cri.start(pod, "two", "sleep", "4321")
    assert "pid" in kinds(cri, one, two)
    found = cri.execute(one, "sh", "-c", "ps | grep -c '[s]leep 4321'")
    assert found == (0, "1\n")
    same(found)


def test_host_namespaces(cri: Cri, same: Same) -> None:
    pod = cri.pod(hostname="", namespaces={"network": "NODE", "pid": "NODE", "ipc": "NODE"})
    box = cri.start(pod, "box", *SLEEP)
    for kind in ("pid", "ipc"):
        assert cri.execute(box, "readlink", f"/proc/self/ns/{kind}") == (0, os.readlink(f"/proc/self/ns/{kind}") + "\n")
    same(cri.execute(box, "cat", "/proc/sys/kernel/hostname"))


@pytest.mark.parametrize(
    ("command", "status"), [(["sh", "-c", "echo out; exit 7"], 7), (["true"], 0), (["sh", "-c", "kill -9 $$"], 137)]
)
def test_exec_sync(cri: Cri, same: Same, command: list[str], status: int) -> None:
    box = cri.start(cri.pod(), "box", *SLEEP)
    done = cri.execute(box, *command)
    assert done[0] == status
    same(done)


def test_exec_of_what_is_not_there(cri: Cri, same: Same) -> None:
    import grpc

    box = cri.start(cri.pod(), "box", *SLEEP)
    with pytest.raises(grpc.RpcError) as error:
        cri.execute(box, "no-such-program")
    assert "executable file not found in $PATH" in str(error.value)
    same(str(error.value.code()))


def test_exec_with_input(cri: Cri, same: Same) -> None:
    stream = cri.stream(cri.start(cri.pod(), "box", *SLEEP), "sh", "-c", "read a; echo got $a; exit 7", tty=False)
    stream.type("this\n")
    outcome = (stream.end(), stream.output)
    assert outcome == (7, "got this\n")
    same(outcome)


def test_exec_on_a_terminal(cri: Cri) -> None:
    script = "until [ \"$(stty size)\" = '31 71' ]; do usleep 20000; done; tty; read a; exit $a"
    stream = cri.stream(cri.start(cri.pod(), "box", *SLEEP), "sh", "-c", script, tty=True)
    stream.resize(31, 71)
    stream.expect("/dev/pts/0")
    stream.type("6\n")
    assert stream.end() == 6


def test_what_cannot_be_started(cri: Cri, same: Same) -> None:
    import grpc

    pod = cri.pod()
    with pytest.raises(grpc.RpcError) as error:
        cri.start(pod, "box", "no-such-program")
    assert "executable file not found in $PATH" in str(error.value)
    same(str(error.value.code()))


def test_log_and_status(cri: Cri, same: Same) -> None:
    box = cri.start(cri.pod(), "box", "sh", "-c", "echo out; echo err >&2; exit 9")
    assert cri.wait(box) == 9
    assert sorted(cri.log("box")) == ["err", "out"]
    same(cri.status(box).reason)


def test_created_but_not_started(cri: Cri) -> None:
    """Create and start are separate calls here; a container may be removed in between."""
    box = cri.create(cri.pod(), "box", *SLEEP)
    assert cri.status(box).state == 0
    cri.service.RemoveContainer(cri.container(box))


@drivers
@pytest.mark.parametrize(("seconds", "status"), [(60, 3), (0, 137)])
def test_stop_and_remove(cri: Cri, same: Same, seconds: int, status: int) -> None:
    box = cri.start(cri.pod(), "box", *SLEEP)
    cri.execute(box, "sh", "-c", "until grep -q SigCgt.*[4-7c-f]... /proc/1/status; do usleep 20000; done")
    assert cri.status(box).state == RUNNING
    cri.stop(box, seconds)
    assert cri.status(box).exit_code == status
    cri.service.RemoveContainer(cri.container(box))
    same(status)


def test_security_context(cri: Cri, same: Same, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mounted\n")
    tmp_path.chmod(0o755)
    context = {
        "run_as_user": {"value": 1234},
        "run_as_group": {"value": 1234},
        "supplemental_groups": [4321],
        "readonly_rootfs": True,
        "no_new_privs": True,
        "capabilities": {"drop_capabilities": ["ALL"]},
        "seccomp": {"profile_type": "RuntimeDefault"},
    }
    script = "id; touch /file; cat /data/file; grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; echo $A; pwd"
    options = {
        "mounts": [{"container_path": "/data", "host_path": str(tmp_path), "readonly": True}],
        "envs": [{"key": "A", "value": "x y"}],
        "working_dir": "/mnt",
    }
    box = cri.start(cri.pod(), "box", "sh", "-c", script, linux={"security_context": context}, **options)
    cri.wait(box)
    lines = cri.log("box")
    for wanted in (
        "uid=1234",
        "4321",
        "Read-only",
        "mounted",
        r"CapBnd:\s0+$",
        r"Privs:\s1",
        r"Seccomp:\s2",
        "x y",
        "/mnt",
    ):
        assert any(re.search(wanted, line) for line in lines), (wanted, lines)
    same(sorted(lines))


@drivers
def test_limits_and_update(cri: Cri, same: Same) -> None:
    resources = {"memory_limit_in_bytes": 64 << 20, "cpu_quota": 50_000, "cpu_period": 100_000, "cpu_shares": 512}
    box = cri.start(cri.pod(), "box", *SLEEP, linux={"resources": resources})
    limits = [cri.execute(box, "limit", name) for name in ("memory", "cpu")]
    assert limits == [(0, f"{64 << 20}\n"), (0, "50000 100000\n")]
    changed = {"memory_limit_in_bytes": 48 << 20, "cpu_quota": 25_000}
    cri.service.UpdateContainerResources(cri.messages.UpdateContainerResourcesRequest(container_id=box, linux=changed))
    limits += [cri.execute(box, "limit", name) for name in ("memory", "cpu")]
    assert limits[2:] == [(0, f"{48 << 20}\n"), (0, "25000 100000\n")]
    same(limits)


@drivers
def test_out_of_memory(cri: Cri, same: Same) -> None:
    limits = {"resources": {"memory_limit_in_bytes": 16 << 20}}
    pod = cri.pod()
    assert cri.wait(cri.start(pod, "short", "tail", "/dev/zero", linux=limits)) == 137
    # Of a container that lives on: a cgroup that is gone tells containerd nothing any more
    script = "tail /dev/zero; test $? = 137 && exec sleep 1000"
    box = cri.start(pod, "box", "sh", "-c", script, linux=limits)
    host.until(lambda: cri.status(box).reason == "OOMKilled", "containerd hears of it")
    cri.stop(box, 0)
    same(cri.status(box).reason)


@drivers
def test_stats(cri: Cri) -> None:
    box = cri.start(cri.pod(), "box", *SLEEP)
    stats = cri.service.ContainerStats(cri.container(box)).stats
    assert stats.memory.working_set_bytes.value > 0
    assert stats.cpu.usage_core_nano_seconds.value > 0


@drivers
def test_privileged(cri: Cri, same: Same, runtime: Path | None) -> None:
    """In the host's cgroup namespace; docs/engines.md says what is different in /sys/fs/cgroup there."""
    if not runtime and not host.may_raise_limits():
        pytest.skip("runc refuses to give a container CAP_SYS_RESOURCE, which nobody has here")
    pod = cri.pod(privileged=True)
    box = cri.start(pod, "box", *SLEEP, linux={"security_context": {"privileged": True}})
    script = "mount -t tmpfs none /mnt && stat -f -c %T /mnt && ls /dev/kmsg && ls -d /sys/fs/cgroup/*memory* | wc -w"
    status, output = cri.execute(box, "sh", "-c", script)
    assert status == 0 and int(output.split()[-1]) > 0, output
    found = (status, output.split()[:-1])
    assert found == (0, ["tmpfs", "/dev/kmsg"])
    same(found)


def test_seccomp_profile_of_the_node(cri: Cri, same: Same, tmp_path: Path) -> None:
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 122}  # EDQUOT
    (tmp_path / "profile.json").write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    context = {"seccomp": {"profile_type": "Localhost", "localhost_ref": str(tmp_path / "profile.json")}}
    box = cri.start(cri.pod(), "box", *SLEEP, linux={"security_context": context})
    found = cri.execute(box, "mkdir", "/tmp/new")
    assert found[0] == 1 and "quota" in found[1].lower(), found
    same(found)


def test_sysctl_of_a_pod(cri: Cri, same: Same) -> None:
    pod = cri.pod(sysctls={"kernel.shmmni": "77", "net.ipv4.ip_unprivileged_port_start": "88"})
    box = cri.start(pod, "box", *SLEEP)
    found = cri.execute(box, "sysctl", "-n", "kernel.shmmni", "net.ipv4.ip_unprivileged_port_start")
    assert found == (0, "77\n88\n")
    same(found)


def test_pod_status(cri: Cri) -> None:
    pod = cri.pod()
    status = cri.service.PodSandboxStatus(cri.messages.PodSandboxRequest(pod_sandbox_id=pod)).status
    assert (status.state, status.runtime_handler) == (0, cri.handler)
    assert status.network.ip.startswith("10.99.")


@drivers
def test_cgroup_of_the_driver(cri: Cri) -> None:
    box = cri.start(cri.pod(), "box", *SLEEP)
    wanted = f"cri-containerd-{box}.scope" if cri.handler.endswith("-systemd") else f"/clientscri/{box}"
    with_pid = [
        entry for entry in Path("/proc").glob("[0-9]*/cgroup") if box in (entry.read_text() if entry.exists() else "")
    ]
    assert with_pid and all(wanted in entry.read_text() for entry in with_pid)


def test_a_container_is_replaced_in_its_pod(cri: Cri, same: Same) -> None:
    """As kubelet does when one has ended: the sandbox and its network stay."""
    pod = cri.pod()
    first = cri.start(pod, "box", "sh", "-c", "exit 4")
    assert cri.wait(first) == 4
    cri.service.RemoveContainer(cri.container(first))
    second = cri.start(pod, "box", *SLEEP)
    assert cri.execute(second, "hostname") == (0, "pod\n")
    same(cri.status(second).state)


def test_exec_that_takes_too_long(cri: Cri, same: Same) -> None:
    """How probes fail: the command is killed, the container lives on."""
    import grpc

    box = cri.start(cri.pod(), "box", *SLEEP)
    request = cri.messages.ExecSyncRequest(container_id=box, cmd=["sleep", "4321"], timeout=1)
    with pytest.raises(grpc.RpcError) as error:
        cri.service.ExecSync(request)
    assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert cri.execute(box, "sh", "-c", "ps | grep -c '[s]leep 4321'") == (1, "0\n")
    same(cri.status(box).state)


def test_two_pods_are_apart(cri: Cri) -> None:
    """Two sandboxes of one handler, one name of a container in both."""
    boxes = [cri.start(cri.pod(hostname=name, name=name), "box", *SLEEP) for name in ("left", "right")]
    assert kinds(cri, *boxes) == []
    assert [cri.execute(box, "hostname")[1] for box in boxes] == ["left\n", "right\n"]


def test_the_handler_of_the_runtime_class() -> None:
    """The RuntimeClass of the install notes names the runtime that its TOML defines, and the pod that class."""
    manifest = block("Kubernetes", "yaml")
    (handler,) = re.findall(r"^handler: (\S+)$", manifest, re.MULTILINE)
    (name,) = re.findall(r"^kind: RuntimeClass\nmetadata:\n  name: (\S+)$", manifest, re.MULTILINE)
    (used,) = re.findall(r"^  runtimeClassName: (\S+)$", manifest, re.MULTILINE)
    assert f"containerd.runtimes.{handler}]" in block("Kubernetes", "toml")
    assert name == used
