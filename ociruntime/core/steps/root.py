"""The finished root: what is decided once the container stands in it."""

from __future__ import annotations

import posix as os

from ociruntime.core.errors import StepError
from ociruntime.core.kernel.flags import MOUNT_ATTR_RDONLY, O_PATH
from ociruntime.core.rootfs import write_proc
from ociruntime.core.steps.base import Step, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Scene


class RootPropagation(Step):
    """linux.rootfsPropagation of the container's own root."""

    change: int = 0
    word: str = ""

    def describe(self) -> str:
        return f"mount --make-{self.word} /"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        kernel.mount("", "/", "", self.change)


class RootReadonly(Step):
    """root.readonly: the root mount itself; what is mounted in it keeps its own options."""

    def describe(self) -> str:
        return "mount -o remount,bind,ro /"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        root = kernel.open("/", O_PATH | os.O_DIRECTORY)
        kernel.mount_setattr(root, 0, attr_set=MOUNT_ATTR_RDONLY)
        kernel.close(root)


class SetHostname(Step):
    name: str = ""

    def describe(self) -> str:
        return f"hostname {quoted(self.name)}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        kernel.sethostname(self.name)


class SetDomainname(Step):
    name: str = ""

    def describe(self) -> str:
        return f"domainname {quoted(self.name)}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        kernel.setdomainname(self.name)


class SetSysctl(Step):
    """One kernel parameter, written through the host's verified procfs (CVE-2025-52881)."""

    key: str = ""
    value: str = ""

    def describe(self) -> str:
        return f"sysctl -w {quoted(f'{self.key}={self.value}')}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        try:
            write_proc(kernel, scene.proc, f"sys/{sysctl_path(self.key)}", self.value.encode())
        except OSError as error:
            raise StepError(
                f"cannot set sysctl {self.key} to {self.value!r}", code="sysctl", errno=error.errno or 0
            ) from None


def sysctl_path(key: str) -> str:
    """net.ipv4.ip_forward as a path; with slashes as separators dots are part of names (sysctl(8))."""
    return key if "/" in key.split(".", 1)[0] else key.replace(".", "/")
