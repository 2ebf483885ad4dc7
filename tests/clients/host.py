"""The machine that the engines run on: commands, terminals, facts, and what was left behind."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

SECONDS = 600.0 if "IN_GUEST" in os.environ else 120.0
"""For one command of an engine: an emulated guest is slow, and no test measures time."""

PREFIX = "clients-"
"""What the names of everything begin with that the tests name themselves."""

FOLDERS = "/var/tmp"
"""Where they have their files: no tmpfs, which is memory, and which some engines do not take."""

OURS = re.compile(r"[0-9a-f]{64}|clients-")
"""Matches what an engine made for the tests: engines name containers with 64 hexadecimal digits."""

CTR_NAMESPACE = f"clientsctr{os.getpid()}"
"""Of ctr; runtimes keep its containers in one place for all daemons, and other tests may run."""

RUNTIME_ROOTS = (
    "/run/runc",
    "/run/crun",
    "/run/ociruntime",
    f"/run/containerd/runc/{CTR_NAMESPACE}",
    "/run/containerd/runc/k8s.io",
    "/run/netns",
)

OCIRUNTIME = Path(os.environ.get("OCIRUNTIME") or Path(__file__).parents[2] / ".venv/bin/ociruntime").absolute()
"""The binary under test."""

ENGINES_OWN = ("/exec/netns/default", "/data", "/podman/storage/overlay")
"""Mounts that Docker and podman keep for themselves while they are there."""

ENGINES_INTERFACES = re.compile(r"docker|br-|cni|podman|veth")

PLACES = (
    "/dev/shm/libpod_lock",
    f"/run/containerd/runc/{CTR_NAMESPACE}",
    "/run/containerd",
    "/run/containers",
    "/run/crun",
    "/run/docker",
    "/run/netns",
    "/run/ociruntime",
    "/run/runc",
    "/var/lib/cni",
    "/var/lib/containers",
)
KEPT_FILES = {"aardvark.lock", "blob-info-cache-v1.boltdb", "ipam.db"}

CAP_SYS_RESOURCE = 24  # linux/capability.h

Value = TypeVar("Value")


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out.strip()


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    cwd: Path | None = None,
) -> Done:
    """Run a command to its end."""
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        input=stdin or "",
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def until(probe: Callable[[], Value], what: str | Callable[[], str]) -> Value:
    """Poll until the probe gives something true; that."""
    end = time.monotonic() + SECONDS
    while not (value := probe()):
        if time.monotonic() > end:
            text = what if isinstance(what, str) else what()
            raise TimeoutError(f"{text}: not within {SECONDS:.0f} s, last: {value!r}")
        time.sleep(0.02)
    return value


# --- facts ------------------------------------------------------------------


def may_raise_limits() -> bool:
    """Whether hard rlimits can be raised and oom_score_adj lowered, which engines do by default."""
    status = Path("/proc/self/status").read_text()
    effective = int(re.search(r"CapEff:\s*(\w+)", status)[1], 16)  # type: ignore[index]
    return bool(effective >> CAP_SYS_RESOURCE & 1)


def has_systemd() -> bool:
    """Whether systemd is PID 1 (sd_booted(3))."""
    return Path("/run/systemd/system").is_dir()


@functools.cache
def has_overlay() -> bool:
    """Whether an overlay can be made where the engines live; not if that is one itself."""
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=FOLDERS) as folder:
        layers = [os.path.join(folder, name) for name in ("lower", "upper", "work", "all")]
        for layer in layers:
            os.mkdir(layer)
        options = "lowerdir={},upperdir={},workdir={}".format(*layers)
        mount = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
        return run([*mount, "mount", "-t", "overlay", "-o", options, "overlay", layers[3]]).status == 0


def cgroup_version() -> int:
    """2 for the unified hierarchy alone; 1 also for the hybrid form."""
    return 2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1


def cgroup_file(pid: int, unified: str, legacy: str) -> str:
    """What the file of the process's cgroup says; `legacy` is CONTROLLER/FILE of cgroup v1."""
    paths = {}
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        paths.update({name: path for name in controllers.split(",")})
    controller, _, file = legacy.partition("/")
    if cgroup_version() == 2:
        return Path(f"/sys/fs/cgroup{paths['']}/{unified}").read_text().strip()
    return Path(f"/sys/fs/cgroup/{controller}{paths[controller]}/{file}").read_text().strip()


def remove_cgroups(name: str) -> None:
    """Remove what is empty of a cgroup above those of containers, in every hierarchy."""
    for top in [*Path("/sys/fs/cgroup").glob(name), *Path("/sys/fs/cgroup").glob(f"*/{name}")]:
        for folder, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):  # somebody else is in there
                os.rmdir(folder)


# --- terminals --------------------------------------------------------------


