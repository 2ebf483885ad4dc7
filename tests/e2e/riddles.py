"""What containers fail of, provoked for real: test_riddles.py holds our words to it, riddles_page.py compares runtimes.

A riddle bends a Box and returns what the failing call said.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.e2e.box import Box, Outcome

Provoke = Callable[[Box], Outcome]

FOREIGN = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 22, 1, 0, 64, 0, 0, 64, 56, 0, 0, 0, 0)
ALL_IDS = [{"containerID": 0, "hostID": 0, "size": 65536}]
# The filter that container engines put around their containers, as far as it matters here.
FILTERED = """
import errno, os, sys
import pyseccomp as s
f = s.SyscallFilter(s.ALLOW)
f.add_rule(s.ERRNO(errno.ENOSYS), "clone3")
for flag in (0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
    f.add_rule(s.ERRNO(errno.EPERM), "clone", s.Arg(0, s.MASKED_EQ, flag, flag))
    f.add_rule(s.ERRNO(errno.EPERM), "unshare", s.Arg(0, s.MASKED_EQ, flag, flag))
f.load()
os.execv(sys.argv[1], sys.argv[1:])
"""


class Riddle(NamedTuple):
    """One way to fail, and what our message has to have in it."""

    title: str
    provoke: Provoke
    words: tuple[str, ...]
    code: str


RIDDLES: dict[str, Riddle] = {}


def riddle(title: str, code: str, *words: str) -> Callable[[Provoke], Provoke]:
    def keep(provoke: Provoke) -> Provoke:
        RIDDLES[provoke.__name__.replace("_", "-")] = Riddle(title, provoke, words, code)
        return provoke

    return keep


def program(box: Box, content: bytes, mode: int = 0o755) -> Outcome:
    path = box.rootfs / "bin/tool"
    path.write_bytes(content)
    path.chmod(mode)
    return box.run("tool", "argument")


@riddle("The program is not in the image", "program-not-found", "executable file not found in $PATH")
def program_missing(box: Box) -> Outcome:
    return box.run("no-such-tool", "argument")


@riddle("A dynamic program, and the image has no loader for it", "program-exec", "it needs the loader")
def loader_missing(box: Box) -> Outcome:
    shutil.copy(sys.executable, box.rootfs / "bin/dynamic")
    return box.run("dynamic", "-V")


@riddle("A script, and the image lacks its interpreter", "program-exec", '"/usr/bin/perl" is not in the container')
def interpreter_missing(box: Box) -> Outcome:
    return program(box, b"#!/usr/bin/perl -w\n")


@riddle("A script with the line ends of DOS", "program-exec", "dos2unix")
def carriage_return(box: Box) -> Outcome:
    return program(box, b"#!/bin/sh\r\nexit 0\r\n")


@riddle("A program for another machine", "program-exec", "it was built for s390x")
def wrong_architecture(box: Box) -> Outcome:
    return program(box, FOREIGN)


@riddle("A program on a noexec mount", "program-denied", "noexec")
def noexec(box: Box) -> Outcome:
    source = box.place / "noexec"
    source.mkdir()
    shutil.copy(box.rootfs / "bin/busybox", source / "true")
    box.mount("/mnt", source, "bind", "bind", "noexec")
    return box.run("/mnt/true", "argument")


@riddle("A program without the x permission", "program-denied", "permission denied")
def not_executable(box: Box) -> Outcome:
    return program(box, b"#!/bin/sh\n", 0o644)


@riddle("A directory for a program", "program-denied", "is a directory")
def a_directory(box: Box) -> Outcome:
    return box.run("/etc", "argument")


@riddle("The source of a bind mount is missing", "bind-source-missing", 'the component "data" is missing in')
def bind_source(box: Box) -> Outcome:
    box.mount("/data", box.place / "data/of/mine", "bind", "bind")
    return box.run("true")


@riddle("A directory is bound over a file", "mount", 'is a directory, and "/etc/passwd" in the image is a file')
def directory_over_file(box: Box) -> Outcome:
    box.mount("/etc/passwd", box.place, "bind", "bind")
    return box.run("true")


@riddle("A file is bound over a directory", "mount", 'is a file, and "/etc" in the image is a directory')
def file_over_directory(box: Box) -> Outcome:
    source = box.place / "file"
    source.touch()
    box.mount("/etc", source, "bind", "bind")
    return box.run("true")


@riddle("A component of a mount's destination is a file", "mount", '"/etc/passwd" in the image is a file')
def file_in_the_way(box: Box) -> Outcome:
    box.mount("/etc/passwd/below/it", "tmpfs", "tmpfs")
    return box.run("true")


def in_user_namespace(box: Box, *without: str) -> None:
    kinds = [kind for kind in ("user", "pid", "network", "ipc", "uts", "mount", "cgroup") if kind not in without]
    box.namespaces(*kinds)
    box.linux["uidMappings"] = box.linux["gidMappings"] = ALL_IDS
    box.linux.pop("resources", None)


@riddle("proc in a user namespace, where part of the outer one is covered", "mount", "/proc/version", "unmask")
def proc_covered(box: Box) -> Outcome:
    in_user_namespace(box)
    # One whole proc anywhere would do, and other tests have theirs
    others = "awk '/ - proc / && $5 != \"/proc\" { print $5 }' /proc/self/mountinfo"
    script = f'for place in $({others}); do umount -l "$place"; done; mount --bind /dev/null /proc/version && exec "$@"'
    box.before = ["unshare", "--mount", "sh", "-c", script, "sh"]
    return box.run("true")


@riddle("proc in a user namespace without a pid namespace", "mount", "pid namespace of its own")
def proc_without_pid(box: Box) -> Outcome:
    in_user_namespace(box, "pid")
    return box.run("true")


@riddle("sysfs in a user namespace without a network namespace", "mount", "network namespace of its own")
def sysfs_without_network(box: Box) -> Outcome:
    in_user_namespace(box, "network")
    return box.run("true")


@riddle("The group of terminals is not mapped", "mount-option", "group 5 is not mapped", "remove gid=5")
def terminal_group(box: Box) -> Outcome:
    in_user_namespace(box)
    box.linux["uidMappings"] = box.linux["gidMappings"] = [{"containerID": 0, "hostID": 0, "size": 1}]
    return box.run("true")


@riddle("sysfs in a user namespace, where part of the outer one is covered", "mount", "/sys/kernel", "unmask")
def sys_covered(box: Box) -> Outcome:
    in_user_namespace(box)
    others = "awk '/ - sysfs / && $5 != \"/sys\" { print $5 }' /proc/self/mountinfo"
    script = f'for place in $({others}); do umount -l "$place"; done; mount -t tmpfs none /sys/kernel && exec "$@"'
    box.before = ["unshare", "--mount", "sh", "-c", script, "sh"]
    return box.run("true")


@riddle("A remount that would loosen locked flags", "mount", "are locked: ro, nosuid, nodev, noexec")
def locked_flags(box: Box) -> Outcome:
    box.linux.pop("resources")
    source = box.place / "locked"
    source.mkdir()
    box.mount("/mnt", source, "bind", "bind")
    box.mount("/mnt", source, "bind", "bind", "remount", "rw", "suid", "dev", "exec")
    box.spec["mounts"][2]["options"].remove("gid=5")
    inner = "unshare --user --map-root-user --mount"
    script = f'mount -t tmpfs -o ro,nosuid,nodev,noexec none {source} && exec {inner} "$@"'
    box.before = ["unshare", "--mount", "sh", "-c", script, "sh"]
    return box.run("true")


@riddle("A cgroup in which other processes live", "cgroup-busy", "container's cgroup is not empty")
def cgroup_busy(box: Box) -> Outcome:
    other = Box(box.place / "other", f"{box.name}-other")
    other.spec["linux"]["cgroupsPath"] = f"/{box.name}"
    other.up()
    try:
        return box.run("true")
    finally:
        other.delete("--force")


def remove(cgroup: Path) -> None:
    """A runtime that joined it may need a moment to die there."""
    deadline = time.monotonic() + 10
    while True:
        try:
            cgroup.rmdir()
        except OSError:
            assert time.monotonic() < deadline, f"{cgroup} stays"
            os.sched_yield()
        else:
            return


@riddle("A frozen cgroup", "cgroup-frozen", "container's cgroup unexpectedly frozen")
def cgroup_frozen(box: Box) -> Outcome:
    place = Path("/sys/fs/cgroup/freezer" if Path("/sys/fs/cgroup/freezer").is_dir() else "/sys/fs/cgroup") / box.name
    place.mkdir()
    name, frozen, running = ("freezer.state", "FROZEN", "THAWED")
    if not (place / name).exists():
        name, frozen, running = ("cgroup.freeze", "1", "0")
    (place / name).write_text(frozen)
    try:
        return box.run("true", timeout=10)
    except subprocess.TimeoutExpired:
        return Outcome(124, "", "(hangs)")
    finally:
        (place / name).write_text(running)
        box.delete("--force")
        if place.exists():
            remove(place)


@riddle("Ids that the runtime's own user namespace has not got", "id-map", "100000 (or its range) is not mapped")
def id_map(box: Box) -> Outcome:
    in_user_namespace(box)
    box.linux["uidMappings"] = box.linux["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    box.before = ["unshare", "--user", "--map-root-user", "--mount"]
    return box.run("true")


def ordinary(box: Box, uid: int, *limits: str) -> None:
    """Started by a user who is not root, with a user namespace of the runtime's."""
    for path in (box.place, box.bundle, box.root):
        if path.exists():
            path.chmod(0o777)
    for parent in box.place.parents:
        if str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    box.log.unlink(missing_ok=True)
    user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    box.before = [*user, *limits, "env", f"XDG_RUNTIME_DIR={box.place}"]


@riddle("Ids that newuidmap does not grant", "idmap-refused", "/etc/subuid", "nobody:100000:1000")
def newuidmap(box: Box) -> Outcome:
    in_user_namespace(box)
    ranges = [(0, 65534, 1), (1, 100000, 1000)]
    box.linux["uidMappings"] = box.linux["gidMappings"] = [
        {"containerID": inside, "hostID": outside, "size": size} for inside, outside, size in ranges
    ]
    del box.linux["cgroupsPath"]
    ordinary(box, 65534)
    return box.run("true")


@riddle("A limit of processes of the cgroup", "clone", "pids.max is 1, and as many run")
def pids_limit(box: Box) -> Outcome:
    split = Path("/sys/fs/cgroup/pids").is_dir()  # cgroup v1
    place = Path("/sys/fs/cgroup/pids" if split else "/sys/fs/cgroup") / f"{box.name}-caller"
    caller = place if split else place / "caller"
    caller.mkdir(parents=True)
    (place / "pids.max").write_text("1")
    if not split:  # clone3 counts the child in its own cgroup
        (place / "cgroup.subtree_control").write_text("+pids")
        box.linux["cgroupsPath"] = f"/{place.name}/box"
    box.before = ["sh", "-c", f'echo 0 > {caller}/cgroup.procs && exec "$@"', "sh"]
    try:
        return box.run("true", timeout=20)
    except subprocess.TimeoutExpired:
        return Outcome(124, "", "(hangs)")
    finally:
        for path in [caller] if split else [caller, place]:
            remove(path)


@riddle("A limit of processes of the user", "clone", "RLIMIT_NPROC (ulimit -u) is 1")
def user_limit(box: Box) -> Outcome:
    in_user_namespace(box)
    box.linux["uidMappings"] = box.linux["gidMappings"] = [{"containerID": 0, "hostID": 1509, "size": 1}]
    del box.linux["cgroupsPath"]
    ordinary(box, 1509, "prlimit", "--nproc=1:1")
    return box.run("true")


@riddle("A hard limit above the runtime's own", "rlimit", "CAP_SYS_RESOURCE")
def rlimit(box: Box) -> Outcome:
    box.process["rlimits"] = [{"type": "RLIMIT_NPROC", "soft": 9000, "hard": 9000}]
    box.before = ["prlimit", "--nproc=4096:4096", "setpriv", "--bounding-set=-sys_resource", "--inh-caps=-sys_resource"]
    return box.run("true")


@riddle("An oom score below the runtime's own", "oom-score-adj", "CAP_SYS_RESOURCE")
def oom_score(box: Box) -> Outcome:
    box.process["oomScoreAdj"] = -900
    box.before = ["setpriv", "--bounding-set=-sys_resource", "--inh-caps=-sys_resource"]
    return box.run("true")


@riddle("A memory limit that is too small to start anything", "", "memory")
def memory_limit(box: Box) -> Outcome:
    box.linux["resources"]["memory"] = {"limit": 4096}
    return box.run("true")


@riddle("A limit of namespaces", "clone", "/proc/sys/user/max_uts_namespaces is 0")
def namespace_limit(box: Box) -> Outcome:
    script = 'echo 0 > /proc/sys/user/max_uts_namespaces && exec "$@"'
    box.before = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    box.linux.pop("resources")
    return box.run("true")


@riddle("A seccomp filter around the runtime", "clone", "seccomp filter around the runtime")
def outer_seccomp(box: Box) -> Outcome:
    box.before = [sys.executable, "-c", FILTERED]
    return box.run("true")


@riddle("A version of the specification that is to come", "config-rule-version", "too new", "1.3.0")
def too_new(box: Box) -> Outcome:
    box.spec["ociVersion"] = "2.0.0"
    return box.run("true")


@riddle("A hook that fails", "hook-failed", "failed after", "exit status 3", "command: /bin/sh -c", "no bridge here")
def hook(box: Box) -> Outcome:
    words = ["sh", "-c", "echo no bridge here >&2; exit 3"]
    box.spec["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": words}]}
    return box.run("true")


