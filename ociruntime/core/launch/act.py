"""Running the steps of a stage, and turning a refusal into the failure of that step."""

from __future__ import annotations

import time

from ociruntime.core.errors import Failure, StepError
from ociruntime.core.log import LOG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Scene, Step

    Observer = Callable[[str, Step], None]


def act(
    kernel: Kernel, scene: Scene, steps: Sequence[Step], done: list[Step] | None = None, *, stage: str = ""
) -> None:
    """Apply steps in order. Raises Failure with the step's origin.

    `done` collects what undo() must take back, `stage` names the steps in a trace.
    """
    begin = time.time_ns() if LOG.trace else 0
    for step in steps:
        if done is not None:
            done.append(step)
        try:
            if LOG.aloud:
                _apply_aloud(kernel, scene, step)
            else:
                step.apply(kernel, scene)
        except Failure as failure:
            failure.origin = failure.origin or step.origin
            failure.step = step.describe()
            raise
        except OSError as error:
            raise refused(step, error) from None
    if LOG.trace and steps:
        LOG.trace.complete(stage, "stage", begin, scene.proc)


def _apply_aloud(kernel: Kernel, scene: Scene, step: Step) -> None:
    """--debug and --trace: each step as it is taken, and what it took."""
    begin = time.time_ns()
    try:
        step.apply(kernel, scene)
    finally:
        if LOG.trace:
            LOG.trace.complete(step.describe(), "step", begin, scene.proc, step.origin)
    took = (time.time_ns() - begin) // 1000
    LOG.debug(step.describe(), origin=step.origin, microseconds=took)


def refused(step: Step, error: OSError) -> StepError:
    """The kernel's no to a step, as one sentence."""
    reason = (error.strerror or str(error)).lower()
    named = f" ({error.filename})" if isinstance(error.filename, str) and error.filename else ""
    sentence = f"{step.describe()}: {reason}{named}"
    failure = StepError(sentence, code=step.code, errno=error.errno or 0, origin=step.origin)
    failure.step = step.describe()
    return failure


def undo(kernel: Kernel, scene: Scene, done: list[Step]) -> None:
    """Take back what steps did to the host, last first."""
    for step in reversed(done):
        step.undo(kernel, scene)