class Terminal:
    """A command on a terminal of its own, as a person would run it."""

    def __init__(self, argv: Sequence[str | Path], *, rows: int, columns: int, env: Mapping[str, str]) -> None:
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            try:
                os.execvpe(argv[0], [str(each) for each in argv], {**os.environ, **env, "TERM": "dumb"})
            finally:
                os._exit(127)
        self.resize(rows, columns)
        self.output = ""

    def resize(self, rows: int, columns: int) -> None:
        """Change the size; the kernel sends SIGWINCH."""
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def expect(self, pattern: str) -> str:
        """Read until the output since the last match matches; the first group, or all of it."""
        end = time.monotonic() + SECONDS
        while not (match := re.search(pattern, self.output)):
            if not self._read(end - time.monotonic()):
                raise AssertionError(f"no {pattern!r} in {self.output!r}")
        self.output = self.output[match.end() :]
        return match[1] if match.re.groups else match[0]

    def _read(self, seconds: float) -> bool:
        if not select.select([self._fd], [], [], max(seconds, 0))[0]:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # EIO: nobody has the other end any more
            return False
        self.output += data.decode(errors="replace")
        return bool(data)

    def close(self) -> int:
        """Read to the end; the command's exit status."""
        end = time.monotonic() + SECONDS
        while self._read(end - time.monotonic()):
            pass
        os.close(self._fd)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


@contextlib.contextmanager
def daemon(
    argv: Sequence[str | Path], log: Path, answers: Callable[[], bool], path: str = ""
) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon in the foreground, from when it answers; stopped by its process id.

    `path` goes before its PATH.
    """
    env = {**os.environ, "PATH": path + os.environ["PATH"]}
    with log.open("wb") as output:
        process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        until(lambda: process.poll() is not None or answers(), f"{argv[0]} does not answer; see {log}")
        assert process.poll() is None, log.read_text(errors="replace")[-3000:]
        yield process
    finally:
        process.terminate()
        process.wait(SECONDS)


# --- what is left -----------------------------------------------------------


def _mount_points() -> set[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return {line.split()[4] for line in lines if OURS.search(line)}


def _mounts() -> set[str]:
    return {f"mount {point}" for point in _mount_points() if not point.endswith(ENGINES_OWN)}


def unmount_what_engines_keep(folder: Path) -> None:
    """At the end: an engine that was in a hurry leaves its own mounts, and no folder with one can be removed."""
    for point in sorted(_mount_points(), reverse=True):
        if point.startswith(f"{folder}/") and point.endswith(ENGINES_OWN):
            subprocess.run(["umount", point], check=True)


def _cgroups() -> set[str]:
    found = set()
    for base, folders, _ in os.walk("/sys/fs/cgroup"):
        found |= {f"cgroup {base}/{name}" for name in folders if OURS.search(name)}
    return found


def _processes() -> set[str]:
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):  # it has ended meanwhile
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if OURS.search((entry / "cgroup").read_text()) or OURS.search(line):
                found.add(f"process {entry.name}: {line}")
    return found


def _states() -> set[str]:
    roots = [*RUNTIME_ROOTS]
    if session := os.environ.get("XDG_RUNTIME_DIR"):
        roots += [f"{session}/{name}" for name in ("runc", "crun", "ociruntime", "netns")]
    return {
        f"state {path}"
        for root in roots
        if os.access(root, os.R_OK)  # root's own may be closed to others
        for path in Path(root).iterdir()
        if OURS.search(path.name) or root.endswith("netns")
    }


def _interfaces() -> set[str]:
    return {f"interface {name}" for name in os.listdir("/sys/class/net") if ENGINES_INTERFACES.match(name)}


def left_behind() -> set[str]:
    """Mounts, cgroups, processes, network namespaces, interfaces and state of runtimes that tests may have made."""
    return _mounts() | _cgroups() | _processes() | _states() | _interfaces()


def packet_filter() -> set[str]:
    """Chains and rules of the host's own network namespace, where no engine of the tests has any business."""
    if os.geteuid() != 0 or not shutil.which("iptables-save"):
        return set()
    return {line.partition(" [")[0] for line in run(["iptables-save"]).out.splitlines() if line[:1] in (":", "-")}


@contextlib.contextmanager
def places_of_engines() -> Iterator[None]:
    """What engines keep elsewhere, whatever their configuration says, goes if it was not there before."""
    new = [place for place in PLACES if os.geteuid() == 0 and not os.path.lexists(place)]
    yield
    for place in new:
        for folder, _, files in os.walk(place, topdown=False):
            for name in KEPT_FILES.intersection(files):
                os.unlink(os.path.join(folder, name))
            if os.path.ismount(folder):  # podman makes /run/netns one
                subprocess.run(["umount", folder], check=True)
            with contextlib.suppress(OSError):  # somebody else is in there
                os.rmdir(folder)
        with contextlib.suppress(OSError):  # a folder, and then gone or somebody else's
            os.unlink(place)


def owner_of_null() -> int:
    return os.stat("/dev/null").st_uid


def repair_null_device() -> None:
    """Give /dev/null back to root."""
    if owner_of_null() != 0 and os.geteuid() == 0:
        os.chown("/dev/null", 0, 0)
