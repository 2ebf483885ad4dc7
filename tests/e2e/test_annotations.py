"""Annotations of crun's that work here too (docs/compatibility.md), each seen by what it changes."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from tests.e2e.box import Box
from tests.e2e.test_hooks import KINDS, hook
from tests.e2e.test_options import Receiver, pid_of
from tests.e2e.test_seccomp import NOTIFY, Listener, seccomp

RECEIVER = "run.oci.seccomp.receiver"


def annotate(box: Box, **annotations: str) -> None:
    """run.oci.NAME, with "__" for a dot."""
    box.spec["annotations"] = {f"run.oci.{name.replace('__', '.')}": value for name, value in annotations.items()}


@pytest.mark.parametrize("way", ["run", "create"])
def test_output_of_all_hooks_is_appended_to_files(box: Box, way: str) -> None:
    out, err = box.place / "hooks.out", box.place / "hooks.err"
    out.write_text("before\n")
    annotate(box, hooks__stdout=str(out), hooks__stderr=str(err))
    box.spec["hooks"] = {kind: [hook(f"echo {kind}; echo no {kind} >&2")] for kind in KINDS}
    if way == "run":
        assert box.run("true") == (0, "", "")
    else:
        box.up()
        assert box.delete("--force").status == 0
    assert out.read_text().split() == ["before", *KINDS]
    assert err.read_text().splitlines() == [f"no {kind}" for kind in KINDS]
    assert err.stat().st_mode & 0o777 == 0o600


def test_one_output_of_hooks_alone(box: Box) -> None:
    """What goes to no file is part of the failure, as without annotations."""
    out = box.place / "hooks.out"
    annotate(box, hooks__stdout=str(out))
    box.spec["hooks"] = {"createRuntime": [hook("echo aside; echo reason >&2; exit 3")]}
    outcome = box.create("true")
    assert outcome.status == 1 and "; output: reason (" in outcome.err
    assert out.read_text() == "aside\n"


@pytest.mark.parametrize("path", ["relative", "/nonexistent/hooks.out", "/"])
def test_a_file_for_hooks_that_cannot_be(box: Box, path: str) -> None:
    annotate(box, hooks__stdout=path)
    box.spec["hooks"] = {"poststop": [hook("true")]}
    outcome = box.create("true")
    assert outcome.status == 1 and box.records()[-1]["origin"] == "/annotations/run.oci.hooks.stdout"
    assert not (box.root / box.name).exists()


def test_pidfd_receiver(box: Box) -> None:
    receiver = Receiver(box.place / "socket")
    annotate(box, pidfd_receiver=receiver.path)
    assert box.create("sleep", "1000").status == 0
    _payload, pidfd = receiver.receive()
    assert pid_of(pidfd) == box.pid()
    os.close(pidfd)
    receiver.server.close()


@pytest.mark.parametrize("way", ["annotation", "variable"])
def test_seccomp_receiver(box: Box, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of listenerPath; start and exec find it too."""
    path = box.place / "agent"
    if way == "annotation":
        annotate(box, seccomp__receiver=str(path))
    else:
        monkeypatch.setenv("RUN_OCI_SECCOMP_RECEIVER", str(path))
    seccomp(box, NOTIFY)
    agent = Listener(path)
    box.up("mkdir /tmp/x; sleep 1000")
    agent.close()
    assert agent.message["pid"] == box.pid()
    path.unlink()
    agent = Listener(path)
    assert box.exec("sh", "-c", "mkdir /tmp/x; echo $?").lines == ["1"]
    agent.close()
    assert agent.message["state"]["status"] == "running"


def test_listener_path_before_receiver(box: Box) -> None:
    path = box.place / "agent"
    agent = Listener(path)
    annotate(box, seccomp__receiver=str(box.place / "nobody"))
    seccomp(box, NOTIFY, listenerPath=str(path))
    assert box.run("mkdir /tmp/x; true").status == 0
    agent.close()
    assert agent.message["state"]["id"] == box.name


def test_a_relative_receiver(box: Box) -> None:
    annotate(box, seccomp__receiver="agent")
    seccomp(box, NOTIFY)
    assert box.create("true").status == 1
    assert box.records()[-1]["origin"] == f"/annotations/{RECEIVER}"


