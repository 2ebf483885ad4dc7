"""Runtime and Container for ordinary and threaded programs."""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import attrs

from ociruntime.library.bundle import Bundle
from ociruntime.library.command import Settings, exec_words, failure_of
from ociruntime.model import Process, State, from_json, to_json

File = int | IO[Any] | None


@attrs.frozen
class Completed:
    """A process that has ended: its exit status (128 + signal) and what it printed, if that was asked for."""

    status: int
    stdout: bytes = b""
    stderr: bytes = b""


@attrs.frozen
class Runtime:
    """Containers of one state directory. Safe to share between threads: it holds no state of its own."""

    settings: Settings = attrs.field(factory=Settings)

    @classmethod
    def at(cls, root: str | Path) -> Runtime:
        """A runtime with a state directory of its own."""
        return cls(Settings(root=str(root)))

    def create(self, container_id: str, bundle: Bundle | str | Path, *, stdin: File = subprocess.DEVNULL,
               stdout: File = None, stderr: File = None) -> Container:  # fmt: skip
        """Create a container whose program waits for start(). Its streams are files or descriptors, None is ours.

        Raises Failure: ConfigError, StateError, StepError, HookError, ProgramError or HostError.
        """
        path = bundle.path if isinstance(bundle, Bundle) else Path(bundle)
        words = ["create", "--bundle", str(path), container_id]
        self._call(*words, stdin=stdin, stdout=stdout, stderr=stderr)
        return Container(self, container_id)

    def run(self, container_id: str, bundle: Bundle | str | Path, *, stdin: File = subprocess.DEVNULL,
            capture: bool = False) -> Completed:  # fmt: skip
        """Create, start, wait and delete, in one: how the program ended, and with `capture` what it printed.

        Raises Failure when it could not be started.
        """
        path = bundle.path if isinstance(bundle, Bundle) else Path(bundle)
        with log_file() as log:
            stream = subprocess.PIPE if capture else None
            words = self.settings.words(log, "run", "--bundle", str(path), container_id)
            result = subprocess.run(words, stdin=stdin, stdout=stream, stderr=stream, check=False)
            if result.returncode and (told := Path(log).read_bytes()):
                raise failure_of(result.returncode, told, result.stderr or b"")
        return Completed(result.returncode, result.stdout or b"", result.stderr or b"")

    def container(self, container_id: str) -> Container:
        """A container that exists already; nothing is asked until a method is called."""
        return Container(self, container_id)

    def list(self) -> list[State]:
        """The states of all containers."""
        found = json.loads(self._call("list", "--format", "json", stdout=subprocess.PIPE) or b"null")
        return [from_json(State, entry) for entry in found or []]

    def features(self) -> dict[str, Any]:
        """What the runtime can do (features.md)."""
        document: dict[str, Any] = json.loads(self._call("features", stdout=subprocess.PIPE))
        return document

    def _call(self, *command: str, stdin: File = subprocess.DEVNULL, stdout: File = subprocess.DEVNULL,
              stderr: File = None) -> bytes:  # fmt: skip
        """One call of the program; what it prints to a pipe. Raises Failure."""
        with log_file() as log:
            # The runtime prints its one line to our standard error too; it is the same as the log's
            told = subprocess.DEVNULL if command[0] != "create" else stderr
            result = subprocess.run(
                self.settings.words(log, *command), stdin=stdin, stdout=stdout, stderr=told, check=False
            )
            if result.returncode:
                raise failure_of(result.returncode, Path(log).read_bytes(), b"")
        return result.stdout or b""


@attrs.frozen
class Container:
    """One container. As a context manager it is deleted by force at the end."""

    runtime: Runtime
    id: str

    def start(self) -> None:
        """Let the program run; returns once it was executed. Raises ProgramError when it could not be."""
        self.runtime._call("start", self.id)

    def state(self) -> State:
        """The state document (runtime.md, State). Raises StateError for a container that does not exist."""
        return from_json(State, json.loads(self.runtime._call("state", self.id, stdout=subprocess.PIPE)))

    def kill(self, signal: int | str = "TERM") -> None:
        """Signal the program. Raises StateError when it does not run."""
        self.runtime._call("kill", self.id, str(signal))

    def delete(self, *, force: bool = False) -> None:
        """Remove a stopped container; with force any, and one that is gone is fine."""
        self.runtime._call("delete", *(["--force"] if force else []), self.id)

    def pause(self) -> None:
        """Freeze its processes."""
        self.runtime._call("pause", self.id)

    def resume(self) -> None:
        """Let them go on."""
        self.runtime._call("resume", self.id)

    def pids(self) -> list[int]:
        """Its processes, in our pid namespace."""
        found: list[int] = json.loads(self.runtime._call("ps", "--format", "json", self.id, stdout=subprocess.PIPE))
        return found or []

    def stats(self) -> dict[str, Any]:
        """What it uses: cpu, memory, pids, io (the `data` of `events --stats`)."""
        event: dict[str, Any] = json.loads(self.runtime._call("events", "--stats", self.id, stdout=subprocess.PIPE))
        data: dict[str, Any] = event["data"]
        return data

    def wait(self, timeout: float | None = None) -> None:
        """Until the program has ended. Raises TimeoutError.

        Its exit status is its parent's to know, which is the system's init: run() and exec() return theirs.
        """
        pid = self.state().pid
        if not pid:
            return
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            if not poll.poll(None if timeout is None else int(timeout * 1000)):
                raise TimeoutError(f"container {self.id} still runs after {timeout} s")
        finally:
            os.close(pidfd)

    def exec(self, process: Process, *, stdin: File = subprocess.DEVNULL, capture: bool = False) -> Completed:
        """Run one more process in the container, to its end. Raises Failure when it could not be started."""
        with log_file() as log, tempfile.TemporaryDirectory() as place:
            document, pid_file = f"{place}/process.json", f"{place}/pid"
            Path(document).write_text(json.dumps(to_json(process)))
            stream = subprocess.PIPE if capture else None
            words = [*exec_words(pid_file, document), self.id]
            result = subprocess.run(
                self.runtime.settings.words(log, *words), stdin=stdin, stdout=stream, stderr=stream, check=False
            )
            if not Path(pid_file).exists():
                raise failure_of(result.returncode, Path(log).read_bytes(), result.stderr or b"")
        return Completed(result.returncode, result.stdout or b"", result.stderr or b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.delete(force=True)


@contextmanager
def log_file() -> Iterator[str]:
    """A file for the log of one call."""
    with tempfile.TemporaryDirectory(prefix="ociruntime-") as place:
        log = f"{place}/log"
        Path(log).touch()
        yield log
