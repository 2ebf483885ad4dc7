"""The last calls of a plan, written onto the tape by the child, when everything about them is known."""

from __future__ import annotations

from ociruntime.core.kernel import _door
from ociruntime.core.launch.tape import HEADER_WORDS, IGNORE, NONZERO, RECORD_WORDS, TAPE_BASE, Result
from ociruntime.core.plan.last import AddressOfResult, Filter, Found, Handle, ReportFd, ResultOf, Strings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.launch.tape import Data, Tape
    from ociruntime.core.plan.draft import LastCall
    from ociruntime.core.steps.base import Scene

    Word = int | bytes | Data | Result | None


def transcribe(tape: Tape, calls: list[LastCall], scene: Scene, report: int | Result) -> dict[int, LastCall]:
    """Append `calls` to the tape; `report` is where failures and messages to `start` go.

    Returns which call each record came from: a failed record is reported by its index. The player must inherit
    `inherited(calls, scene)`.
    """
    results: dict[str, int] = {}
    written: dict[int, LastCall] = {}
    for call in calls:
        if call.when and call.when not in scene.found:
            continue
        words = [arg if type(arg) is int else _word(tape, arg, scene, results, report) for arg in call.args]
        flags = (IGNORE if call.ignore else 0) | (NONZERO if call.nonzero else 0)
        index = tape.call(getattr(_door, f"SYS_{call.name}"), *words, flags=flags).index
        results[call.name] = index
        written[index] = call
    return written


def inherited(calls: list[LastCall], scene: Scene) -> list[int]:
    """The descriptors among scene.handles that the calls use."""
    names = {arg.name for call in calls for arg in call.args if isinstance(arg, Handle)}
    return [scene.handles[name] for name in sorted(names)]


def _word(tape: Tape, arg: object, scene: Scene, results: dict[str, int], report: int | Result) -> Word:
    if arg is None or isinstance(arg, (int, bytes)):
        return arg
    if isinstance(arg, ReportFd):
        return report
    if isinstance(arg, Handle):
        return scene.handles[arg.name]
    if isinstance(arg, ResultOf):
        return Result(results[arg.call])
    if isinstance(arg, AddressOfResult):
        # The player keeps the result of a record in place of its number, its first word
        return TAPE_BASE + 8 * (HEADER_WORDS + RECORD_WORDS * results[arg.call])
    if isinstance(arg, Found):
        return scene.found[arg.name]
    if isinstance(arg, Filter):
        program = scene.found[arg.name]
        return tape.words(len(program) // 8, tape.place(program))  # struct sock_fprog: length, padding, pointer
    if isinstance(arg, Strings):
        added = [name.encode() + b"=" + scene.found[name] for name in arg.found if name in scene.found]
        return tape.strings([*arg.items, *added])
    raise TypeError(f"no argument of a system call: {arg!r}")
