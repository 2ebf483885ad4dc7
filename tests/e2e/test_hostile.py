"""Images and volumes that belong to an attacker (docs/security.md): the host must not notice.

The oracle is always the host: a victim directory whose content, times and mounts may not change, and the
hash of what the runtime consists of.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.box import OCIRUNTIME, Box

RENAME_EXCHANGE = 2
AT_FDCWD = -100


class Victim:
    """A directory of the host that links in the image lead to."""

    def __init__(self, place: Path) -> None:
        self.path = place / "victim"
        (self.path / "sub").mkdir(parents=True)
        for name in ("file", "null", "console", "ptmx", "fd"):
            (self.path / name).write_text("untouched")
        self.before = self.look()

    def look(self) -> dict[str, tuple[int, int, int, bytes]]:
        seen = {}
        for path in [self.path, *sorted(self.path.rglob("*"))]:
            info = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(info.st_mode) else b""
            seen[str(path)] = (info.st_mode, info.st_uid, info.st_mtime_ns, content)
        return seen

    def unharmed(self) -> bool:
        return self.look() == self.before and str(self.path) not in Path("/proc/self/mountinfo").read_text()


@pytest.fixture
def victim(box: Box) -> Iterator[Victim]:
    victim = Victim(box.place)
    yield victim
    assert victim.unharmed()


def replace(box: Box, name: str, target: str) -> None:
    """Make an entry of the image a link."""
    place = box.rootfs / name
    if place.is_dir() and not place.is_symlink():
        place.rmdir()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


def without_dev(box: Box) -> None:
    box.spec["mounts"] = [mount for mount in box.spec["mounts"] if not mount["destination"].startswith("/dev")]


@pytest.mark.parametrize("name", ["proc", "sys"])
def test_proc_and_sys_must_be_directories(box: Box, victim: Victim, name: str) -> None:
    """CVE-2023-27561: what is masked and read-only is decided by these names."""
    replace(box, name, "/elsewhere")
    (box.rootfs / "elsewhere").mkdir()
    outcome = box.run("true")
    assert outcome.status == 1 and "must be mounted on ordinary directory" in outcome.err


@pytest.mark.parametrize("depth", ["", "/..", "/../../../../../../../.."])
def test_a_destination_through_a_link_stays_inside(box: Box, victim: Victim, depth: str) -> None:
    """CVE-2021-30465, CVE-2019-18837: for every component of a mount's destination."""
    (box.place / "volume").mkdir()
    (box.place / "volume/mark").touch()
    replace(box, "way", depth + str(victim.path))
    box.mount("/way/sub/new", box.place / "volume", "bind", "bind")
    outcome = box.run("find / -xdev -name mark 2>/dev/null; ls /way/sub/new")
    assert outcome.status in (0, 1)
    assert "mark" in outcome.out or outcome.status == 1


def test_links_that_loop_are_an_error(box: Box, victim: Victim) -> None:
    replace(box, "one", "two")
    replace(box, "two", "one")
    box.mount("/one/x", "tmpfs", "tmpfs")
    outcome = box.run("true")
    assert outcome.status == 1 and "symbolic links" in outcome.err


def test_a_dangling_link_makes_nothing_on_the_host(box: Box, victim: Victim) -> None:
    """CVE-2024-45310: making a mount point must not make it elsewhere."""
    replace(box, "gone", str(victim.path / "made"))
    replace(box, "up", "../" * 40 + str(victim.path / "made").lstrip("/"))
    (box.place / "file").touch()
    for name in ("gone", "up"):
        box.mount(f"/{name}", box.place / "file", "bind", "bind")
        assert box.run("true").status == 0
    assert not (victim.path / "made").exists()
    assert (box.rootfs / str(victim.path / "made").lstrip("/")).is_file()


@pytest.mark.parametrize("way", ["cwd", "device", "mount"])
def test_up_from_what_is_not_there(box: Box, way: str) -> None:
    """A directory that is made on the way must not be left again by "..", past the root."""
    path = "/gone/../../../made-outside/x"
    if way == "cwd":
        box.process["cwd"] = path
    elif way == "device":
        box.linux["devices"] = [{"path": path, "type": "p"}]
    else:
        (box.rootfs / "way").symlink_to("gone/../../../made-outside")
        box.mount("/way/x", "tmpfs", "tmpfs")
    box.run("true")
    for above in list(box.rootfs.parents)[:3]:
        assert not (above / "made-outside").exists()


