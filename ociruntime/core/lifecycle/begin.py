"""Letting init execute its program, and hearing whether it could.

The player keeps the connection across execve as a CLOEXEC descriptor: the end of the file means that the
program runs, and a message means that a call of the tape failed. Other runtimes lose that error.
"""

from __future__ import annotations

import posix as os

from ociruntime.core.errors import ProgramError, StepError
from ociruntime.core.launch import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ociruntime.core.errors import Failure
    from ociruntime.core.kernel import Kernel

LISTENER = 8  # bytes of the message that holds a descriptor's number (plan/seccomp.py); a failure has 16


def begin(kernel: Kernel, fd: int) -> None:
    """The word that init waits for, on the socket pair of `run` and `exec`."""
    try:
        kernel.write(fd, b"\n")
    except BrokenPipeError:
        pass  # init was killed; what became of the container is its status


def hear_beginning(
    kernel: Kernel, fd: int, document: dict[str, Any], hand_over: Callable[[int], None] | None = None
) -> None:
    """Wait for the program to be executed. Raises ProgramError or StepError with what was refused.

    `hand_over` is called with the number of the descriptor of a seccomp listener, where there is one.
    """
    try:
        report = kernel.read(fd, wire.MAX_MESSAGE)
        if len(report) == LISTENER and hand_over:
            hand_over(int.from_bytes(report, "little"))
            kernel.write(fd, b"\n")
            report = kernel.read(fd, wire.MAX_MESSAGE)
    except ConnectionResetError:
        report = b""  # init was killed; what became of the container is its status, not ours to tell
    finally:
        kernel.close(fd)
    if len(report) == 16:
        raise _refused(kernel, document, int.from_bytes(report[:8], "little"), int.from_bytes(report[8:], "little"))
    if report:  # a startContainer hook
        raise wire.decode_failure(report.split(b"\0")[1:])


def _refused(kernel: Kernel, document: dict[str, Any], index: int, number: int) -> Failure:
    shown, origin = "a system call of the container's init", ""
    for first, deed, pointer in document.get("last") or []:
        if first <= index:
            shown, origin = deed, pointer
    if not shown.startswith("exec "):
        sentence = f"{shown}: {os.strerror(number).lower()}"
        failure: Failure = StepError(sentence, errno=number, origin=origin, code="last-step")
    else:
        hint = _explain(kernel, document, number)
        sentence = f"exec {document.get('file') or shown[5:]}: {os.strerror(number).lower()}"
        failure = ProgramError(sentence, errno=number, origin=origin, code="program-exec", hint=hint)
    failure.step = shown
    return failure


def _explain(kernel: Kernel, document: dict[str, Any], number: int) -> str:
    """What the program's file tells about the refusal. It belongs to the image: read through the root's handle."""
    from ociruntime.core.kernel.flags import O_PATH
    from ociruntime.core.rootfs import open_in_root
    from ociruntime.explain.program import hint

    try:
        root = kernel.open(document["rootfs"], O_PATH | os.O_DIRECTORY)
    except OSError:
        return ""

    def read(path: str) -> bytes | None:
        try:
            fd = open_in_root(kernel, root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError:
            return None
        try:
            return kernel.read(fd, 4096)
        except OSError:
            return b""
        finally:
            kernel.close(fd)

    try:
        return hint(number, document.get("file", ""), read, os.uname().machine)
    finally:
        kernel.close(root)
