"""The runtime inside one of its own containers: a node that is a container, a job of CI.

The outer container has the machine's programs and this checkout, bound read-only; the inner one is run from in there.
"""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

import pytest

from tests.e2e.box import OCIRUNTIME, Box, Outcome
from tests.e2e.test_cgroup import V2

TOP = Path(__file__).parents[2]
EVERY = [
    f"CAP_{name}"
    for name in (
        "AUDIT_WRITE CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID IPC_LOCK KILL MKNOD NET_ADMIN NET_BIND_SERVICE "
        "NET_RAW SETFCAP SETGID SETPCAP SETUID SYS_ADMIN SYS_CHROOT SYS_PTRACE"
    ).split()
]
USUAL = [
    f"CAP_{name}"
    for name in (
        "CHOWN DAC_OVERRIDE FOWNER FSETID KILL NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT".split()
    )
]
"""What engines give."""
MOUNT_API = ["fsopen", "fsconfig", "fsmount", "move_mount", "open_tree", "mount_setattr"]

pytestmark = pytest.mark.guest


class Nest:
    """An outer container and the bundle within."""

    def __init__(self, outer: Box) -> None:
        self.outer = outer
        self.inner = Box(outer.place / "inner", "inner")
        self.inner.root = outer.place / "inner/state"
        self.inner.linux.pop("cgroupsPath")
        self.inner.linux["resources"] = {}
        outer.process["env"] = ["PATH=/usr/sbin:/usr/bin", "HOME=/root"]
        outer.process["noNewPrivileges"] = False
        shutil.rmtree(outer.rootfs / "bin")
        for name in ("bin", "sbin", "lib", "lib64"):
            (outer.rootfs / name).symlink_to(f"usr/{name}")
        for place in ("/usr", "/etc", str(TOP), str(Path(os.path.realpath(TOP / ".venv/bin/python")).parents[1])):
            outer.mount(place, place, "bind", "rbind", "ro")
        outer.mount(str(self.inner.place), self.inner.place, "bind", "rbind", "rw")
        outer.mount("/run", "tmpfs", "tmpfs", "mode=755")
        self.capable(EVERY)

    def capable(self, names: list[str]) -> None:
        self.outer.process["capabilities"] = {kind: names for kind in ("bounding", "effective", "permitted")}

    def forbid(self, names: list[str], errno: int) -> None:
        self.outer.linux["seccomp"] = {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": errno}],
        }

    def mapped(self, uid: int = 0) -> None:
        """The inner container as `spec --rootless` has it."""
        self.inner.linux["namespaces"].append({"type": "user"})
        for kind in ("uid", "gid"):
            self.inner.linux[f"{kind}Mappings"] = [{"containerID": 0, "hostID": uid, "size": 1}]
        pts = next(mount for mount in self.inner.spec["mounts"] if mount["type"] == "devpts")
        pts["options"].remove("gid=5")

    def run(self, script: str, *options: str) -> Outcome:
        self.inner.process["args"] = ["sh", "-c", script]
        self.inner.write()
        bundle = str(self.inner.bundle)
        line = [OCIRUNTIME, "--root", str(self.inner.root), *options, "run", "--bundle", bundle, "inner"]
        return self.outer.run(shlex.join(line))


@pytest.fixture
def nest(box: Box) -> Nest:
    for path in (box.place, *box.place.parents[:-1]):
        path.chmod(path.stat().st_mode | 0o011)
    return Nest(box)


def writable_cgroups(nest: Nest) -> None:
    nest.outer.mount("/sys/fs/cgroup", "cgroup", "cgroup", "rw")


def test_a_container_in_a_container(nest: Nest) -> None:
    writable_cgroups(nest)
    assert nest.run("echo $$; hostname; id -u; echo x > /dev/null") == (0, "1\nbox\n0\n", "")


def test_its_cgroup_is_below_the_outer_ones(nest: Nest) -> None:
    writable_cgroups(nest)
    nest.inner.linux["cgroupsPath"] = "/below"
    nest.inner.linux["namespaces"] = [{"type": kind} for kind in ("pid", "mount")]
    nest.inner.spec["hostname"] = ""
    nest.inner.linux["resources"] = {} if V2 else {"pids": {"limit": 7}}
    outcome = nest.run("cat /proc/self/cgroup")
    assert any(line.endswith("/below") for line in outcome.lines), outcome


def test_cgroups_that_are_read_only(nest: Nest) -> None:
    nest.outer.mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro")
    refused = nest.run("true")
    assert refused.status == 1
    assert "read-only file system" in refused.err and "--rootless=true" in refused.err
    assert nest.run("echo here", "--rootless=true") == (0, "here\n", "")


@pytest.mark.parametrize("errno", [38, 1], ids=["ENOSYS", "EPERM"])
def test_without_clone3(nest: Nest, errno: int) -> None:
    """Engines answer ENOSYS; profiles older than the call EPERM."""
    writable_cgroups(nest)
    nest.forbid(["clone3"], errno)
    assert nest.run("echo $$") == (0, "1\n", "")


@pytest.mark.parametrize("errno", [38, 1], ids=["ENOSYS", "EPERM"])
def test_without_the_mount_api(nest: Nest, errno: int) -> None:
    writable_cgroups(nest)
    nest.forbid(MOUNT_API, errno)
    outcome = nest.run("echo here")
    assert outcome.status == 1 and len(outcome.err.splitlines()) == 1
    assert "outer container" in outcome.err


def test_mounts_are_restricted(nest: Nest) -> None:
    """Without CAP_SYS_ADMIN there is a user namespace, if the outer container lets us."""
    nest.capable(USUAL)
    refused = nest.run("true", "--rootless=true")
    assert refused.status == 1 and "user namespace" in refused.err, refused
    nest.mapped()
    done = nest.run("cat /proc/self/uid_map; echo x > /dev/null", "--rootless=true")
    assert (done.status, done.out.split()) == (0, ["0", "0", "1"]), done


def test_a_proc_that_is_masked_forbids_a_new_one(nest: Nest) -> None:
    """mount_namespaces(7): a new procfs may not show what the outer container hides."""
    nest.capable(USUAL)
    nest.outer.linux["maskedPaths"] = ["/proc/meminfo"]
    nest.mapped()
    refused = nest.run("true", "--rootless=true")
    assert refused.status == 1 and "/mounts/0" in refused.err, refused
    assert "unmask" in refused.err
    # What remains is the outer one's
    nest.inner.spec["mounts"][0] = {"destination": "/proc", "type": "bind", "source": "/proc", "options": ["rbind"]}
    nest.inner.namespaces("mount", "uts", "ipc", "network", "user")
    outcome = nest.run("readlink /proc/self/ns/pid > /dev/null && echo here", "--rootless=true")
    assert outcome.out == "here\n", outcome


@pytest.mark.parametrize("runtime", ["runc", "crun"])
def test_below_another_runtime(nest: Nest, runtime: str) -> None:
    found = shutil.which(runtime)
    if not found:
        pytest.skip(f"{runtime} is not installed")
    if runtime == "crun" and not V2:
        pytest.skip("on a hybrid host crun leaves its cgroup of a v1 controller behind")
    nest.outer.runtime = found
    nest.outer.spec["ociVersion"] = "1.0.2"
    writable_cgroups(nest)
    outcome = nest.run("echo $$")
    assert outcome.out == "1\n", outcome
