"""What create, run and exec tell whoever asked for it: the pid file, the pidfd, the terminal of a new process."""

from __future__ import annotations

import posix as os

from ociruntime.core import paths
from ociruntime.core.errors import HostError, UsageError
from ociruntime.core.options import CreateOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.launch.console import PidfdReceiver
    from ociruntime.core.options import ExecOptions

NO_TMPFILE = (95, 21)  # EOPNOTSUPP, EISDIR: a file system or a kernel that has none


def connect_watchers(*sockets: str) -> list[PidfdReceiver]:
    """Whoever wants the pidfd; an empty path is nobody."""
    if not any(sockets):
        return []
    from ociruntime.core.launch.console import PidfdReceiver

    return [PidfdReceiver(path) for path in sockets if path]


def check_terminal(terminal: bool, options: CreateOptions | ExecOptions) -> None:
    """A terminal needs somebody to hold its other side (runc's words; docs/compatibility.md). Raises UsageError."""
    if terminal and options.detach and not options.console_socket:
        raise UsageError(
            "cannot allocate tty if ociruntime will detach without setting console socket",
            code="console-socket-missing",
            origin="/process/terminal" if isinstance(options, CreateOptions) else "",
            hint="give --console-socket, or set process.terminal to false",
        )
    if options.console_socket and not (terminal and options.detach):
        raise UsageError(
            "cannot use console socket if ociruntime will not detach or allocate tty", code="console-socket-unused"
        )


def write_pid_file(kernel: Kernel, path: str, pid: int) -> None:
    """Decimal digits without a newline, complete from the first moment (docs/compatibility.md). Raises HostError.

    The file has no name before it is written, so a runtime that is killed leaves none (open(2), O_TMPFILE).
    """
    try:
        try:
            fd = kernel.open(paths.dirname(path) or ".", os.O_WRONLY | os.O_TMPFILE, 0o666)
        except OSError as error:
            if error.errno not in NO_TMPFILE:
                raise
            fd = kernel.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            kernel.write(fd, b"%d" % pid)
        else:
            kernel.write(fd, b"%d" % pid)
            _give_name(kernel, fd, path)
        kernel.close(fd)
    except OSError as error:
        raise HostError(f"cannot write the pid file {path}", code="pid-file", errno=error.errno or 0) from None


def _give_name(kernel: Kernel, fd: int, path: str) -> None:
    """linkat(2) replaces nothing, so an older file goes first."""
    try:
        kernel.linkat(fd, path)
    except FileExistsError:
        kernel.unlinkat(None, path)
        kernel.linkat(fd, path)
