"""Hooks: programs of the caller's that the runtime runs at certain points (config.md, POSIX-platform Hooks).

They run where the calling process is: the parent has the runtime's namespaces, the child the container's.
Each gets the container's state on standard input and has its timeout; the first that fails stops the row. What
a hook printed is part of its failure, since nobody else has it (containerd#11210, runc#2736), unless annotations
name files for it.
"""

from __future__ import annotations

import posix as os
import select
import time

from ociruntime.core import paths
from ociruntime.core.errors import HookError, HostError
from ociruntime.core.kernel.flags import CLOSE_RANGE_CLOEXEC, PR_SET_PDEATHSIG
from ociruntime.core.plan.hooks import INHERIT
from ociruntime.core.record import Record
from ociruntime.core.steps.base import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import NoReturn

    from ociruntime.core.kernel import Kernel
    from ociruntime.core.spec.types import Hook

SIGKILL = 9

LONGEST_COMMAND = 200  # characters of it in a failure
MOST_OUTPUT = 4096  # bytes of a hook's output that are kept for its failure, the last ones

# Annotations of crun's: files that the standard output and error of all hooks are appended to
OUTPUTS = {"run.oci.hooks.stdout": 1, "run.oci.hooks.stderr": 2}
NO_OUTPUTS: Mapping[int, int] = {}


def open_outputs(kernel: Kernel, annotations: Mapping[str, str]) -> dict[int, int]:
    """The files that annotations name, made where they are missing: descriptor of a hook to ours. Raises HostError."""
    outputs = {}
    for name, number in OUTPUTS.items():
        path = annotations.get(name)
        if not path:
            continue
        try:
            outputs[number] = kernel.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOCTTY, 0o600)
        except OSError as error:
            raise HostError(
                f"cannot open {path} for the output of hooks", code="hook-output", origin=f"/annotations/{name}",
                errno=error.errno or 0,
            ) from None  # fmt: skip
    return outputs


class Program(Record):
    """What hooks of the program's own kind, startContainer, share with it."""

    environ: Mapping[bytes, bytes]  # for hooks without `env`
    confine: Callable[[], None]  # makes the calling process the program's user, or raises OSError


def run_hooks(
    kernel: Kernel, hooks: Sequence[Hook], state: bytes, kind: str, origin: str, *, program: Program | None = None,
    outputs: Mapping[int, int] = NO_OUTPUTS,
) -> None:  # fmt: skip
    """Run hooks in order. Raises HookError for the first that fails; the rest is not run.

    `state` is the JSON document for their standard input; `kind` is the property that lists them and `origin` the
    JSON pointer to that list; `program` is for startContainer, `outputs` from open_outputs().
    """
    for index, hook in enumerate(hooks):
        run_hook(kernel, hook, state, kind, f"{origin}/{index}", program=program, outputs=outputs)


def run_hook(
    kernel: Kernel, hook: Hook, state: bytes, kind: str, origin: str, *, program: Program | None = None,
    outputs: Mapping[int, int] = NO_OUTPUTS,
) -> None:  # fmt: skip
    """Run one hook to its end. Raises HookError."""
    run = _Running(kernel, hook, environment_of(hook, kind, program), program, outputs)
    try:
        problem = run.watch(state, hook.get("timeout") or 0)
    finally:
        run.end()
    if problem:
        command = quoted(hook["path"], *(hook.get("args") or [])[1:])
        name = f'{kind} hook {origin.rpartition("/")[2]} "{hook["path"]}"'
        parts = [f"{name} failed after {run.milliseconds} ms: {problem}"]
        parts += [f"command: {command[:LONGEST_COMMAND]}"] if command != hook["path"] else []
        output = bytes(run.output).decode("utf-8", "replace").strip()
        parts += [f"output: {output}"] if output else []
        failure = HookError("; ".join(parts), origin=origin, errno=run.errno, code="hook-failed")
        failure.step = f"{kind} hook: {command}"
        raise failure


def environment_of(hook: Hook, kind: str, program: Program | None) -> dict[bytes, bytes]:
    """A hook's own env is all that it gets; without one it depends on the kind."""
    if "env" in hook:
        pairs = (entry.partition("=") for entry in hook["env"])
        return {paths.fsencode(name): paths.fsencode(value) for name, equals, value in pairs if equals and name}
    if program:
        return dict(program.environ)
    return dict(os.environ) if kind in INHERIT else {}


