"""process.selinuxLabel and linux.mountLabel under SELinux (config.md, config-linux.md). tests/vm can boot one.

The policy is a small one of our own, permissive: it says which labels there are, and that is what a runtime meets.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.box import Box

FS = Path("/sys/fs/selinux")
LSM = Path("/sys/kernel/security/lsm")

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0
    or not LSM.exists()
    or "selinux" not in LSM.read_text()
    or not shutil.which("secilc")
    or Path("/etc/selinux/config").exists(),
    reason="needs root, a kernel with SELinux that nobody has given a policy, and secilc: run tests/vm/test.sh",
)

PROGRAM, OTHER, FILES = "u:r:program:s0", "u:r:other:s0", "u:object_r:files:s0"
INITIAL = (
    "kernel security unlabeled fs file file_labels init any_socket port netif netmsg node igmp_packet icmp_socket "
    "tcp_socket sysctl_modprobe sysctl sysctl_fs sysctl_kernel sysctl_net sysctl_net_unix sysctl_vm sysctl_dev kmod "
    "policy scmp_packet devnull"
)  # of the kernel, in its order: security/selinux/include/initial_sid_to_string.h
TYPES = ("base", "program", "other", "files")
POLICY = f"""
(handleunknown allow) (mls true) (policycap nnp_nosuid_transition)
(sensitivity s0) (sensitivityorder (s0)) (level low (s0)) (levelrange range (low low))
(class process (transition dyntransition)) (class file (entrypoint)) (classorder (process file))
(user u) (userlevel u low) (userrange u range) (role r) (userrole u r) (role object_r) (userrole u object_r)
{"".join(f"(type {name}) (roletype r {name}) (roletype object_r {name})" for name in TYPES)}
{"".join(f"(sid {name}) (sidcontext {name} (u r base range))" for name in INITIAL.split())}
(sidorder ({INITIAL}))
(allow base program (process (transition)))
"""


@pytest.fixture(scope="module", autouse=True)
def policy(tmp_path_factory: pytest.TempPathFactory) -> None:
    """In force from here on: a kernel does not forget its policy."""
    place = tmp_path_factory.mktemp("policy")
    (place / "policy.cil").write_text(POLICY)
    if not (FS / "enforce").exists():
        subprocess.run(["mount", "-t", "selinuxfs", "selinuxfs", FS], check=True)
    version = (FS / "policyvers").read_text()
    subprocess.run(
        ["secilc", "--policyvers", version, "--output", "policy", "--filecontext", "/dev/null", "policy.cil"],
        cwd=place, check=True,
    )  # fmt: skip
    (FS / "load").write_bytes((place / "policy").read_bytes())
    assert (FS / "enforce").read_text() == "0"


@pytest.fixture
def labelled(box: Box) -> Box:
    box.process["selinuxLabel"] = PROGRAM
    return box


def label_of(path: str) -> str:
    return os.getxattr(path, "security.selinux").decode().rstrip("\0")


SHOW = "tr -d '\\0' < /proc/self/attr/current; echo"


@pytest.mark.parametrize("no_new_privileges", [True, False])
@pytest.mark.parametrize("uid", [0, 1000])
def test_the_program_has_its_label(labelled: Box, uid: int, no_new_privileges: bool) -> None:
    labelled.process.update(user={"uid": uid, "gid": uid}, noNewPrivileges=no_new_privileges)
    assert labelled.run(SHOW) == (0, f"{PROGRAM}\n", "")


def test_and_the_program_of_exec(labelled: Box) -> None:
    labelled.up()
    assert labelled.exec("sh", "-c", SHOW).lines == [PROGRAM]
    assert labelled.exec("sh", "-c", SHOW, options=("--process-label", OTHER)).lines == [OTHER]


def test_what_is_mounted_has_the_mounts_label(labelled: Box) -> None:
    """But for file systems of the kernel's own, whose labels are the policy's."""
    labelled.linux["mountLabel"] = FILES
    labelled.mount("/mnt", "tmpfs", "tmpfs")
    labelled.up("touch /mnt/file; exec sleep 1000")
    root = f"/proc/{labelled.pid()}/root"
    labelled.exec("sh", "-c", "until test -e /mnt/file; do sleep 0.05; done")
    assert [label_of(f"{root}{path}") for path in ("/mnt", "/mnt/file", "/dev")] == [FILES] * 3
    assert label_of(f"{root}/proc/version") != FILES


@pytest.mark.parametrize("origin", ["/process/selinuxLabel", "/linux/mountLabel"])
def test_a_label_that_the_policy_does_not_know(box: Box, origin: str) -> None:
    _, part, name = origin.split("/")
    box.spec[part][name] = "u:r:nonsense:s0"
    outcome = box.create("true")
    assert outcome.status == 1 and origin in outcome.err, outcome
    assert "this host's policy has no such context" in outcome.err
    assert [record["code"] for record in box.records()] == ["selinux-label"]
