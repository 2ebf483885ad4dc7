"""Whether the host can apply an SELinux label."""

from __future__ import annotations

import posix as os

from ociruntime.core import paths
from ociruntime.core.errors import HostError
from ociruntime.core.steps.base import Step
from ociruntime.core.steps.labels import first_byte

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Scene

EINVAL = 22


class CheckSelinux(Step):
    """The host must be able to apply the context: one that its policy does not know would fail late."""

    label: str = ""

    def describe(self) -> str:
        return "test -e /sys/fs/selinux/enforce"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        if not first_byte(kernel, "/sys/fs/selinux/enforce"):
            raise HostError(
                f"cannot apply SELinux label {self.label!r}: SELinux is not enabled on this host",
                code="selinux-disabled", origin=self.origin,
            )  # fmt: skip
        try:
            context = kernel.open("/sys/fs/selinux/context", os.O_RDWR)
        except OSError:
            return  # not everybody may ask
        try:
            kernel.write(context, paths.fsencode(self.label) + b"\0")  # security_check_context(3)
        except OSError as error:
            if error.errno == EINVAL:
                raise HostError(
                    f"cannot apply SELinux label {self.label!r}: this host's policy has no such context",
                    code="selinux-label", origin=self.origin, hint="it is USER:ROLE:TYPE:LEVEL; seinfo lists them",
                ) from None  # fmt: skip
        finally:
            kernel.close(context)