class _Running:
    """A hook between fork and wait."""

    def __init__(
        self, kernel: Kernel, hook: Hook, env: dict[bytes, bytes], program: Program | None,
        outputs: Mapping[int, int],
    ) -> None:
        self.kernel = kernel
        self.output = bytearray()
        self.status: int | None = None
        self.errno = 0  # of execve, where it was refused
        self.began = time.monotonic()
        self.milliseconds = 0
        theirs_in, self.state_pipe = kernel.pipe()
        self.output_pipe, theirs_out = kernel.pipe()
        self.failure_pipe, theirs_failure = kernel.pipe()
        parent = kernel.getpid()
        self.pid = kernel.fork()
        if self.pid == 0:
            out, err = (outputs.get(number, theirs_out) for number in (1, 2))
            _become_hook(kernel, hook, env, (theirs_in, out, err, theirs_failure), program, parent=parent)
        for fd in (theirs_in, theirs_out, theirs_failure):
            kernel.close(fd)
        self.pidfd = kernel.pidfd_open(self.pid)

    def watch(self, state: bytes, timeout: int) -> str:
        """Feed it, listen to it, wait for it. Returns what went wrong in words, "" if nothing did."""
        refused = self.kernel.read(self.failure_pipe, 16)  # end of file: it was executed
        if refused:
            self.errno = int(refused)
            return os.strerror(self.errno).lower()
        ended = self._attend(state, self.began + timeout if timeout else None)
        self.milliseconds = round((time.monotonic() - self.began) * 1000)
        if not ended:
            return f"it did not end within {timeout} s"
        return _words(self._wait())

    def _attend(self, state: bytes, deadline: float | None) -> bool:
        """Until it ends, True, or the deadline passes, False. A hook that reads no state, or not all, is fine."""
        for fd in (self.state_pipe, self.output_pipe):
            self.kernel.set_blocking(fd, False)
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        poll.register(self.output_pipe, select.POLLIN)
        poll.register(self.state_pipe, select.POLLOUT)
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
            ready = dict(poll.poll(left))
            if self.output_pipe in ready and not self._listen():
                poll.unregister(self.output_pipe)
            if self.pidfd in ready:
                while self._listen():
                    pass
                return True
            if not ready:
                return False
            if self.state_pipe in ready:
                state = self._feed(state)
                if not state:
                    poll.unregister(self.state_pipe)
                    self.kernel.close(self.state_pipe)
                    self.state_pipe = -1

    def _feed(self, state: bytes) -> bytes:
        """Write what fits; what remains, nothing once the hook has closed its end."""
        try:
            return state[self.kernel.write(self.state_pipe, state) :]
        except BlockingIOError:
            return state
        except BrokenPipeError:
            return b""

    def _listen(self) -> bool:
        """Take what it printed, keep the end of it. False if there was nothing, or never will be."""
        try:
            part = self.kernel.read(self.output_pipe, 65536)
        except BlockingIOError:
            return False
        self.output += part
        del self.output[:-MOST_OUTPUT]
        return bool(part)

    def _wait(self) -> int:
        if self.status is None:
            _pid, self.status = self.kernel.waitpid(self.pid)
        return self.status

    def end(self) -> None:
        """Leave no process and no descriptor, however it went. One that runs still, with its group, is killed."""
        if self.status is None:
            try:
                self.kernel.kill(-self.pid, SIGKILL)
            except OSError:
                self.kernel.kill(self.pid, SIGKILL)  # it had no group yet
            self._wait()
        for fd in (self.state_pipe, self.output_pipe, self.failure_pipe, self.pidfd):
            if fd >= 0:
                self.kernel.close(fd)


def _become_hook(
    kernel: Kernel,
    hook: Hook,
    env: dict[bytes, bytes],
    ends: tuple[int, int, int, int],
    program: Program | None,
    *,
    parent: int,
) -> NoReturn:
    """The child: nothing of the runtime but standard input and output, and it dies with the runtime."""
    try:
        kernel.prctl(PR_SET_PDEATHSIG, SIGKILL)
        if os.getppid() != parent:  # it died just before
            os._exit(127)
        kernel.setpgid(0, 0)
        # Above the standard three first: a caller without them would have a pipe there (SUSv4, dup2)
        theirs_in, out, err, failure = (kernel.dup(fd) for fd in ends)
        kernel.dup2(theirs_in, 0)
        kernel.dup2(out, 1)
        kernel.dup2(err, 2)
        kernel.close_range(3, CLOSE_RANGE_CLOEXEC)
        kernel.signals_default()
        kernel.setsigmask_empty()
        args = [paths.fsencode(arg) for arg in hook.get("args") or [hook["path"]]]
        if program:
            program.confine()
            kernel.prctl(PR_SET_PDEATHSIG, SIGKILL)  # a change of identity clears it (prctl(2))
        kernel.execve(hook["path"], args, env)
    except OSError as error:
        os.write(failure, b"%d" % (error.errno or 0))
    finally:
        os._exit(127)
    raise SystemExit(127)


def _words(status: int) -> str:
    """A wait status in words, "" for success."""
    if os.WIFSIGNALED(status):
        return f"killed by signal {os.WTERMSIG(status)}"
    code = os.waitstatus_to_exitcode(status)
    return f"exit status {code}" if code else ""
