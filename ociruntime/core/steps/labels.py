"""Labels of the security modules: AppArmor profile and SELinux context of the program.

A label takes effect at the next execve(2), and only the process itself may ask for it, with the memory and
the credentials that it has when it opens the file (Linux 5.13). So the writing is the player's; these steps
see to it that it can work, and that the file it writes to is really the kernel's (CVE-2019-16884,
CVE-2025-52881).
"""

from __future__ import annotations

import posix as os

from ociruntime.core import paths
from ociruntime.core.errors import HostError
from ociruntime.core.steps.base import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Scene


class CheckAppArmor(Step):
    """The host must be able to apply the profile: starting without would be silently unconfined."""

    profile: str = ""

    def describe(self) -> str:
        return "grep -q Y /sys/module/apparmor/parameters/enabled"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        if first_byte(kernel, "/sys/module/apparmor/parameters/enabled") != b"Y":
            raise HostError(
                f"cannot apply AppArmor profile {self.profile!r}: AppArmor is not enabled on this host",
                code="apparmor-disabled", origin=self.origin,
            )  # fmt: skip
        if not self._loaded(_content(kernel, "/sys/kernel/security/apparmor/profiles")):
            raise HostError(
                f"cannot apply AppArmor profile {self.profile!r}: it is not loaded",
                code="apparmor-profile", origin=self.origin,
                hint="apparmor_parser --replace loads a file of /etc/apparmor.d, aa-status lists what is loaded",
            )  # fmt: skip

    def _loaded(self, profiles: bytes) -> bool:
        """Whether it is in the kernel's list: lines "name (mode)". Stacks and other namespaces are not looked up."""
        if not profiles or self.profile == "unconfined" or "//&" in self.profile or self.profile.startswith(":"):
            return True
        return b"\n" + paths.fsencode(self.profile) + b" (" in b"\n" + profiles


def _content(kernel: Kernel, path: str) -> bytes:
    """A file of the kernel's, nothing where it may not be read."""
    try:
        fd = kernel.open(path, os.O_RDONLY)
    except OSError:
        return b""
    content = b""
    try:
        while part := kernel.read(fd, 65536):
            content += part
    except OSError:
        return b""
    finally:
        kernel.close(fd)
    return content


def first_byte(kernel: Kernel, path: str) -> bytes:
    try:
        fd = kernel.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        return kernel.read(fd, 1)
    finally:
        kernel.close(fd)


class OpenLabelProc(Step):
    """A procfs of the container's own pid namespace, attached nowhere, for the player to write the label through.

    Not the host's: what the player holds can be reached by other processes of a shared pid namespace. Where an
    outer AppArmor profile forbids a new procfs (runc#4968), the container's own /proc is taken if it is one.
    """

    def describe(self) -> str:
        return "mount -t proc -o subset=pid proc {labels}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        try:
            context = kernel.fsopen("proc")
            try:
                kernel.fsconfig_string(context, "subset", "pid")
                kernel.fsconfig_create(context)
                scene.handles["labels"] = kernel.fsmount(context, 0)
            finally:
                kernel.close(context)
        except PermissionError:
            scene.handles["labels"] = self._own_proc(kernel)

    @staticmethod
    def _own_proc(kernel: Kernel) -> int:
        from ociruntime.core.rootfs import open_proc

        try:
            return open_proc(kernel)
        except HostError:
            # A user namespace may have a new procfs only where it sees one already (mount_namespaces(7))
            raise HostError(
                "cannot reach the kernel to set the label: the container has no procfs at /proc",
                code="label-proc", hint="mount proc at /proc in the container",
            ) from None  # fmt: skip
