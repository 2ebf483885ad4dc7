"""The same bundles under runc, crun and this runtime: `python -m tests.e2e.peers` prints a table of what came out.

An outcome is the exit status and what the container said. In the guest, with systemd, pure cgroup v2 and AppArmor:

    tests/vm/peers.sh
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.e2e.box import OCIRUNTIME, Box, Outcome

CGROUP = "/sys/fs/cgroup"
SAMPLES = ("busybox", "hardened", "hooks", "hostbox", "limits", "network", "pod", "rootless", "tour")
DIFFER = {
    "hooks": "each has its own words for the state; poststart runs once the program was executed",
    "tour": "it prints the table of mounts: names of sources and flags of masks are each runtime's own",
}
PROFILE = "profile e2e-peers flags=(attach_disconnected) {{ file, capability, deny /etc/secret r, }}".format()


def runtimes() -> dict[str, str]:
    """Name to path of those that are installed."""
    found = {name: shutil.which(name) or "" for name in ("runc", "crun")}
    return {name: path for name, path in {**found, "ociruntime": OCIRUNTIME}.items() if path}


class Case(NamedTuple):
    """A bundle made from the usual one."""

    bend: Callable[[Box], None]
    script: str
    options: tuple[str, ...] = ()  # global ones
    differs: str = ""  # why peers of this age say something else


def limits(box: Box) -> None:
    box.mount(CGROUP, "cgroup", "cgroup", "ro")
    box.linux["resources"].update(
        memory={"limit": 64 << 20, "swap": 80 << 20, "reservation": 32 << 20},
        cpu={"quota": 50000, "period": 200000, "cpus": "0"},
        pids={"limit": 44},
    )


def scope(box: Box) -> None:
    limits(box)
    box.linux["cgroupsPath"] = f"system.slice:peers:{box.name}"


def shares(box: Box) -> None:
    box.mount(CGROUP, "cgroup", "cgroup", "ro")
    box.linux["resources"]["cpu"] = {"shares": 512}


def owner(box: Box) -> None:
    box.process["user"] = {"uid": 1000, "gid": 1000}
    box.mount(CGROUP, "cgroup", "cgroup", "rw")


def small(box: Box) -> None:
    box.linux["resources"].update(memory={"limit": 16 << 20, "swap": 16 << 20})


def device(box: Box) -> None:
    for kind in ("bounding", "effective", "permitted"):
        box.process["capabilities"][kind].append("CAP_MKNOD")


def fuse(box: Box) -> None:
    device(box)
    box.linux["resources"]["devices"].append({"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"})


def fuse_and_scope(box: Box) -> None:
    fuse(box)
    scope(box)


def mapped(box: Box) -> None:
    box.linux["namespaces"].append({"type": "user"})
    for kind in ("uid", "gid"):
        box.linux[f"{kind}Mappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]


def profile(box: Box) -> None:
    box.process["apparmorProfile"] = "e2e-peers"
    (box.rootfs / "etc/secret").write_text("secret\n")


def no_profile(box: Box) -> None:
    box.process["apparmorProfile"] = "no-such-profile"


def unified(box: Box) -> None:
    box.mount(CGROUP, "cgroup", "cgroup", "ro")
    box.linux["resources"]["unified"] = {"memory.high": str(48 << 20), "pids.max": "12"}


def without_privilege(box: Box) -> None:
    uid = 1000
    box.before = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"]
    box.before += ["env", f"XDG_RUNTIME_DIR={box.place}"]
    box.linux["namespaces"] = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network", "user")]
    for kind in ("uid", "gid"):
        box.linux[f"{kind}Mappings"] = [{"containerID": 0, "hostID": uid, "size": 1}]
    box.linux["resources"] = {}
    del box.linux["cgroupsPath"]
    box.spec["mounts"][2]["options"].remove("gid=5")
    subprocess.run(["chown", "-R", f"{uid}:{uid}", box.place], check=True)


FILES = "memory.max memory.swap.max memory.low cpu.max cpuset.cpus pids.max memory.oom.group"
READ = f"cd {CGROUP}; for f in {FILES}; do echo $f $(cat $f); done"
OPEN = "mknod /tmp/fuse c 10 229; for d in /tmp/fuse /dev/null; do true < $d && echo $d opens; done; true"
CASES = {
    "limits, cgroupfs": Case(limits, READ),
    "limits, systemd": Case(scope, READ, ("--systemd-cgroup",)),
    "cpu.shares": Case(
        shares, f"cat {CGROUP}/cpu.weight", differs="the curve is that of runc since 1.3.2 and crun since 1.23"
    ),
    "unified": Case(unified, f"cat {CGROUP}/memory.high {CGROUP}/pids.max"),
    "owner of the cgroup": Case(
        owner,
        f"stat -c '%u %n' {CGROUP}/*.procs {CGROUP}/memory.max; mkdir {CGROUP}/x && echo made",
        differs="config-linux.md, Cgroup ownership; these peers give it away in a user namespace only",
    ),
    "out of memory": Case(small, "dd if=/dev/zero of=/dev/null bs=64M count=1 2> /dev/null; echo $?"),
    "device denied": Case(device, OPEN),
    "device allowed": Case(fuse, OPEN),
    "device, systemd": Case(fuse_and_scope, OPEN, ("--systemd-cgroup",)),
    "user namespace": Case(mapped, "id -u; cat /proc/self/uid_map; stat -c %u /proc/1"),
    "AppArmor": Case(profile, "cat /proc/self/attr/current; cat /etc/secret 2> /dev/null || echo denied"),
    "AppArmor, no such profile": Case(no_profile, "echo unconfined"),
    "without privilege": Case(
        without_privilege, "id -u; cat /proc/self/*id_map /proc/self/setgroups"
    ),
    "own namespaces": Case(lambda box: None, "echo $$; hostname; ls /sys/class/net; cat /proc/self/cgroup"),
    "exit status": Case(lambda box: None, "exit 7"),
    "killed": Case(lambda box: None, "kill -9 $$; exec sh -c 'kill -TERM $$; exit 9'"),
}


@contextmanager
def place() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="peers-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def outcome(name: str, runtime: str) -> Outcome:
    """Run one case under one runtime, on its own bundle."""
    case = CASES[name]
    with place() as path:
        box = Box(path, "peers", runtime)
        box.spec["ociVersion"] = "1.0.2"
        case.bend(box)
        box.process["args"] = ["sh", "-c", case.script]
        box.write()
        os.chmod(box.bundle / "config.json", 0o644)
        done = box.call(*case.options, "run", box.name, timeout=300)
        box.call(*case.options, "delete", "--force", box.name)
        return done


def sample(name: str, runtime: str) -> Outcome:
    """One of the sample bundles; numbers are left out, for processes, addresses and times have theirs."""
    line = [sys.executable, "-m", "bundles", name, "--run", "--runtime", runtime, "--id", "peers"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=600)
    return Outcome(done.returncode, re.sub(r"\d+", "N", done.stdout), done.stderr)


def compare(name: str) -> dict[str, Outcome]:
    """Every runtime's outcome."""
    judge = sample if name in SAMPLES else outcome
    return {each: judge(name, path) for each, path in runtimes().items()}


def same(found: dict[str, Outcome]) -> bool:
    """Whether status and output are; a refusal's words are each runtime's own."""
    return len({(bool(done.status) if not done.out else done.status, done.out) for done in found.values()}) == 1


def main() -> int:
    subprocess.run(["apparmor_parser", "--replace"], input=PROFILE, text=True, check=False)
    names = sys.argv[1:] or [*SAMPLES, *CASES]
    print("| bundle | " + " | ".join(runtimes()) + " | same |", "|---" * (len(runtimes()) + 2) + "|", sep="\n")
    wrong = 0
    for name in names:
        found = compare(name)
        why = CASES[name].differs if name in CASES else DIFFER.get(name, "")
        verdict = "yes" if same(found) else why or "NO"
        wrong += verdict == "NO"
        cells = [f"{done.status}, {len(done.lines)} lines" for done in found.values()]
        print(f"| {name} | {' | '.join(cells)} | {verdict} |", flush=True)
        if verdict == "NO":
            for each, done in found.items():
                print(f"  {each}: {done}", file=sys.stderr, flush=True)
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
