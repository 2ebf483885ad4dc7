"""Letting init execute its program, and hearing whether it could.

The player keeps the connection across execve as a CLOEXEC descriptor: the end of the file means that the
program runs, and a message means that a call of the tape failed. Other runtimes lose that error.
"""

from __future__ import annotations

import os

from ociruntime.core.errors import ProgramError, StepError
from ociruntime.core.launch import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ociruntime.core.errors import Failure
    from ociruntime.core.kernel import Kernel

LISTENER = 8  # bytes of the message that holds a descriptor's number (plan/seccomp.py); a failure has 16


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
        raise _refused(document, int.from_bytes(report[:8], "little"), int.from_bytes(report[8:], "little"))
    if report:  # a startContainer hook
        raise wire.decode_failure(report.split(b"\0")[1:])


def _refused(document: dict[str, Any], index: int, number: int) -> Failure:
    shown, origin = "a system call of the container's init", ""
    for first, deed, pointer in document.get("last") or []:
        if first <= index:
            shown, origin = deed, pointer
    if not shown.startswith("exec "):
        return StepError(f"{shown}: {os.strerror(number).lower()}", errno=number, origin=origin, code="last-step")
    return ProgramError(f"{shown}: {os.strerror(number).lower()}", errno=number, origin=origin, code="program-exec")
