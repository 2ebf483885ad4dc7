"""Every system call of every command as the last one, and what that leaves on the host (docs/faults.md).

    python -m tests.e2e.sweep [--runtime PATH] [--peer runc --peer crun] [--mode kill ...] [--stride N] [deed ...]

Modes:
    kill     strace kills every process of the command at its nth call of one name, each counted for itself
    alone    one process only: the command (0), its first child (1), ...; the others live on
    error    one system call of one process fails with EIO, ENOMEM or ENOSPC in turn

After a kill `delete --force` must succeed within 5 seconds, and then nothing may be left. A call that fails
may be survived; if it is not, there is nothing to delete, one line on stderr, one record in the log, status 1
(255 for exec), and no traceback.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import prctl

from tests.e2e import inject
from tests.e2e.box import OCIRUNTIME, Box

WEDGE = 5.0  # seconds: a delete that takes longer is a failure
LINGER = 2.0  # seconds that a killed process may take to be gone
ERRORS = (5, 12, 28)  # EIO, ENOMEM, ENOSPC
UNHURT = ("12", "15", "60", "231")  # brk, rt_sigreturn, exit, exit_group of x86_64 do not fail
EXECVE, EXECVEAT = "59", "322"
TAPE = ("8", "9")  # lseek, mmap: a player that cannot read its tape does not know whom to tell (docs/faults.md)


class Deed(NamedTuple):
    """A command to hurt. `stage` is what must have been done to the container before, in words of Place.prepare."""

    name: str
    stage: str
    words: tuple[str, ...]
    bend: str = ""  # how the bundle differs from the plain one: method bend_* of Place


DEEDS = [
    Deed("create", "", ("create", "--pid-file", "{pid_file}", "{id}")),
    Deed("create-terminal", "", ("create", "--console-socket", "{console}", "{id}"), "terminal"),
    Deed("create-user", "", ("create", "{id}"), "user"),
    Deed("create-joined", "", ("create", "{id}"), "joined"),
    Deed("create-idmap", "", ("create", "{id}"), "idmap"),
    Deed("create-hooks", "", ("create", "{id}"), "hooks"),
    Deed("start", "created", ("start", "{id}")),
    Deed("start-hooks", "created", ("start", "{id}"), "hooks"),
    Deed("run", "", ("run", "{id}"), "short"),
    Deed("run-terminal", "", ("run", "{id}"), "short_terminal"),
    Deed("run-detach", "", ("run", "--detach", "--pid-file", "{pid_file}", "{id}")),
    Deed("exec", "running", ("exec", "{id}", "true")),
    Deed("exec-detach", "running", ("exec", "--detach", "--pid-file", "{pid_file}", "{id}", "true")),
    Deed("exec-terminal", "running", ("exec", "--tty", "--detach", "--console-socket", "{console}", "{id}", "true")),
    Deed("exec-user", "running", ("exec", "{id}", "true"), "user"),
    Deed("kill", "running", ("kill", "{id}", "KILL")),
    Deed("pause", "running", ("pause", "{id}")),
    Deed("resume", "paused", ("resume", "{id}")),
    Deed("update", "running", ("update", "--pids-limit", "77", "{id}")),
    Deed("delete", "stopped", ("delete", "{id}")),
    Deed("delete-created", "created", ("delete", "{id}")),
    Deed("delete-force", "running", ("delete", "--force", "{id}"), "hooks"),
]


class Trial(NamedTuple):
    """One fault, and what was wrong afterwards ([] as it should be)."""

    where: str
    wrong: list[str]


class Place:
    """A bundle and a state directory for many containers in turn, each of a name of its own."""

    def __init__(self, place: Path, runtime: str, prefix: str) -> None:
        # Orphans of whatever is killed become ours, so none can hide
        prctl.set_child_subreaper(True)
        self.runtime = runtime
        self.ours = "ociruntime" in Path(runtime).name
        self.prefix = prefix
        self.count = 0
        self.cgroup = ""  # from the mount points, without a slash
        self.keeper: subprocess.Popen[bytes] | None = None
        self.box = Box(place, prefix, runtime)
        self.console = socket.socket(socket.AF_UNIX)
        self.console.bind(str(place / "console.sock"))
        self.console.listen(64)
        self.console.setblocking(False)
        self.pid_file = place / "pids" / "pid"
        self.pid_file.parent.mkdir(exist_ok=True)
        self.plain = json.dumps({**self.box.spec, "ociVersion": "1.0.2"})

    # --- bundles -------------------------------------------------------------------------------------

    def bundle(self, bend: str) -> None:
        """A new name, and a fresh config.json for it."""
        self.count += 1
        box = self.box
        box.name = f"{self.prefix}-{self.count}"
        box.spec = json.loads(self.plain)
        # Debian's runc and crun never remove the parents that they made, so that would be all that is seen
        self.cgroup = f"{box.name}/inner" if self.ours else box.name
        box.linux["cgroupsPath"] = f"/{self.cgroup}"
        box.process["args"] = ["sleep", "1000"]
        if bend:
            getattr(self, f"bend_{bend}")()
        box.write()

    def bend_short(self) -> None:
        self.box.process["args"] = ["true"]

    def bend_short_terminal(self) -> None:
        self.bend_short()
        self.bend_terminal()

    def bend_terminal(self) -> None:
        self.box.process["terminal"] = True

    def bend_user(self) -> None:
        self.box.linux["namespaces"].append({"type": "user"})
        for kind in ("uidMappings", "gidMappings"):
            self.box.linux[kind] = [{"containerID": 0, "hostID": 100000, "size": 65536}]

    def bend_joined(self) -> None:
        """A user namespace by path, with the others of the same container: its clone takes a process in between."""
        keeper = self._keeper()
        kinds = {"user": "user", "ipc": "ipc", "uts": "uts", "network": "net"}
        paths = {kind: f"/proc/{keeper}/ns/{file}" for kind, file in kinds.items()}
        self.box.namespaces("pid", "mount", "cgroup", **paths)
        for kind in ("uidMappings", "gidMappings"):
            self.box.linux[kind] = [{"containerID": 0, "hostID": 100000, "size": 65536}]

    def bend_idmap(self) -> None:
        source = self.box.place / "idmap"
        source.mkdir(exist_ok=True)
        maps = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        self.box.spec["mounts"].append(
            {"destination": "/mapped", "source": str(source), "type": "bind", "options": ["bind"],
             "uidMappings": maps, "gidMappings": maps},
        )  # fmt: skip

    def bend_hooks(self) -> None:
        kinds = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
        self.box.spec["hooks"] = {kind: [{"path": "/bin/true"}] for kind in kinds}

    def _keeper(self) -> int:
        if not self.keeper:
            reader, writer = os.pipe()
            self.keeper = subprocess.Popen(
                ["unshare", "-U", "-i", "-u", "-n", "--", "sh", "-c", "echo; exec sleep 100000"], stdout=writer
            )
            os.close(writer)
            os.read(reader, 1)
            os.close(reader)
            for kind in ("uid", "gid"):
                Path(f"/proc/{self.keeper.pid}/{kind}_map").write_text("0 100000 65536\n")
        return self.keeper.pid

    # --- calls ---------------------------------------------------------------------------------------

    def words(self, *words: str) -> list[str]:
        box = self.box
        command = [shutil.which(self.runtime) or self.runtime, "--root", str(box.root)]
        if self.ours:
            command += ["--log", str(box.log), "--log-format", "json"]
        known = {"id": box.name, "pid_file": str(self.pid_file), "console": str(box.place / "console.sock")}
        return command + [word.format(**known) for word in words]

    def call(self, *words: str) -> tuple[int, str]:
        """A command left in peace: its status and what it said on stderr."""
        with (self.box.place / "err").open("w+b") as err:
            status = self.wait_for(self.words(*words), err)
            err.seek(0)
            return status, err.read().decode(errors="replace").strip()

    def wait_for(self, command: list[str], err: Any, patience: float = 60) -> int:
        """Run a command and meanwhile reap whatever becomes ours, as the host's init would; its status.

        A zombie keeps its pid namespace, and so the container's init, from ending.
        """
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err, cwd=self.box.bundle
        )
        deadline = time.monotonic() + patience
        poll = select.poll()
        pidfd = os.pidfd_open(process.pid)
        poll.register(pidfd, select.POLLIN)
        try:
            while not poll.poll(10):
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if ended and ended.si_pid != process.pid:
                    os.waitpid(ended.si_pid, 0)
                if time.monotonic() > deadline:
                    process.kill()
                    raise subprocess.TimeoutExpired(command, patience)
            return process.wait()
        finally:
            os.close(pidfd)

    def must(self, *words: str) -> None:
        status, said = self.call(*words)
        if status:
            raise RuntimeError(f"{' '.join(words)}: {said}")

    def prepare(self, deed: Deed) -> None:
        """The container as the deed wants it."""
        self.bundle(deed.bend)
        for word in {
            "": (), "created": ("create",), "running": ("create", "start"), "paused": ("create", "start", "pause"),
            "stopped": ("create", "start", "kill"),
        }[deed.stage]:  # fmt: skip
            self.must(word, "{id}", *(["KILL"] if word == "kill" else []))
        if deed.stage == "stopped":
            self._until_stopped()

    def _until_stopped(self) -> None:
        deadline = time.monotonic() + WEDGE
        while self.status() != "stopped" and time.monotonic() < deadline:
            self.reap()

    def state(self) -> dict[str, Any]:
        """What `state` says, {} where there is no container."""
        result = subprocess.run(self.words("state", "{id}"), capture_output=True, text=True, check=False)
        return dict(json.loads(result.stdout)) if result.returncode == 0 else {}

    def status(self) -> str:
        return str(self.state().get("status", ""))

    # --- what is left ----------------------------------------------------------------------------------

    def reap(self) -> list[int]:
        """Wait for what has ended; the children that have not."""
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return []
            if pid == 0:
                break
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
        return [int(word) for word in text.split() if not self.keeper or int(word) != self.keeper.pid]

    def strays(self, patience: float = LINGER) -> list[str]:
        """Processes that outlive a delete by more than `patience` seconds; killed here, so that they hurt once."""
        deadline = time.monotonic() + patience
        while children := self.reap():
            poll = select.poll()
            pidfd = os.pidfd_open(children[0])
            poll.register(pidfd, select.POLLIN)
            ended = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
            os.close(pidfd)
            if not ended:
                break
        found = [f"process {pid}: {_command_of(pid)}" for pid in children]
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        return found

    def left(self) -> list[str]:
        """Everything of the container that is still on the host."""
        box = self.box
        found = self.strays()
        for hierarchy in [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()]:
            if (hierarchy / box.name).exists():
                found.append(f"cgroup {hierarchy / box.name}")
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            if str(box.place) in line:
                found.append(f"mount {line.split()[4]}")
        found += [f"state {entry}" for entry in box.root.rglob("*")] if box.root.exists() else []
        found += [f"file {entry}" for entry in self.pid_file.parent.iterdir() if entry != self.pid_file]
        found += [f"file {entry}" for entry in box.bundle.iterdir() if entry.name not in ("rootfs", "config.json")]
        return found

    def delete(self) -> list[str]:
        """`delete --force` as the remedy for whatever has happened; what is wrong with it."""
        begin = time.monotonic()
        try:
            status, said = self.call("delete", "--force", "{id}")
        except subprocess.TimeoutExpired:
            return ["delete --force hangs"]
        took = time.monotonic() - begin
        wrong = [f"delete --force: status {status}: {said}"] if status else []
        return wrong + ([f"delete --force took {took:.1f} s"] if took > WEDGE else [])

    def purge(self) -> None:
        """Take away by hand what was left behind, and has been counted, so that the next trial begins clean."""
        box = self.box
        for hierarchy in [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()]:
            for path in (hierarchy / box.name / "inner", hierarchy / box.name):
                if path.exists():
                    for pid in (path / "cgroup.procs").read_text().split():
                        os.kill(int(pid), signal.SIGKILL)
                    self.strays()
                    path.rmdir()
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            if str(box.root) in line:
                subprocess.run(["umount", "--lazy", line.split()[4]], check=False)
        shutil.rmtree(box.root, ignore_errors=True)
        for entry in self.pid_file.parent.iterdir():
            entry.unlink()

    def clean(self) -> None:
        """Between trials: what callers of a runtime own."""
        self.pid_file.unlink(missing_ok=True)
        self.box.log.unlink(missing_ok=True)
        while True:
            try:
                self.console.accept()[0].close()
            except BlockingIOError:
                return

    def close(self) -> None:
        if self.keeper:
            self.keeper.kill()
            self.keeper.wait()
        self.console.close()


def _command_of(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return words[:120] or "(zombie)"
    except OSError:
        return "(gone)"


# --- hurting ---------------------------------------------------------------------------------------------


class Kill(NamedTuple):
    """Death at the nth call of one name: strace counts the names apart, also for inject=all."""

    call: str
    nth: int


def under_strace(place: Place, deed: Deed, kill: Kill | None) -> int:
    """The command under strace, perhaps killed. Its status."""
    box = place.box
    options = ["-D", "-f", "-qqq", "-o", str(box.place / "trace")]
    if kill:
        options += ["-e", f"inject={kill.call}:signal=KILL:when={kill.nth}"]
    with (box.place / "err").open("wb") as err:
        return place.wait_for(["strace", *options, *place.words(*deed.words)], err)


def with_fault(place: Place, deed: Deed, fault: inject.Fault | None, *, detail: bool = False) -> inject.Told:
    """The command under our own tracer."""
    box = place.box
    with (box.place / "err").open("wb") as err, Path("/dev/null").open("r+b") as null:
        return inject.run(
            place.words(*deed.words), fault, detail=detail, stdin=null.fileno(), stdout=null.fileno(),
            stderr=err.fileno(), cwd=str(box.bundle),
        )  # fmt: skip


def after_kill(place: Place, deed: Deed) -> list[str]:
    """What is wrong after a kill: what the survivors do, `delete --force`, and what is left."""
    wrong = []
    if deed.name.startswith("start"):
        wrong += _started_or_not(place)
    elif deed.name.startswith("exec"):
        wrong += _alone_in_container(place)
    wrong += place.delete()
    return wrong + place.left()


def _started_or_not(place: Place) -> list[str]:
    """A `start` that was killed has started the container or not; one that it has not can be started."""
    word = place.status()
    if word == "created":
        status, said = place.call("start", "{id}")
        if status:
            return [f'"created", but start says: {said}']
        word = place.status()
    # A poststart hook that fails, killed for instance, ends the container
    fine = ("running", "stopped", "") if "hooks" in place.box.spec else ("running", "stopped")
    return [] if word in fine else [f'"{word}" after start']


def _alone_in_container(place: Place) -> list[str]:
    """Nothing of an exec that was killed is in the container any longer."""
    deadline = time.monotonic() + LINGER
    procs = Path(f"/sys/fs/cgroup/pids/{place.cgroup}/cgroup.procs")
    if not procs.exists():
        procs = Path(f"/sys/fs/cgroup/{place.cgroup}/cgroup.procs")
    while len(pids := procs.read_text().split()) > 1:
        if time.monotonic() > deadline:
            return [f"in the container: {_command_of(int(pid))}" for pid in pids[1:]]
        place.reap()
    return []


def after_error(place: Place, deed: Deed, told: inject.Told) -> list[str]:
    """What is wrong after a call that failed: how it was told, and what is left without a delete."""
    if told.status == 0 or not told.hit:
        return after_kill(place, deed)
    said = (place.box.place / "err").read_text(errors="replace")
    wrong = []
    if told.status != (255 if deed.name.startswith("exec") else 1):
        wrong.append(f"status {told.status}")
    if len(said.splitlines()) != 1 or "Traceback" in said:
        wrong.append(f"stderr: {said!r}")
    if len(place.box.records()) != 1:
        wrong.append(f"{len(place.box.records())} records in the log")
    if not deed.stage:
        wrong += place.left()
    return wrong + after_kill(place, deed)


def baseline(place: Place, deed: Deed) -> list[list[str]]:
    """The calls of each process of the command, as they are when nothing goes wrong."""
    place.prepare(deed)
    told = with_fault(place, deed, None, detail=True)
    said = (place.box.place / "err").read_text()
    wrong = after_kill(place, deed)
    place.clean()
    if told.status or wrong:
        raise RuntimeError(f"{deed.name} goes wrong by itself: status {told.status} {said} {wrong}")
    return told.calls


def kills(place: Place, deed: Deed) -> list[Kill]:
    """Every call that a process of the command makes, as strace can name it, in the order of their coming."""
    place.prepare(deed)
    status = under_strace(place, deed, None)
    said = (place.box.place / "err").read_text()
    place.delete()
    place.strays()  # strace itself, which writes until its last tracee ends
    wrong = place.left()
    place.clean()
    if status or wrong:
        raise RuntimeError(f"{deed.name} goes wrong by itself: status {status} {said} {wrong}")
    count: dict[tuple[str, str], int] = {}
    found: dict[Kill, None] = {}
    for line in (place.box.place / "trace").read_text(errors="replace").splitlines():
        pid, _, rest = line.partition(" ")
        name = rest.strip().partition("(")[0]
        if name.isidentifier():
            count[pid, name] = count.get((pid, name), 0) + 1
            found[Kill(name, count[pid, name])] = None
    return list(found)


def alone(calls: list[list[str]]) -> list[inject.Fault]:
    """Each call of each process."""
    return [inject.Fault(process, nth) for process, made in enumerate(calls) for nth in range(1, len(made) + 1)]


def errors(place: Place, calls: list[list[str]]) -> list[inject.Fault]:
    """Each call that may fail: of the command from when its log is open, the rest is the interpreter's own affair."""
    found = []
    for process, made in enumerate(calls):
        first = 0
        if process == 0:
            # Two more calls move the log to a high number
            first = next(number for number, call in enumerate(made) if call.endswith(f" {place.box.log}")) + 3
        for number in range(first, len(made)):
            word = made[number].split()[0]
            player = process and EXECVEAT in made[:number]
            if word not in UNHURT and not (player and word in TAPE):
                found.append(inject.Fault(process, number + 1, ERRORS[number % len(ERRORS)]))
            if process and word == EXECVE:
                break  # the rest is the affair of the container's program, or of a hook
    return found


