"""Standing in for the container's process: signals go in, its terminal and exit status come out."""

from __future__ import annotations

import _signal
import posix as os
import select

from ociruntime.core.kernel.flags import TIOCGWINSZ, TIOCSWINSZ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel

# Never forwarded: ours (a child ended, urgent data), and what cannot be caught
KEPT = (_signal.SIGCHLD, 23, _signal.SIGKILL, _signal.SIGSTOP)
# Faults of this very process: blocked they would kill it anyway, silently
FAULTS = (_signal.SIGSEGV, _signal.SIGBUS, _signal.SIGILL, _signal.SIGFPE)


def block_signals() -> int:
    """Block every signal and get a descriptor to read them from (signalfd(2)); before the clone, so none is lost."""
    from ociruntime.core.kernel import signals

    mask = {number for number in range(1, 65) if number not in FAULTS and number not in (9, 19, 32, 33)}
    _signal.pthread_sigmask(_signal.SIG_BLOCK, mask)
    return signals.signalfd(mask)


def wait(kernel: Kernel, pid: int, signals: int, master: int) -> int:
    """Until init ends: forward signals, copy the terminal, reap what is re-parented to us. The exit status."""
    terminal = None
    if master >= 0:
        from ociruntime.core.lifecycle.terminal import Terminal

        terminal = Terminal(master)
    poll = select.poll()
    poll.register(signals, select.POLLIN)
    if terminal:
        terminal.register(poll)
    status: int | None = _reap(kernel, pid)
    try:
        while status is None:
            for fd, _events in poll.poll():
                if fd == signals:
                    status = _take_signal(kernel, pid, signals, master)
                elif terminal:
                    terminal.copy(fd, poll)
        if terminal:
            terminal.drain()
    finally:
        if terminal:
            terminal.restore()
    return status


def _take_signal(kernel: Kernel, pid: int, signals: int, master: int) -> int | None:
    info = kernel.read(signals, 128)
    number = int.from_bytes(info[:4], "little")
    if number == _signal.SIGCHLD:
        return _reap(kernel, pid)
    if number == 28 and master >= 0:  # SIGWINCH: the container's terminal takes the size of ours
        copy_size(kernel, master)
    elif number not in KEPT:
        try:
            kernel.kill(pid, number)
        except ProcessLookupError:
            pass  # ended already; its SIGCHLD is on the way
    return None


def copy_size(kernel: Kernel, master: int) -> None:
    """Give the container's terminal the size of ours."""
    try:
        size = kernel.ioctl(0, TIOCGWINSZ, bytes(8))
        kernel.ioctl(master, TIOCSWINSZ, size)
    except OSError:
        pass  # standard input is no terminal


def _reap(kernel: Kernel, pid: int) -> int | None:
    """Reap every child that ended; the exit status of init when it is among them."""
    found = None
    while True:
        try:
            ended, status = kernel.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if ended == 0:
            return found
        if ended == pid:
            found = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
