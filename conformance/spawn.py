"""Start a program cheaply, watch it with a deadline, and keep its words.

``os.posix_spawn`` costs about 1 ms from a small process and does not grow with ours (it does not copy page tables), so
it also serves the stopwatch. Standard output and error go to memfds: a container keeps the runtime's stdio open long
after ``create`` has returned, so the end of a pipe would never come.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs
import prctl

_QUIET = (signal.SIGPIPE, signal.SIGXFSZ)  # CPython ignores these; a child must not inherit that


@attrs.frozen
class Outcome:
    """How one invocation of a program ended.

    ``code`` is the exit status, or minus the signal number; ``seconds`` is wall time from spawn to exit; ``cpu`` is the
    processor time, in seconds, of the program and of the children it waited for (getrusage(2)).
    """

    argv: tuple[str, ...]
    code: int
    stdout: bytes
    stderr: bytes
    seconds: float
    timed_out: bool = False
    cpu: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether it ended by itself with status 0."""
        return self.code == 0 and not self.timed_out

    @property
    def crashed(self) -> bool:
        """Whether a signal ended it although nobody here sent one, or Python or Go died with a trace."""
        trace = any(mark in self.stderr for mark in (b"Traceback (most recent call last)", b"goroutine 1 ["))
        return not self.timed_out and (self.code < 0 or trace)

    def words(self) -> str:
        """The last words on standard error, else on standard output, on one line."""
        raw = self.stderr.strip() or self.stdout.strip()
        return " ".join(raw.decode("utf-8", "replace").split())[-600:]

    def tell(self) -> str:
        """One line for people: what was run, how it ended, what it said."""
        how = "hung" if self.timed_out else f"killed by signal {-self.code}" if self.code < 0 else f"exit {self.code}"
        words = self.words()
        return f"`{' '.join(self.argv)}`: {how}" + (f": {words}" if words else "")


def become_subreaper() -> None:
    """Let orphaned container processes become our children, so that none is lost and each can be waited for."""
    prctl.set_child_subreaper(True)


def wait(pid: int, timeout: float) -> int | None:
    """Wait for our child ``pid``; its ``waitstatus_to_exitcode``, or None when ``timeout`` seconds have passed."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if exited(pid, timeout) else None


def exited(pid: int, timeout: float) -> bool:
    """Whether process ``pid``, child of ours or not, exits within ``timeout`` seconds; it is not reaped."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        return bool(poller.poll(timeout * 1000))
    finally:
        os.close(fd)


def reap(pid: int) -> int | None:
    """Collect our exited child ``pid``; None if it is not ours or still runs."""
    with suppress(ChildProcessError):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
    return None


def spawn(argv: Sequence[str], *, stdin: int, stdout: int, stderr: int, env: Mapping[str, str] | None = None) -> int:
    """Start ``argv`` (the first an absolute path) in a process group of its own; the pid."""
    actions = [(os.POSIX_SPAWN_DUP2, stdin, 0), (os.POSIX_SPAWN_DUP2, stdout, 1), (os.POSIX_SPAWN_DUP2, stderr, 2)]
    return os.posix_spawn(
        argv[0], list(argv), os.environ if env is None else env, file_actions=actions, setpgroup=0, setsigdef=_QUIET
    )


@contextmanager
def memory_file(content: bytes = b"") -> Iterator[int]:
    """A memfd holding ``content``, read from its start."""
    # numbered above the range we dup onto, lest a later dup2 clobber it
    fd = os.memfd_create("conformance", os.MFD_CLOEXEC)
    try:
        if content:
            os.write(fd, content)
            os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


def content(fd: int) -> bytes:
    """All a memfd holds, wherever its offset is."""
    return os.pread(fd, os.fstat(fd).st_size, 0)


def call(
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    stdout: int | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 20.0,
) -> Outcome:
    """Run ``argv`` to its end, or kill its process group after ``timeout`` seconds.

    ``stdout`` replaces the memfd when somebody else wants to read it (a container's output).
    """
    with memory_file(stdin) as inp, memory_file() as out, memory_file() as err:
        begin = time.perf_counter()
        pid = spawn(argv, stdin=inp, stdout=out if stdout is None else stdout, stderr=err, env=env)
        over = exited(pid, timeout)
        seconds = time.perf_counter() - begin
        if not over:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        _, status, usage = os.wait4(pid, 0)
        code, cpu = os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
        return Outcome(tuple(argv), code, content(out), content(err), seconds, timed_out=not over, cpu=cpu)


def find(program: str) -> str:
    """The absolute path of ``program``; raises FileNotFoundError with a sentence."""
    found = shutil.which(program)
    if found is None:
        raise FileNotFoundError(f"no program '{program}' on PATH")
    return str(Path(found).absolute())


def children(pid: int) -> set[int]:
    """The living or unreaped children of ``pid``, over all its threads (CONFIG_PROC_CHILDREN)."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found.update(int(word) for word in task.read_text().split())
    return found


def alive(pid: int) -> bool:
    """Whether ``pid`` exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[:1] not in ([b"Z"], [b"X"])