def faults(place: Place, deed: Deed, mode: str) -> list[Any]:
    """All faults of a mode for a deed, in order."""
    if mode == "kill":
        return kills(place, deed)
    calls = baseline(place, deed)
    return alone(calls) if mode == "alone" else errors(place, calls)


def hurt(place: Place, deed: Deed, mode: str, fault: Any) -> Trial:
    """One trial from a clean host to a clean host."""
    place.prepare(deed)
    try:
        if mode == "kill":
            where = f"{fault.call} {fault.nth}"
            under_strace(place, deed, fault)
            wrong = after_kill(place, deed)
        else:
            told = with_fault(place, deed, fault)
            where = f"process {fault.process}, call {fault.nth} ({told.hit})"
            if fault.errno:
                where += f" fails: {os.strerror(fault.errno).lower()}"
            wrong = after_error(place, deed, told) if fault.errno else after_kill(place, deed)
    except subprocess.TimeoutExpired:
        where, wrong = f"{fault}", ["hangs"]
    if wrong:
        place.delete()
        place.purge()
    place.clean()
    return Trial(where, wrong)


def sweep(place: Place, deed: Deed, mode: str, stride: int = 1, offset: int = 0) -> Iterator[Trial]:
    """Trials for every `stride`th fault of a mode."""
    for fault in faults(place, deed, mode)[offset::stride]:
        yield hurt(place, deed, mode, fault)