@pytest.mark.parametrize("value", ["1", "0"])
def test_unknown_system_calls(box: Box, value: str) -> None:
    annotate(box, seccomp_fail_unknown_syscall=value)
    seccomp(box, {"names": ["mkdir", "no_such_call"], "action": "SCMP_ACT_ERRNO"})
    outcome = box.run("true")
    if value == "0":
        assert outcome.status == 0
        return
    assert outcome.status == 1 and "'no_such_call'" in outcome.err
    assert box.records()[-1]["origin"] == "/linux/seccomp/syscalls/0/names/1"


def instruction(code: int, k: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """struct sock_filter (linux/filter.h)."""
    return code.to_bytes(2, "little") + bytes((if_true, if_false)) + k.to_bytes(4, "little")


def mkdir_returns(action: int) -> str:
    """A filter that allows everything but mkdir(2), in base64."""
    number = 83 if os.uname().machine == "x86_64" else 34  # mkdir, or mkdirat where there is none
    lines = [
        instruction(0x20, 0),  # load the number of the call
        instruction(0x15, number, 0, 1),  # is it mkdir?
        instruction(0x06, action),
        instruction(0x06, 0x7FFF0000),
    ]
    return base64.b64encode(b"".join(lines)).decode()


def test_a_filter_as_it_is(box: Box) -> None:
    """It takes the place of linux.seccomp, of exec too."""
    annotate(box, seccomp_bpf_data=mkdir_returns(0x00050000 | 71))  # ERRNO, EPROTO
    seccomp(box, {"names": ["chmod", "fchmodat"], "action": "SCMP_ACT_ERRNO"})
    script = "mkdir /tmp/x; chmod 700 /tmp && echo changed"
    outcome = box.run(script)
    assert outcome.lines == ["changed"] and "Protocol error" in outcome.err
    del box.linux["seccomp"]
    box.up()
    outcome = box.exec("sh", "-c", script)
    assert outcome.lines == ["changed"] and "Protocol error" in outcome.err


def test_a_filter_as_it_is_with_a_receiver(box: Box) -> None:
    path = box.place / "agent"
    agent = Listener(path)
    annotate(box, seccomp_bpf_data=mkdir_returns(0x7FC00000), seccomp__receiver=str(path))
    outcome = box.run("mkdir /tmp/x")
    agent.close()
    assert outcome.status == 1 and "Permission denied" in outcome.err


@pytest.mark.parametrize("data", ["!", "AAAA", base64.b64encode(bytes(8 * 4097)).decode()])
def test_a_filter_that_is_none(box: Box, data: str) -> None:
    annotate(box, seccomp_bpf_data=data)
    assert box.create("true").status == 1
    assert box.records()[-1]["origin"] == "/annotations/run.oci.seccomp_bpf_data"


def picture(box: Box) -> list[str]:
    """What a container looks like from outside and from inside: cgroups, mounts, program, filter."""
    box.up("sleep", "1000")
    place = Path(f"/proc/{box.pid()}")
    mounts = [line.split() for line in (place / "mountinfo").read_text().splitlines()]
    seen = [" ".join([*fields[4:6], *fields[fields.index("-") + 1 :]]) for fields in mounts]
    seen += (place / "cgroup").read_text().splitlines()
    seen += [line for line in (place / "status").read_text().splitlines() if line.startswith("Seccomp")]
    seen += [(place / "cmdline").read_text(), box.exec("sh", "-c", "mkdir /tmp/x; cat /proc/self/cgroup").out]
    assert box.delete("--force").status == 0
    return seen


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("run.oci.handler", "krun"), ("run.oci.handler", "wasm"), ("run.oci.handler", "nonsense"),
        ("module.wasm.image/variant", "compat"), ("krun.cpus", "2"), ("krun.ram_mib", "64"),
        ("krun.use_passt", "true"), ("run.oci.seccomp.plugins", "/no/such/plugin.so"),
        ("run.oci.systemd.subgroup", ""), ("run.oci.systemd.subgroup", "sub"), ("run.oci.delegate-cgroup", "sub"),
        ("run.oci.systemd.force_cgroup_v1", "/sys/fs/cgroup/systemd"),
        ("io.kubernetes.cri.container-type", "container"), ("org.criu.config", "/etc/criu/runc.conf"),
    ],
)  # fmt: skip
def test_annotations_of_others_change_nothing(box: Box, name: str, value: str) -> None:
    """Ways to run a program that is no container, plugins for the runtime, cgroups of crun's own (compatibility.md)."""
    seccomp(box, {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"})
    before = picture(box)
    box.spec["annotations"] = {name: value}
    assert picture(box) == before