def test_dev_as_a_link(box: Box, victim: Victim) -> None:
    """CVE-2026-41579, CVE-2026-47766: default devices and links without a mount on /dev."""
    without_dev(box)
    replace(box, "dev", str(victim.path))
    outcome = box.run("true")
    assert outcome.status == 1 and "not a directory" in outcome.err


@pytest.mark.parametrize("name", ["null", "console", "ptmx", "fd", "stdin", "tty", "pts", "shm"])
def test_entries_of_dev_as_links(box: Box, victim: Victim, name: str) -> None:
    without_dev(box)
    box.spec["root"]["readonly"] = name == "null"
    replace(box, f"dev/{name}", str(victim.path / "file"))
    box.linux["maskedPaths"] = ["/proc/kcore", "/proc/keys"]
    box.process["user"] = {"uid": 1000, "gid": 1000}
    outcome = box.run("cat /proc/keys | head -c 1")
    assert outcome.status == 1 or outcome.out == ""


@pytest.mark.parametrize("target", ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"])
def test_a_false_null_device_masks_nothing_away(box: Box, victim: Victim, target: str) -> None:
    """CVE-2025-31133: masking must hold, or the create must fail."""
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    without_dev(box)
    replace(box, "dev/null", target)
    box.linux["maskedPaths"] = ["/proc/sys/kernel/core_pattern"]
    outcome = box.run("cat /proc/sys/kernel/core_pattern; echo x > /proc/sys/kernel/core_pattern")
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before
    assert outcome.out == ""


def test_standard_streams_are_not_repointed(box: Box, victim: Victim) -> None:
    """CVE-2026-88265: /dev/null as standard input, reopened through a link and given away."""
    without_dev(box)
    replace(box, "dev/null", str(victim.path / "null"))
    box.process["user"] = {"uid": 1000, "gid": 1000}
    box.run("echo harm >&0")


@pytest.mark.parametrize("kind", ["fifo", "socket", "device"])
def test_what_is_no_directory_where_one_belongs(box: Box, victim: Victim, kind: str) -> None:
    place = box.rootfs / "odd"
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "device":
        os.mknod(place, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    else:
        os.mknod(place, stat.S_IFSOCK | 0o666)
    box.mount("/odd", "tmpfs", "tmpfs")
    outcome = box.run("true", timeout=20)
    assert outcome.status == 1 and "not a directory" in outcome.err.lower()


@pytest.mark.parametrize("destination", ["/proc", "/proc/self/attr", "/proc/sys/kernel"])
def test_nothing_covers_procfs(box: Box, victim: Victim, destination: str) -> None:
    """CVE-2019-16884: a volume over /proc would receive what is meant for the kernel."""
    box.mount(destination, victim.path, "bind", "bind")
    outcome = box.run("true")
    assert outcome.status == 1 and "inside /proc" in outcome.err


def test_procfs_through_another_name_is_found_out(box: Box, victim: Victim) -> None:
    replace(box, "alias", "proc")
    box.mount("/alias/sys", victim.path, "bind", "bind")
    outcome = box.run("true")
    assert outcome.status == 1 and "inside /proc" in outcome.err


def test_a_sysctl_reaches_the_kernel(box: Box, victim: Victim) -> None:
    """CVE-2025-52881: a link below /proc/sys cannot redirect the write; it goes through the host's procfs."""
    box.linux["sysctl"] = {"kernel.shmmni": "55"}
    assert box.run("cat /proc/sys/kernel/shmmni").out == "55\n"


@contextmanager
def exchanging(one: Path, other: Path) -> Iterator[None]:
    """Exchange two names as fast as can be, as a process in another container might."""
    libc = ctypes.CDLL(None, use_errno=True)
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            libc.renameat2(AT_FDCWD, bytes(one), AT_FDCWD, bytes(other), RENAME_EXCHANGE)

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("rounds", [40, pytest.param(2000, marks=pytest.mark.slow)])
def test_a_racing_volume(box: Box, victim: Victim, rounds: int) -> None:
    """CVE-2021-30465, CVE-2019-19921: a mount point that becomes a link between check and use."""
    shared = box.place / "shared"
    (shared / "real").mkdir(parents=True)
    (shared / "link").symlink_to("/" + "../" * 20 + str(victim.path)[1:])
    box.mount("/shared", shared, "bind", "bind")
    box.mount("/shared/real/inner", "tmpfs", "tmpfs", "size=4k")
    if rounds > 100 and not os.environ.get("OCIRUNTIME_LONG_RACES"):
        pytest.skip("takes minutes: set OCIRUNTIME_LONG_RACES=1")
    with exchanging(shared / "real", shared / "link"):
        for _ in range(rounds):
            box.run("true")
            assert victim.unharmed()


def runtime_files() -> list[Path]:
    package = Path(OCIRUNTIME).parent.parent / "lib"
    interpreter = Path(os.path.realpath(Path(OCIRUNTIME).parent / "python3"))
    return [Path(OCIRUNTIME), interpreter, *sorted(package.rglob("ociruntime/core/**/*.so"))]


@pytest.mark.parametrize("how", ["run", "exec"])
def test_the_runtime_cannot_be_overwritten(box: Box, how: str) -> None:
    """CVE-2019-5736: a program that is a link to /proc/self/exe, and one that waits for whoever enters."""
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in runtime_files()]
    trap = box.rootfs / "bin/trap"
    trap.write_text("#!/proc/self/exe\n")
    trap.chmod(0o755)
    caps = ["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_SYS_ADMIN"]
    box.process["capabilities"] = {kind: caps for kind in ("bounding", "effective", "permitted")}
    if how == "run":
        box.run("/bin/trap", "x")
        box.run("/proc/self/exe", "x")
    else:
        watch = "while :; do for exe in /proc/[0-9]*/exe; do (echo harm > $exe) 2>/dev/null; done; done"
        box.up("sh", "-c", watch)
        for _ in range(10):
            box.exec("/proc/self/exe", "x")
            box.exec("/bin/trap", "x")
            box.exec("true")
    assert [hashlib.sha256(path.read_bytes()).hexdigest() for path in runtime_files()] == digests
    assert sys.executable


def test_who_enters_shows_no_descriptor_of_the_host(box: Box) -> None:
    """CVE-2016-9962: root of the container looks into every process that joins it; it is not dumpable."""
    watch = (
        "while :; do for d in /proc/[0-9]*; do case $d in /proc/1|/proc/$$) continue;; esac; "
        "ls -l $d/fd 2>/dev/null; done >> /tmp/seen; done"
    )
    caps = ["CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"]
    box.process["capabilities"] = {kind: caps for kind in ("bounding", "effective", "permitted")}
    box.up("sh", "-c", watch)
    for _ in range(15):
        assert box.exec("true").status == 0
    box.kill()
    box.wait_for("stopped")
    seen = (box.rootfs / "tmp/seen").read_text(errors="replace")
    assert str(box.place) not in seen.replace(f"{box.place}/out", "").replace(f"{box.place}/err", "")
    assert "cgroup" not in seen and "pidfd" not in seen and "memfd" not in seen


def test_inheritable_capabilities_stay_empty(box: Box) -> None:
    """CVE-2022-27650, CVE-2022-29162, CVE-2025-27612."""
    box.up()
    outcome = box.exec("grep", "CapInh", "/proc/self/status", options=("--cap", "CAP_NET_RAW"))
    assert outcome.out.split() == ["CapInh:", "0000000000000000"]


@pytest.mark.parametrize(("words", "status"), [("1", 0), ("7:8", 0), ("", 255), ("a", 255), ("-1", 255), ("1:", 255)])
def test_who_exec_runs_as(box: Box, words: str, status: int) -> None:
    """CVE-2026-30892: `-u 1` was root."""
    box.up()
    outcome = box.exec("id", options=("--user", words))
    assert outcome.status == status
    if words == "1":
        assert "uid=1 " in outcome.out or "uid=1(" in outcome.out
    if words == "7:8":
        assert "uid=7" in outcome.out and "gid=8" in outcome.out


def test_a_long_list_is_not_cut(box: Box) -> None:
    """CVE-2021-43784: more mappings than a message of 16 bit lengths can hold."""
    box.linux["uidMappings"] = [{"containerID": n, "hostID": 100000 + n, "size": 1} for n in range(9000)]
    box.linux["gidMappings"] = box.linux["uidMappings"]
    box.linux["namespaces"].append({"type": "user"})
    outcome = box.run("true")
    assert outcome.status == 1 and len(outcome.err) < 100_000


@pytest.mark.parametrize("path", ["/../../x", "../../../x", "/a/../../x"])
def test_a_cgroup_path_that_climbs(box: Box, path: str) -> None:
    box.linux["cgroupsPath"] = path
    outcome = box.run("true")
    assert outcome.status == 1 and box.records()[0]["origin"] == "/linux/cgroupsPath"
