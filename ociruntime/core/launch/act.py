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


def act(kernel: Kernel, scene: Scene, steps: Sequence[Step], done: list[Step] | None = None) -> None:
    """Apply steps in order. Raises Failure with the step's origin; `done` collects what undo() must take back."""
    for step in steps:
        if done is not None:
            done.append(step)
        try:
            if LOG.debugging:
                _apply_aloud(kernel, scene, step)
            else:
                step.apply(kernel, scene)
        except Failure as failure:
            failure.origin = failure.origin or step.origin
            raise
        except OSError as error:
            raise refused(step, error) from None


def _apply_aloud(kernel: Kernel, scene: Scene, step: Step) -> None:
    """--debug: each step as it is taken, and what it took."""
    begin = time.monotonic_ns()
    step.apply(kernel, scene)
    took = (time.monotonic_ns() - begin) // 1000
    LOG.debug(step.describe(), origin=step.origin, microseconds=took)


def refused(step: Step, error: OSError) -> StepError:
    """The kernel's no to a step, as one sentence."""
    reason = (error.strerror or str(error)).lower()
    named = f" ({error.filename})" if isinstance(error.filename, str) and error.filename else ""
    return StepError(f"{step.describe()}: {reason}{named}", errno=error.errno or 0, origin=step.origin)


def undo(kernel: Kernel, scene: Scene, done: list[Step]) -> None:
    """Take back what steps did to the host, last first."""
    for step in reversed(done):
        step.undo(kernel, scene)
