"""Faults for one process of a program that has several: its nth system call kills it, or fails.

strace injects into whatever it follows, each process counted for itself: a child can only be hit at a call whose
number the parent has survived. This does the same by ptrace(2) for a chosen process: 0 is the program, 1 its
first child, and so on in order of birth.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import signal
from pathlib import Path
from typing import Any, NamedTuple

PTRACE_POKEUSER, PTRACE_SYSCALL = 6, 24
PTRACE_GETEVENTMSG, PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_LISTEN, PTRACE_GET_SYSCALL_INFO = (
    0x4201, 0x4206, 0x4207, 0x4208, 0x420E,
)  # fmt: skip
OPTIONS = 1 | 2 | 4 | 8  # PTRACE_O_TRACESYSGOOD, FORK, VFORK, CLONE
EVENT_STOP = 128
ENTRY, EXIT = 1, 2  # struct ptrace_syscall_info, op
WALL = 0x40000000
EXECVE = (59, 221)  # x86_64, aarch64
ORIG_RAX, RAX = 15 * 8, 10 * 8  # struct user of x86_64
QUIET = 0.05  # seconds without a system call after the program's end: what is left waits for somebody
STOPS = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)

can_fail = platform.machine() == "x86_64"  # registers are a matter of the machine

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class Fault(NamedTuple):
    """At its `nth` system call (from 1) the process number `process` dies, or the call returns `errno`.

    With `call`, as Told has it, only such calls are counted.
    """

    process: int
    nth: int
    errno: int = 0
    call: str = ""


class Told(NamedTuple):
    """How it went: wait status in the manner of subprocess, whether the fault happened, the calls of each process."""

    status: int
    hit: str
    calls: list[list[str]]


def run(command: list[str], fault: Fault | None = None, *, detail: bool = False, **files: Any) -> Told:
    """Run a command to its end. `detail` asks for the calls by name, else their numbers are empty strings.

    files: stdin, stdout and stderr (descriptors) and cwd. Processes that live on are left alone.
    """
    reader, writer = os.pipe()
    tracer = os.fork()
    if tracer == 0:
        status = 1
        try:
            os.close(reader)
            told = _Tracer(fault, detail).follow(command, files)
            os.write(writer, json.dumps(told).encode()) if not detail else _write_all(writer, json.dumps(told).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(tracer, 0)
    return Told(*json.loads(answer))


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _ptrace(request: int, pid: int, address: int = 0, data: Any = 0) -> int:
    result: int = _libc.ptrace(request, pid, address, data)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


class _Tracer:
    def __init__(self, fault: Fault | None, detail: bool) -> None:
        self.fault = fault
        self.detail = detail
        self.order: list[int] = []  # of birth
        self.calls: list[list[str]] = []
        self.failing = False
        self.hit = ""
        self.begun = False  # the command is executed; what came before is ours

    def follow(self, command: list[str], files: dict[str, Any]) -> Told:
        first = self._begin(command, files)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        ended: int | None = None
        while True:
            try:
                pid, status = os.waitpid(-1, WALL | (os.WNOHANG if ended is not None else 0))
            except ChildProcessError:
                break
            if pid == 0:
                if signal.sigtimedwait([signal.SIGCHLD], QUIET) is None:
                    break
            elif os.WIFSTOPPED(status):
                self._go_on(pid, status)
            elif pid == first:
                ended = os.waitstatus_to_exitcode(status)
        return Told(ended if ended is not None else -1, self.hit, self.calls)

    def _begin(self, command: list[str], files: dict[str, Any]) -> int:
        reader, writer = os.pipe()
        first = os.fork()
        if first == 0:
            os.close(writer)
            os.read(reader, 1)
            for number, name in enumerate(("stdin", "stdout", "stderr")):
                if name in files:
                    os.dup2(files[name], number)
            os.chdir(files.get("cwd", "."))
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            os.execv(command[0], command)
        os.close(reader)
        self._enlist(first)
        _ptrace(PTRACE_SEIZE, first, 0, OPTIONS)
        _ptrace(PTRACE_INTERRUPT, first)  # or it would run until something else stops it
        os.close(writer)
        return first

    def _enlist(self, pid: int) -> int:
        if pid not in self.order:
            self.order.append(pid)
            self.calls.append([])
        return self.order.index(pid)

    def _go_on(self, pid: int, status: int) -> None:
        number, event = os.WSTOPSIG(status), status >> 16
        request, deliver = PTRACE_SYSCALL, 0
        try:
            if number == signal.SIGTRAP | 0x80:
                self._syscall(pid, self._enlist(pid))
            elif event == EVENT_STOP and number in STOPS:
                request = PTRACE_LISTEN
            elif event in (1, 2, 3):
                child = ctypes.c_ulong()
                _ptrace(PTRACE_GETEVENTMSG, pid, 0, ctypes.addressof(child))
                self._enlist(child.value)
            elif not event:
                deliver = number
            _ptrace(request, pid, 0, deliver)
        except ProcessLookupError:
            pass  # killed meanwhile

    def _syscall(self, pid: int, process: int) -> None:
        info = (ctypes.c_ulonglong * 16)()
        _ptrace(PTRACE_GET_SYSCALL_INFO, pid, ctypes.sizeof(info), ctypes.addressof(info))
        operation = info[0] & 0xFF
        self.begun = self.begun or info[3] in EXECVE
        if operation == ENTRY and self.begun:
            named = self.detail or (self.fault and self.fault.call)
            self.calls[process].append(self._describe(pid, info) if named else "")
            if self._is_it(process):
                assert self.fault
                self.hit = self._describe(pid, info)
                if self.fault.errno:
                    self.failing = True
                    _ptrace(PTRACE_POKEUSER, pid, ORIG_RAX, ctypes.c_void_p(-1).value)
                else:
                    os.kill(pid, signal.SIGKILL)
        elif operation == EXIT and self.failing and self.fault and self.order[self.fault.process] == pid:
            self.failing = False
            _ptrace(PTRACE_POKEUSER, pid, RAX, ctypes.c_void_p(-self.fault.errno).value)

    def _is_it(self, process: int) -> bool:
        """Whether the last call of this process is the one."""
        if not self.fault or self.fault.process != process or self.hit:
            return False
        made, wanted = self.calls[process], self.fault.call
        return self.fault.nth == (len(made) if not wanted else made.count(wanted) if made[-1] == wanted else 0)

    def _describe(self, pid: int, info: Any) -> str:
        number, arguments = info[3], list(info[4:10])
        # The second word is a path in all the *at calls; elsewhere what is read here means nothing
        return f"{number} {_text(pid, arguments[1])}" if number in WITH_PATH else f"{number}"


# openat, newfstatat, mkdirat, unlinkat, openat2, mkdir, rmdir, unlink of x86_64: the first four have it second
WITH_PATH = (257, 262, 258, 263, 437)


def _text(pid: int, address: int) -> str:
    try:
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            memory.seek(address)
            return memory.read(256).partition(b"\0")[0].decode(errors="replace")
    except (OSError, ValueError, OverflowError):
        return ""
