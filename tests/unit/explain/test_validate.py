"""`validate` finds every kind of problem at once, on real bundles of this host."""

from __future__ import annotations

import itertools
import json
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ociruntime import cli
from ociruntime.commands import validate as command
from ociruntime.core.kernel import Kernel
from ociruntime.core.lifecycle.probe import probe_host
from ociruntime.explain.advice import ADVICE
from ociruntime.explain.host import DOUBTFUL, IMPOSSIBLE
from ociruntime.explain.inside import find_inside, find_program
from ociruntime.explain.problem import ERROR, WARNING, Problem
from ociruntime.explain.risks import RISKS
from ociruntime.explain.validate import validate
from ociruntime.model import Spec
from tests.unit.spec.test_verdicts import all_variants

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="another user than root needs a user namespace in each bundle"),
]

Edit = Callable[[dict[str, Any]], Any]


def document() -> dict[str, Any]:
    """A configuration that nothing can be said against."""
    return {
        "ociVersion": "1.3.0",
        "root": {"path": "rootfs"},
        "process": {"cwd": "/", "args": ["tool"], "env": ["PATH=/bin"], "noNewPrivileges": True},
        "mounts": [],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "network", "mount", "ipc", "uts")],
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "seccomp": {
                "defaultAction": "SCMP_ACT_ERRNO",
                "syscalls": [{"names": ["read", "execve"], "action": "SCMP_ACT_ALLOW"}],
            },
        },
    }


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    tool = tmp_path / "rootfs" / "bin" / "tool"
    tool.parent.mkdir(parents=True)
    tool.touch(0o755)
    return tmp_path


def problems(bundle: Path, edit: Edit = lambda document: None, *, host: bool = True) -> list[Problem]:
    wrong = document()
    edit(wrong)
    (bundle / "config.json").write_text(json.dumps(wrong, indent=1))
    return validate(str(bundle), host=probe_host(Kernel()) if host else None)


def bind(source: str, *options: str) -> dict[str, Any]:
    return {"destination": "/data", "source": source, "options": ["rbind", *options]}


def mounting(*mounts: dict[str, Any]) -> Edit:
    return lambda document: document.update(mounts=list(mounts))


def process(**parts: Any) -> Edit:
    return lambda document: document["process"].update(parts)


def linux(**parts: Any) -> Edit:
    return lambda document: document["linux"].update(parts)


def hooks(kind: str, path: str) -> Edit:
    return lambda document: document.update(hooks={kind: [{"path": path}]})


def namespace(kind: str, path: str) -> Edit:
    def edit(document: dict[str, Any]) -> None:
        (item,) = [item for item in document["linux"]["namespaces"] if item["type"] == kind]
        item["path"] = path

    return edit


def without(kind: str) -> Edit:
    def edit(document: dict[str, Any]) -> None:
        document["linux"]["namespaces"] = [item for item in document["linux"]["namespaces"] if item["type"] != kind]

    return edit


def test_nothing_can_be_said_against_a_good_bundle(bundle: Path) -> None:
    assert problems(bundle) == []


