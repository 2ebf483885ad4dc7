"""The first steps of an init that borrows the runtime's memory: system calls, made while the runtime still works.

The parent has the interpreter until it listens (native/borrow.h). By then the child has new namespaces, is in its
cgroups and has its loopback device up, unless a call fails: then it takes that step again in Python, which says why.
"""

from __future__ import annotations

from ociruntime.core.kernel import _door

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ociruntime.core.steps.base import Call, Scene, Step


class Ahead:
    """`steps`, as far as they are plain system calls from the first one on."""

    def __init__(self, steps: Sequence[Step], scene: Scene) -> None:
        self.steps = steps
        self.calls: list[Call] = []
        self.ends: list[int] = []  # how many calls have to be made until each is taken
        for step in steps:
            calls = step.calls(scene)
            if not calls:
                break
            self.calls += calls
            self.ends.append(len(self.calls))

    def left(self, scene: Scene) -> Sequence[Step]:
        """For the child: the steps that are still to be taken."""
        made, taken = _door.made(), 0
        while taken < len(self.ends) and self.ends[taken] <= made:
            self.steps[taken].taken(scene)
            taken += 1
        return self.steps[taken:]
