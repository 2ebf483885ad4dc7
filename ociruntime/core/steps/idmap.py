"""A bind mount whose files show other owners than the file system stores (mount_setattr(2), MOUNT_ATTR_IDMAP)."""

from __future__ import annotations

import posix as os

from ociruntime.core.errors import StepError
from ociruntime.core.kernel.flags import AT_FDCWD, AT_RECURSIVE, CLONE_NEWUSER, MOUNT_ATTR_IDMAP, OPEN_TREE_CLONE
from ociruntime.core.rootfs import open_in_proc, write_proc
from ociruntime.core.steps.base import quoted
from ociruntime.core.steps.mount import OpenBind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Scene


class OpenIdmappedBind(OpenBind):
    """Like OpenBind; the map is that of a user namespace made for it, which lives as long as the mount."""

    uids: bytes = b""
    gids: bytes = b""
    joined: bool = False  # the maps are those of the user namespace that the container joins
    map_flags: int = 0

    def describe(self) -> str:
        if self.joined:
            return f"mount --bind -o X-mount.idmap=$userns {quoted(self.source)} {{{self.key}}}"
        maps = ",".join(f"u:{line.replace(' ', ':')}" for line in self.uids.decode().splitlines())
        return f"mount --bind -o X-mount.idmap={maps} {quoted(self.source)} {{{self.key}}}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        tree = kernel.open_tree(AT_FDCWD, self.source, OPEN_TREE_CLONE | (AT_RECURSIVE if self.recursive else 0))
        if self.joined:
            userns = kernel.dup(scene.handles["ns:user"])
        else:
            userns = user_namespace(kernel, scene, self.uids, self.gids)
        try:
            kernel.mount_setattr(tree, self.map_flags, attr_set=MOUNT_ATTR_IDMAP, userns=userns)
        except OSError as error:
            raise StepError(
                f"cannot id-map the mount of {self.source} on {self.destination}",
                code="idmap-mount",
                errno=error.errno or 0,
                hint="the file system must support it: ext4, xfs, btrfs, tmpfs (Linux 6.3) and others do",
            ) from None
        finally:
            kernel.close(userns)
        self.give_attributes(kernel, tree)
        scene.handles[self.key] = tree


def user_namespace(kernel: Kernel, scene: Scene, uids: bytes, gids: bytes) -> int:
    """A descriptor of a user namespace with these maps; the process that it was made with ends at once."""
    reader, writer = os.pipe()
    pid = kernel.clone3(CLONE_NEWUSER)
    if pid == 0:
        try:
            kernel.close(writer)
            kernel.read(reader, 1)  # until the parent has the namespace, or is gone
        finally:  # whatever happens: nothing may reach the parent's code above the clone
            os._exit(0)
    try:
        kernel.close(reader)
        write_proc(kernel, scene.proc, f"{pid}/uid_map", uids)
        write_proc(kernel, scene.proc, f"{pid}/gid_map", gids)
        directory = open_in_proc(kernel, scene.proc, str(pid), os.O_RDONLY | os.O_DIRECTORY)
        try:
            return kernel.open("ns/user", os.O_RDONLY, at=directory)
        finally:
            kernel.close(directory)
    finally:
        kernel.close(writer)
        kernel.waitpid(pid)