# --- the table -------------------------------------------------------------------------------------------


def main(words: list[str]) -> int:
    """Print one line for each deed and runtime; 1 where ours (the first runtime) left something."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.sweep", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runtime", default=OCIRUNTIME)
    parser.add_argument("--peer", action="append", default=[])
    parser.add_argument("--mode", action="append", choices=("kill", "alone", "error"))
    parser.add_argument("--stride", type=int, default=1, help="only every Nth call")
    parser.add_argument("--place", type=Path, default=Path(f"/tmp/sweep-{os.getpid()}"))
    parser.add_argument("deed", nargs="*", choices=[*(deed.name for deed in DEEDS), []], default=[])
    given = parser.parse_args(words)
    wanted = [deed for deed in DEEDS if not given.deed or deed.name in given.deed]
    failed = 0
    for number, runtime in enumerate([given.runtime, *given.peer]):
        place = Place(given.place / str(number), runtime, f"sweep-{os.getpid()}-{number}")
        try:
            for mode in given.mode or ["kill", "alone", "error"]:
                if number and mode != "kill":
                    continue  # how a peer's processes divide the work is its own affair
                for deed in wanted:
                    failed += report(place, deed, mode, given.stride) * (number == 0)
        finally:
            place.close()
    shutil.rmtree(given.place, ignore_errors=True)
    return 1 if failed else 0


def report(place: Place, deed: Deed, mode: str, stride: int, show: Callable[[str], None] = print) -> int:
    """One line of the table, and below it each trial that went wrong."""
    begin, total, bad = time.monotonic(), 0, []
    try:
        place.prepare(deed)  # once for nothing: so that no module is left to compile
        place.call(*deed.words)
        place.delete()
        place.clean()
        for trial in sweep(place, deed, mode, stride):
            total += 1
            if trial.wrong:
                bad.append(trial)
    except RuntimeError as error:
        show(f"{Path(place.runtime).name:12} {mode:6} {deed.name:16} not possible: {error}")
        return 0
    took = time.monotonic() - begin
    show(f"{Path(place.runtime).name:12} {mode:6} {deed.name:16} {len(bad):4} / {total:4}   {took:6.0f} s")
    for trial in bad:
        show(f"    {trial.where}: {'; '.join(trial.wrong)}")
    sys.stdout.flush()
    return len(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