@riddle("A hook that is not there", "hook-failed", "no such file or directory", "look for it")
def hook_missing(box: Box) -> Outcome:
    box.spec["hooks"] = {"createRuntime": [{"path": "/opt/bridge/plug"}]}
    return box.run("true")


@riddle("A hook that does not end", "hook-failed", "did not end within 1 s", "sleep 20")
def hook_timeout(box: Box) -> Outcome:
    box.spec["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "20"], "timeout": 1}]}
    return box.run("true")


@riddle("A user that is not mapped", "config-rule-user-unmapped", "is not mapped")
def user_unmapped(box: Box) -> Outcome:
    in_user_namespace(box)
    box.process["user"] = {"uid": 70000, "gid": 0}
    return box.run("true")


@riddle("An ordinary user without a user namespace", "", "user namespace")
def no_privilege(box: Box) -> Outcome:
    box.linux.pop("resources")
    ordinary(box, 1507)
    return box.run("true")


if not os.path.exists("/sys/module/apparmor/parameters/enabled"):

    @riddle("An AppArmor profile on a host without AppArmor", "apparmor-disabled", "AppArmor is not enabled")
    def apparmor(box: Box) -> Outcome:
        box.process["apparmorProfile"] = "no-such-profile"
        return box.run("true")

else:

    @riddle("An AppArmor profile that is not loaded", "apparmor-profile", "it is not loaded", "apparmor_parser")
    def apparmor_profile(box: Box) -> Outcome:
        box.process["apparmorProfile"] = "no-such-profile"
        return box.run("true")


if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):

    def delegated(box: Box, controllers: str) -> Path:
        """A cgroup that belongs to user 1507, with these controllers below it, and where the runtime is in it."""
        above = Path("/sys/fs/cgroup") / f"{box.name}-above"
        own, caller = above / "own", above / "own/caller"
        caller.mkdir(parents=True)
        (above / "cgroup.subtree_control").write_text(controllers)
        for path in (own, own / "cgroup.procs", own / "cgroup.subtree_control", caller, caller / "cgroup.procs"):
            os.chown(path, 1507, 1507)
        return caller

    def from_cgroup(box: Box, controllers: str, path: str = "") -> Outcome:
        in_user_namespace(box)
        box.linux["uidMappings"] = box.linux["gidMappings"] = [{"containerID": 0, "hostID": 1507, "size": 1}]
        box.spec["mounts"][2]["options"].remove("gid=5")
        box.linux["resources"] = {"memory": {"limit": 64 << 20}}
        del box.linux["cgroupsPath"]
        if path:
            box.linux["cgroupsPath"] = path
        ordinary(box, 1507)
        caller = delegated(box, controllers)
        box.before = ["sh", "-c", f'echo 0 > {caller}/cgroup.procs && exec "$@"', "sh", *box.before]
        try:
            return box.run("true")
        finally:
            for place in (caller, *caller.parents[:2]):
                remove(place)

    @riddle("A controller that is not delegated", "cgroup-no-file", 'controller "memory" is not available', "Delegate=")
    def controller_not_delegated(box: Box) -> Outcome:
        return from_cgroup(box, "+pids")

    @riddle("A cgroup that is not delegated", "cgroup-create", "is not delegated to this user", "Delegate=yes")
    def cgroup_not_delegated(box: Box) -> Outcome:
        return from_cgroup(box, "+pids +memory", f"/{box.name}")
