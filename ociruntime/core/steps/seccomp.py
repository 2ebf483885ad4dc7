"""The seccomp filter as instructions, ready for the player."""

from __future__ import annotations

from ociruntime.core.steps.base import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Scene


class PrepareFilter(Step):
    """Find the compiled filter in the cache, or compile it once."""

    beside = True
    profile: dict[str, Any] = {}  # noqa: RUF012 -- never mutated
    flags: int = 0

    def describe(self) -> str:
        return "# compile linux.seccomp with libseccomp, or take it from the cache"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        from ociruntime.core.seccomp.cache import compiled

        scene.found["seccomp"] = compiled(kernel, self.profile, self.origin)


class TakeFilter(Step):
    """A filter that the caller has compiled."""

    beside = True
    program: bytes = b""

    def describe(self) -> str:
        return "# take the seccomp filter as it is"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        scene.found["seccomp"] = self.program
