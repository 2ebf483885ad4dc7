"""Files of our own."""

from __future__ import annotations

from ociruntime.core.steps.base import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Scene


class MakeStateDirectory(Step):
    """A directory in the container's state; it goes when that goes."""

    path: str = ""
    mode: int = 0o700

    def describe(self) -> str:
        return f"mkdir -m {self.mode:o} {self.path}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        kernel.mkdirat(None, self.path, self.mode)
