"""Processes: namespaces, identities, limits and signals."""

from __future__ import annotations

import _signal
import posix as os

from ociruntime.core import paths
from ociruntime.core.kernel import _door
from ociruntime.core.kernel.files import path, u32, u64
from ociruntime.core.kernel.flags import CLONE_PARENT, PR_CAPBSET_READ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from ociruntime.core.steps.base import Call


class Tasks:
    """clone3(2) to execveat(2). All raise OSError."""

    def clone3(self, flags: int, cgroup: int = 0) -> int:
        """clone3(2) with SIGCHLD as exit signal: 0 in the child, its process id in the parent."""
        # struct clone_args: flags pidfd child_tid parent_tid exit_signal
        # stack stack_size tls set_tid set_tid_size cgroup
        # A sibling (CLONE_PARENT) tells its parent's way; a signal of its own is refused with EINVAL
        signal = 0 if flags & CLONE_PARENT else int(_signal.SIGCHLD)
        args = u64(flags) + bytes(24) + u64(signal) + bytes(40) + u64(cgroup)
        return _door.clone3(args)

    def borrow(
        self, flags: int, cgroup: int, ends: tuple[int, int], life: Callable[[], NoReturn], calls: list[Call]
    ) -> int:
        """The same for a child that borrows our memory (native/borrow.h), makes `calls` and lives `life`.

        Its process id. `ends` are the child's and the parent's of a socket pair.
        """
        return _door.borrow(flags, int(_signal.SIGCHLD), cgroup, *ends, life, calls)

    def fork(self) -> int:
        return os.fork()

    def unshare(self, flags: int) -> None:
        _door.syscall(_door.SYS_unshare, flags)

    def setns(self, fd: int, flags: int) -> None:
        _door.syscall(_door.SYS_setns, fd, flags)

    def pidfd_open(self, pid: int) -> int:
        try:
            return os.pidfd_open(pid)
        except OSError as error:
            if error.errno != 22:
                raise
            # EINVAL: of the process only the number is left, of a session that lives on
            raise ProcessLookupError(3, "No such process") from None

    def pidfd_send_signal(self, pidfd: int, signal: int) -> None:
        _signal.pidfd_send_signal(pidfd, signal)

    def pidfd_getfd(self, pidfd: int, fd: int) -> int:
        return _door.syscall(_door.SYS_pidfd_getfd, pidfd, fd, 0)

    def kill(self, pid: int, signal: int) -> None:
        os.kill(pid, signal)

    def waitpid(self, pid: int, options: int = 0) -> tuple[int, int]:
        return os.waitpid(pid, options)

    def getpid(self) -> int:
        return os.getpid()

    def setsid(self) -> None:
        os.setsid()

    def socket(self, domain: int, kind: int) -> int:
        return _door.syscall(_door.SYS_socket, domain, kind, 0)

    def chroot(self, name: str) -> None:
        os.chroot(name)

    def chdir(self, name: str) -> None:
        os.chdir(name)

    def fchdir(self, fd: int) -> None:
        os.fchdir(fd)

    def getcwd(self) -> bytes:
        """getcwd(2) itself: where the directory is out of reach, the answer begins with "(unreachable)"."""
        buffer = bytearray(4096)
        size = _door.syscall(_door.SYS_getcwd, buffer, len(buffer))
        return bytes(buffer[: size - 1])

    def sethostname(self, name: str) -> None:
        raw = paths.fsencode(name)
        _door.syscall(_door.SYS_sethostname, raw, len(raw))

    def setdomainname(self, name: str) -> None:
        raw = paths.fsencode(name)
        _door.syscall(_door.SYS_setdomainname, raw, len(raw))

    def personality(self, persona: int) -> None:
        _door.syscall(_door.SYS_personality, persona)

    def prctl(self, option: int, argument: int = 0) -> int:
        """prctl(2) with one argument. By the door: python-prctl's module would be loaded in every init, for 0.3 ms."""
        return _door.syscall(_door.SYS_prctl, option, argument, 0, 0, 0)

    def capbset_read(self, number: int) -> bool:
        """PR_CAPBSET_READ of prctl(2). Raises OSError (EINVAL) for a number that the kernel does not know."""
        return bool(self.prctl(PR_CAPBSET_READ, number))

    def setgroups(self, groups: list[int]) -> None:
        os.setgroups(groups)

    def setresuid(self, uid: int) -> None:
        os.setresuid(uid, uid, uid)

    def setresgid(self, gid: int) -> None:
        os.setresgid(gid, gid, gid)

    def getuid(self) -> int:
        return os.getuid()

    def getgid(self) -> int:
        return os.getgid()

    def setruid(self, uid: int) -> None:
        """setresuid(2) of the real uid alone: what access(2) checks; capabilities and pdeathsig stay."""
        os.setresuid(uid, -1, -1)

    def setrgid(self, gid: int) -> None:
        """setresgid(2) of the real gid alone."""
        os.setresgid(gid, -1, -1)

    def capget(self) -> tuple[int, int, int]:
        """capget(2): the effective, permitted and inheritable sets of the caller, one bit each."""
        data = bytearray(24)
        _door.syscall(_door.SYS_capget, u32(0x20080522) + bytes(4), data)  # _LINUX_CAPABILITY_VERSION_3
        low, high = [[int.from_bytes(data[i : i + 4], "little") for i in range(at, at + 12, 4)] for at in (0, 12)]
        effective, permitted, inheritable = (a | b << 32 for a, b in zip(low, high, strict=True))
        return effective, permitted, inheritable

    def getrlimit(self, pid: int, resource: int) -> tuple[int, int]:
        """prlimit(2), to read: the soft and the hard limit, unsigned 64 bit."""
        old = bytearray(16)
        _door.syscall(_door.SYS_prlimit64, pid, resource, None, old)
        return int.from_bytes(old[:8], "little"), int.from_bytes(old[8:], "little")

    def prlimit(self, pid: int, resource: int, soft: int, hard: int) -> None:
        """prlimit(2), to set; limits are unsigned 64 bit, RLIM_INFINITY is 2**64-1."""
        _door.syscall(_door.SYS_prlimit64, pid, resource, u64(soft) + u64(hard), None)

    def sched_setattr(self, pid: int, attributes: bytes) -> None:
        """sched_setattr(2); `attributes` is a struct sched_attr, its size in the first four bytes."""
        _door.syscall(_door.SYS_sched_setattr, pid, attributes, 0)

    def sched_setaffinity(self, pid: int, cpus: set[int]) -> None:
        os.sched_setaffinity(pid, cpus)

    def ioprio_set(self, which: int, who: int, priority: int) -> None:
        _door.syscall(_door.SYS_ioprio_set, which, who, priority)

    def set_mempolicy(self, mode: int, nodemask: bytes, maxnode: int) -> None:
        _door.syscall(_door.SYS_set_mempolicy, mode, nodemask or None, maxnode)

    def seccomp(self, operation: int, flags: int, program: bytes) -> None:
        """seccomp(2), SECCOMP_SET_MODE_FILTER with the instructions of a filter."""
        pointer = _door.addressof(program)
        _door.syscall(_door.SYS_seccomp, operation, flags, u64(len(program) // 8) + u64(pointer))

    def syscall(self, name: str, *args: int | bytes | None) -> int:
        """Any system call by its name, for calls that a plan holds as values."""
        return _door.syscall(getattr(_door, f"SYS_{name}"), *args)

    def keyctl(
        self, operation: int, argument: int | bytes | None, third: int | bytes | bytearray = 0, fourth: int = 0
    ) -> int:
        return _door.syscall(_door.SYS_keyctl, operation, argument, third, fourth)

    def bpf(self, command: int, attributes: bytes | bytearray) -> int:
        """bpf(2); `attributes` is what the command uses of union bpf_attr, a bytearray where it answers in it."""
        return _door.syscall(_door.SYS_bpf, command, attributes, len(attributes))

    def close_range(self, first: int, flags: int, last: int = 0xFFFFFFFF) -> None:
        _door.syscall(_door.SYS_close_range, first, last, flags)

    def execve(self, path: str, args: list[bytes], env: dict[bytes, bytes]) -> None:
        """execve(2); returns only by raising."""
        os.execve(path, args, env)

    def setpgid(self, pid: int, group: int) -> None:
        os.setpgid(pid, group)

    def execveat(self, fd: int, args: list[bytes]) -> None:
        """Execute the file behind a descriptor with an empty environment; returns only by raising."""
        os.execve(fd, args, {})

    def setsigmask_empty(self) -> None:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())

    def signals_default(self) -> None:
        """All 64 of them, as the kernel has them: the C library has no word for 32 and 33, which its posix_spawn(3)
        ignores.
        """
        _door.default_signals()


__all__ = ["Tasks", "path", "u32"]