# Code, pointer, and the edit of a good document that provokes exactly this on any host.
FOUND: list[tuple[str, str, Edit]] = [
    ("host-rootfs", "/root/path", lambda document: document["root"].update(path="nowhere")),
    ("host-rootfs", "/root/path", lambda document: document["root"].update(path="config.json")),
    ("host-mount-source", "/mounts/0/source", mounting(bind("none/such", "ro"))),
    ("host-mount-type", "/mounts/0/type", mounting({"destination": "/data", "type": "nosuchfs"})),
    ("host-namespace-path", "/linux/namespaces/0/path", namespace("pid", "/nonexistent/ns")),
    ("host-namespace-path", "/linux/namespaces/1/path", namespace("network", "/etc/passwd")),
    ("host-namespace-path", "/linux/namespaces/4/path", namespace("uts", "/proc/self/ns/cgroup")),
    ("host-rlimit", "/process/rlimits/0/hard", process(rlimits=[{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 2**40}])),
    ("host-hook", "/hooks/poststop/0/path", hooks("poststop", "/no/hook")),
    ("host-hook", "/hooks/poststop/0/path", hooks("poststop", "/etc/passwd")),
    ("host-hook", "/hooks/startContainer/0/path", hooks("startContainer", "/etc/passwd")),
    ("host-program", "/process/args/0", process(args=["missing"])),
    ("host-program", "/process/args/0", process(args=["/bin"])),
    ("host-net-device", "/linux/netDevices", linux(netDevices={"nosuch0": {}})),
    ("host-sysctl", "/linux/sysctl/net.no.such", linux(sysctl={"net.no.such": "1"})),
    ("risk-host-namespace", "/linux/namespaces", without("pid")),
    ("risk-host-namespace", "/linux/namespaces", without("network")),
    ("risk-joined-host-namespace", "/linux/namespaces/3/path", namespace("ipc", "/proc/self/ns/ipc")),
    (
        "risk-mappings",
        "/linux/uidMappings",
        linux(uidMappings=[{"containerID": 0, "hostID": 1000, "size": 1}]),
    ),
    ("risk-no-seccomp", "/linux/seccomp", linux(seccomp={"defaultAction": "SCMP_ACT_ALLOW"})),
    ("risk-no-seccomp", "/linux", lambda document: document["linux"].pop("seccomp")),
    ("risk-privileges", "/process", process(user={"uid": 5, "gid": 5}, noNewPrivileges=False)),
    (
        "risk-writable-cgroup",
        "/mounts/0",
        mounting({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"}),
    ),
    ("risk-writable-proc", "/mounts/0", mounting({"destination": "/sys", "type": "sysfs", "source": "sysfs"})),
    (
        "risk-all-devices",
        "/linux/resources/devices/1",
        linux(resources={"devices": [{"allow": False, "access": "rwm"}, {"allow": True, "access": "rwm"}]}),
    ),
    ("risk-all-devices", "/linux/resources", linux(resources={})),
    ("risk-precious-bind", "/mounts/0/source", mounting(bind("/etc"))),
    ("risk-propagation", "/mounts/0", mounting(bind("/tmp", "rshared"))),
    ("advice-unknown-property", "/process/noNewPrivilege", process(noNewPrivilege=True)),
    (
        "advice-unknown-property",
        "/linux/namespaces/0/paths",
        lambda document: document["linux"]["namespaces"][0].update(paths=1),
    ),
    (
        "advice-unknown-capability",
        "/process/capabilities/ambient/0",
        process(capabilities={"ambient": ["CAP_NET_ROW"]}),
    ),
    ("advice-newer-version", "/ociVersion", lambda document: document.update(ociVersion="1.40.0")),
    ("advice-relative-destination", "/mounts/0/destination", mounting({"destination": "tmp", "type": "tmpfs"})),
    ("advice-old-hook", "/hooks/prestart", hooks("prestart", "/bin/true")),
    ("advice-no-program", "", lambda document: document.pop("process")),
    ("advice-filtered-execve", "/linux/seccomp", linux(seccomp={"defaultAction": "SCMP_ACT_ERRNO"})),
    ("advice-unused-console-size", "/process/consoleSize", process(consoleSize={"height": 1, "width": 1})),
]

# Only provoked where the host is so, or in company; the tests below show them.
ELSEWHERE = {"host-oom-score", "host-apparmor", "host-selinux", "host-capability", "risk-capability"}
# These need another kernel or user than the tests have.
UNPROVOKED = {"host-namespace", "host-rootless", "host-seccomp"}


@pytest.mark.parametrize(("code", "origin", "edit"), FOUND, ids=[f"{code}:{origin}" for code, origin, _ in FOUND])
def test_one_problem(bundle: Path, code: str, origin: str, edit: Edit) -> None:
    (found,) = problems(bundle, edit)
    assert (found.code, found.origin) == (code, origin)
    doubtful = {f"host-{check.__name__.replace('_', '-')}" for check in DOUBTFUL}
    assert found.severity == (ERROR if code.startswith("host-") and code not in doubtful else WARNING)
    assert found.line > 0 and not found.what.endswith(".") and "\n" not in found.what + found.hint


def test_every_check_is_tested_and_explained() -> None:
    checks = {
        f"{kind}-{check.__name__.replace('_', '-')}": check.__doc__
        for kind, list_ in (("host", IMPOSSIBLE), ("host", DOUBTFUL), ("risk", RISKS), ("advice", ADVICE))
        for check in list_
    }
    assert set(checks) == {code for code, _, _ in FOUND} | ELSEWHERE | UNPROVOKED
    assert all(checks.values())


def has(capability: int) -> bool:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff")]
    return bool(int(line.split()[1], 16) >> capability & 1)


@pytest.mark.skipif(has(24), reason="CAP_SYS_RESOURCE may raise and lower what it likes")
def test_what_needs_privilege(bundle: Path) -> None:
    (score,) = problems(bundle, process(oomScoreAdj=-1000))
    assert (score.code, score.origin) == ("host-oom-score", "/process/oomScoreAdj")
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    if hard != resource.RLIM_INFINITY:
        (limit,) = problems(bundle, process(rlimits=[{"type": "RLIMIT_NPROC", "soft": 1, "hard": hard + 1}]))
        assert limit.code == "host-rlimit"


@pytest.mark.skipif(has(24), reason="the runtime has CAP_SYS_RESOURCE")
def test_a_capability_that_the_runtime_has_not_got(bundle: Path) -> None:
    found = problems(bundle, process(capabilities={"bounding": ["CAP_SYS_RESOURCE", "CAP_SYS_MODULE", "CAP_CHOWN"]}))
    assert ("host-capability", "/process/capabilities/bounding/0") in [(one.code, one.origin) for one in found]
    assert ("risk-capability", "/process/capabilities/bounding/1") in [(one.code, one.origin) for one in found]
    assert "/process/capabilities/bounding/2" not in [one.origin for one in found]


@pytest.mark.skipif(os.path.exists("/sys/module/apparmor"), reason="this host has AppArmor")
def test_a_profile_without_apparmor(bundle: Path) -> None:
    assert [one.code for one in problems(bundle, process(apparmorProfile="docker-default"))] == ["host-apparmor"]
    assert problems(bundle, process(apparmorProfile="unconfined")) == []


@pytest.mark.skipif(os.path.exists("/sys/fs/selinux/enforce"), reason="this host has SELinux")
def test_a_label_without_selinux(bundle: Path) -> None:
    (found, *_) = problems(bundle, process(selinuxLabel="system_u:system_r:svirt_lxc_net_t:s0"))
    assert (found.code, found.origin) == ("host-selinux", "/process/selinuxLabel")


def test_all_problems_come_at_once_and_in_order(bundle: Path) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["process"].update(user={"uid": 2**32, "gid": "x"}, args=5)
        document["mounts"] = [{"type": "tmpfs"}]
        document["linux"]["namespaces"].append({"type": "foo"})

    found = problems(bundle, edit)
    assert [(one.code, one.origin) for one in found] == [
        ("config-type", "/process/args"),
        ("config-range", "/process/user/uid"),
        ("config-type", "/process/user/gid"),
        ("config-missing", "/mounts/0/destination"),
        ("config-unknown-value", "/linux/namespaces/5/type"),
    ]
    assert [one.line for one in found] == sorted(one.line for one in found)


def test_rules_plans_and_warnings_together(bundle: Path) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["process"]["args"] = []
        document["linux"]["namespaces"].append({"type": "pid"})
        document["linux"]["sysctl"] = {"kernel.panic": "1"}
        document["linux"].pop("seccomp")

    codes = [(one.severity, one.code) for one in problems(bundle, edit)]
    assert codes == [
        ("error", "config-rule-args"),
        ("error", "config-rule-namespace-twice"),
        ("error", "config-rule-sysctl"),
        ("warning", "risk-no-seccomp"),
    ]


def test_proc_without_protection(bundle: Path) -> None:
    found = problems(bundle, mounting({"destination": "/proc", "type": "proc", "source": "proc"}))
    assert [one.what for one in found] == [
        "/proc/sys is writable",
        "/proc/sysrq-trigger is writable",
        "/proc/kcore shows the memory of the host",
    ]
    masks = linux(maskedPaths=["/proc/kcore"], readonlyPaths=["/proc/sys", "/proc/sysrq-trigger"])

    def both(document: dict[str, Any]) -> None:
        mounting({"destination": "/proc", "type": "proc", "source": "proc"})(document)
        masks(document)

    assert problems(bundle, both) == []


def test_what_planning_refuses(bundle: Path) -> None:
    (found,) = problems(bundle, linux(cgroupsPath="/a/../.."))
    assert (found.severity, found.code, found.origin) == (ERROR, "cgroup-path", "/linux/cgroupsPath")


def test_another_host_may_be_different(bundle: Path) -> None:
    assert problems(bundle, mounting(bind("/none/such", "ro")), host=False) == []


@pytest.mark.parametrize(
    ("data", "code", "line"),
    [
        (b"", "config-json", 1),
        (b'{\n "a": 1,\n "a": 2}', "config-duplicate-key", 3),
        (b'{"a":\n\xff}', "config-json", 2),
    ],
)
def test_what_is_no_json(bundle: Path, data: bytes, code: str, line: int) -> None:
    (bundle / "config.json").write_bytes(data)
    (found,) = validate(str(bundle))
    assert (found.code, found.line) == (code, line)


def test_a_missing_bundle(tmp_path: Path) -> None:
    (found,) = validate(str(tmp_path / "none"))
    assert found.code == "config-file" and "no such file or directory" in found.what


def run(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    args = cli.parse(command.OPTIONS, [*words])
    status = command.run(args)
    return status, capfd.readouterr().out


def test_text_and_exit_status(bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    problems(bundle)
    assert run(capfd, str(bundle)) == (0, "")
    problems(bundle, process(args=[]))
    status, out = run(capfd, "--bundle", str(bundle))
    assert status == 1
    assert out.startswith(f"{bundle}/config.json:") and out.endswith(
        ": error: args is empty: there is no program to run (config property /process/args) [config-rule-args]\n"
    )
    problems(bundle, process(consoleSize={"height": 1, "width": 1}))
    assert run(capfd, str(bundle))[0] == 0
    assert run(capfd, "--strict", str(bundle))[0] == 1


def test_json(bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    problems(bundle, process(args=[]))
    status, out = run(capfd, "--format", "json", str(bundle))
    report = json.loads(out)
    assert (status, report["valid"]) == (1, False)
    (problem,) = report["problems"]
    assert problem["code"] == "config-rule-args" and problem["line"] > 1 and problem["severity"] == "error"


def test_no_document_is_too_strange(bundle: Path) -> None:
    """Rules, plans, advice and the rest meet every kind of value, and answer with problems only."""
    host = probe_host(Kernel())
    config = bundle / "config.json"
    seen: set[str] = set()
    for strange in itertools.islice(all_variants(Spec), None, None, 17):
        config.write_text(json.dumps(strange))
        for problem in validate(str(bundle), host=host):
            assert problem.line == 1 and problem.column > 0 and "\n" not in problem.what + problem.hint
            seen.add(problem.code)
    assert len(seen) > 40


def test_links_are_followed_within_the_root(tmp_path: Path) -> None:
    (tmp_path / "usr" / "bin").mkdir(parents=True)
    (tmp_path / "usr" / "bin" / "sh").touch(0o755)
    (tmp_path / "usr" / "bin" / "data").touch(0o644)
    (tmp_path / "bin").symlink_to("/usr/bin")
    (tmp_path / "up").symlink_to("../../../../usr/bin")
    (tmp_path / "loop").symlink_to("loop")
    root = str(tmp_path)
    assert find_inside(root, "/bin/sh") == find_inside(root, "/up/../bin/sh") == f"{root}/usr/bin/sh"
    assert find_inside(root, "/loop/sh") is None
    assert find_inside(root, "/etc/passwd") is None
    assert find_program(root, "sh", "/sbin:/bin", "/") == f"{root}/usr/bin/sh"
    assert find_program(root, "data", "/sbin:/bin", "/") == f"{root}/usr/bin/data"
    assert find_program(root, "bash", "/sbin:/bin", "/") == ["/sbin/bash", "/bin/bash"]
