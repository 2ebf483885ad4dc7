"""Mounting beneath the root file system, by descriptors only.

A mount is made detached (fsmount, open_tree), given its attributes while nobody can see it, and only
then attached to the descriptor of its destination: there is no moment at which a name is used twice,
nor one at which a read-only volume is writable.
"""

from __future__ import annotations

import posix as os

from ociruntime.core.errors import StepError
from ociruntime.core.kernel.flags import (
    AT_FDCWD,
    AT_RECURSIVE,
    AT_SYMLINK_NOFOLLOW,
    MOUNT_ATTR_RDONLY,
    MS_REC,
    O_PATH,
    OPEN_TREE_CLONE,
)
from ociruntime.core.rootfs import (
    is_directory,
    make_dir_in_root,
    make_file_in_root,
    open_in_root,
    open_parent_in_root,
    refuse_inside_proc,
)
from ociruntime.core.steps.base import Step, in_rootfs, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Scene

EINVAL = 22
LOOSENED = 0xF  # MOUNT_ATTR_RDONLY, NOSUID, NODEV and NOEXEC: those that are locked (mount_namespaces(7))


class Attributes(Step):
    """What every kind of mount may ask for, and how it is given to a detached mount."""

    code = "mount"
    destination: str = ""
    attr_set: int = 0
    attr_clr: int = 0
    rec_set: int = 0
    rec_clr: int = 0
    propagation: tuple[int, ...] = ()
    shown_options: str = ""
    firm = False  # whether a flag that cannot be loosened is an error

    def give_attributes(self, kernel: Kernel, tree: int) -> None:
        """Attributes of the mount itself, then the recursive ones, then propagation in calls of their own."""
        if self.attr_set or self.attr_clr:
            self._setattr(kernel, tree, 0, self.attr_set, self.attr_clr)
        if self.rec_set or self.rec_clr:
            self._setattr(kernel, tree, AT_RECURSIVE, self.rec_set, self.rec_clr)
        for change in self.propagation:
            kernel.mount_setattr(tree, AT_RECURSIVE if change & MS_REC else 0, propagation=change & ~MS_REC)

    def _setattr(self, kernel: Kernel, tree: int, flags: int, to_set: int, to_clear: int) -> None:
        try:
            kernel.mount_setattr(tree, flags, attr_set=to_set, attr_clr=to_clear)
        except PermissionError:
            # In a user namespace the flags of an inherited mount are locked: what the container asks
            # to loosen stays as it is, what it asks to tighten is done (mount_namespaces(7))
            if self.firm and to_clear & LOOSENED:
                raise
            kernel.mount_setattr(
                tree, flags, attr_set=to_set, attr_clr=0x70 if to_clear & 0x70 and to_set & 0x70 else 0
            )

    def attach(self, kernel: Kernel, scene: Scene, tree: int, target: int) -> None:
        """Put the detached mount on its destination, unless that is a file of procfs."""
        try:
            refuse_inside_proc(kernel, target, self.destination)
            kernel.move_mount(tree, target)
        finally:
            kernel.close(target)
            kernel.close(tree)

    def command(self, source: str, options: str) -> str:
        return f"mount {options} {quoted(source, in_rootfs(self.destination))}"


class MountFilesystem(Attributes):
    """A new instance of a file system: proc, sysfs, tmpfs, devpts, mqueue, overlay, a block device …"""

    fstype: str = ""
    source: str = ""
    data: tuple[str, ...] = ()  # options of the file system, "size=64k" or "newinstance"
    super: tuple[str, ...] = ()
    symlinks: bool = True  # False: the destination must be a directory without any link in its path
    key: str = ""  # of the handle, where OpenFilesystem has made the mount already

    def describe(self) -> str:
        options = self.shown_options or ",".join(self.data)
        words = ["-t", self.fstype, *(["-o", options] if options else [])]
        return self.command(self.source or self.fstype, quoted(*words))

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        mode = self.inherited_mode(kernel, scene)
        target = self.open_target(kernel, scene)
        self.attach(kernel, scene, scene.handles.pop(self.key) if self.key else self.make(kernel, mode), target)

    def inherited_mode(self, kernel: Kernel, scene: Scene) -> str:
        """A tmpfs takes the mode of the directory that it covers unless told otherwise (as with runc and crun)."""
        if self.fstype != "tmpfs" or any(option.startswith("mode=") for option in self.data):
            return ""
        try:
            covered = open_in_root(kernel, scene.rootfs, self.destination)
        except OSError:
            return ""  # nothing is there yet, or nothing to mount on, which is for open_target to say
        try:
            return f"{kernel.fstat(covered).st_mode & 0o7777:o}"
        finally:
            kernel.close(covered)

    def open_target(self, kernel: Kernel, scene: Scene) -> int:
        try:
            links = self.symlinks
            return make_dir_in_root(kernel, scene.rootfs, self.destination, symlinks=links, led_to=links)
        except OSError as error:
            if not self.symlinks and error.errno in (20, 40):
                # An image whose /proc or /sys is a link would decide what is masked (CVE-2023-27561)
                raise StepError(
                    f'filesystem "{self.fstype}" must be mounted on ordinary directory: {self.destination}',
                    code="mount-target-link",
                    errno=error.errno,
                ) from None
            raise

    def make(self, kernel: Kernel, mode: str = "") -> int:
        """The detached mount with its attributes."""
        context = kernel.fsopen(self.fstype)
        try:
            if mode:
                kernel.fsconfig_string(context, "mode", mode)
            self._configure(kernel, context)
            tree = kernel.fsmount(context, self.attr_set)
        except OSError as error:
            message = kernel.fscontext_message(context)
            if not message and error.errno != EINVAL:
                raise
            reason = message or "it does not take one of the options"
            raise StepError(
                f"cannot mount {self.fstype} on {self.destination}: {reason}",
                code="mount-option" if error.errno == EINVAL else self.code,
                errno=error.errno or 0,
            ) from None
        finally:
            kernel.close(context)
        for change in self.propagation:
            kernel.mount_setattr(tree, 0, propagation=change & ~MS_REC)
        return tree

    def _configure(self, kernel: Kernel, context: int) -> None:
        if self.source:
            kernel.fsconfig_string(context, "source", self.source)
        for flag in self.super:
            kernel.fsconfig_flag(context, flag)
        for option in self.data:
            key, has_value, value = option.partition("=")
            if has_value:
                kernel.fsconfig_string(context, key, value)
            else:
                kernel.fsconfig_flag(context, key)
        kernel.fsconfig_create(context)


class OpenFilesystem(MountFilesystem):
    """One on a block device, which the container's own device rules need not allow: the parent opens it."""

    def describe(self) -> str:
        return f"exec {{{self.key}}}<{quoted(self.source)}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        scene.handles[self.key] = self.make(kernel)


class MountTmpfsCopy(MountFilesystem):
    """A tmpfs that begins with what the image holds at its destination (option tmpcopyup)."""

    def describe(self) -> str:
        return f"{super().describe()}  # with a copy of what it covers"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        from ociruntime.core.steps.copyup import copy_content, copy_tree

        mode = self.inherited_mode(kernel, scene)
        target = self.open_target(kernel, scene)
        below = kernel.openat2(target, ".", os.O_RDONLY | os.O_DIRECTORY, resolve=0)
        self.attach(kernel, scene, self.make(kernel, mode), target)
        above = open_in_root(kernel, scene.rootfs, self.destination, os.O_RDONLY | os.O_DIRECTORY)
        try:
            told = any(option.startswith(("mode=", "uid=", "gid=")) for option in self.data)
            if mode or told:  # else the directory was made for this mount
                (copy_content if told else copy_tree)(kernel, below, above)
        finally:
            kernel.close(below)
            kernel.close(above)


class OpenBind(Attributes):
    """The source of a bind mount, cloned and detached.

    Done by the parent for a container in another user namespace, whose root may not reach what the
    caller can; otherwise by the child, just before it is attached.
    """

    source: str = ""
    recursive: bool = False
    key: str = ""
    follow: bool = True  # else a source that is a link is mounted itself (src-nofollow)

    def describe(self) -> str:
        return f"exec {{{self.key}}}<{quoted(self.source)}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        flags = OPEN_TREE_CLONE | (AT_RECURSIVE if self.recursive else 0) | (0 if self.follow else AT_SYMLINK_NOFOLLOW)
        try:
            tree = kernel.open_tree(AT_FDCWD, self.source, flags)
        except FileNotFoundError:
            raise StepError(
                f'error mounting "{self.source}" to rootfs at "{self.destination}": '
                f"stat {self.source}: no such file or directory",
                code="bind-source-missing",
                errno=2,
                origin=self.origin + "/source",
                hint="make the source first: a runtime does not create what it is asked to bind",
            ) from None
        self.give_attributes(kernel, tree)
        scene.handles[self.key] = tree


class AttachBind(Attributes):
    """The opened source of a bind mount, attached to its destination."""

    source: str = ""
    recursive: bool = False
    key: str = ""
    follow: bool = True  # else a destination that is a link is mounted on itself (dest-nofollow)

    def describe(self) -> str:
        return self.command(self.source, "--rbind" if self.recursive else "--bind") + self._remount()

    def _remount(self) -> str:
        if not self.shown_options:
            return ""
        return f" && mount -o {quoted(f'remount,bind,{self.shown_options}', in_rootfs(self.destination))}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        tree = scene.handles.pop(self.key)
        try:
            target = self._target(kernel, scene, tree)
        except OSError:
            kernel.close(tree)
            raise
        self.attach(kernel, scene, tree, target)

    def _target(self, kernel: Kernel, scene: Scene, tree: int) -> int:
        if not self.follow:
            directory, name = open_parent_in_root(kernel, scene.rootfs, self.destination)
            try:
                return kernel.open(name, O_PATH | os.O_NOFOLLOW, at=directory)
            except FileNotFoundError:
                pass
            finally:
                kernel.close(directory)
        if is_directory(kernel, tree):
            return make_dir_in_root(kernel, scene.rootfs, self.destination, led_to=True)
        return make_file_in_root(kernel, scene.rootfs, self.destination)


class Remount(Attributes):
    """Change a mount that is there already (option remount). A locked flag is an error."""

    firm = True
    bind: bool = False
    data: tuple[str, ...] = ()
    super: tuple[str, ...] = ()

    def describe(self) -> str:
        options = ",".join(part for part in ("remount", "bind" * self.bind, self.shown_options, *self.data) if part)
        return f"mount -o {quoted(options, in_rootfs(self.destination))}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        target = open_in_root(kernel, scene.rootfs, self.destination)
        try:
            if not self.bind and (self.data or self.super):
                self._reconfigure(kernel, target)
            self.give_attributes(kernel, target)
        finally:
            kernel.close(target)

    def _reconfigure(self, kernel: Kernel, target: int) -> None:
        context = kernel.fspick(target, AT_EMPTY_PATH_PICK)
        try:
            for option in (*self.super, *self.data):
                key, has_value, value = option.partition("=")
                if has_value:
                    kernel.fsconfig_string(context, key, value)
                else:
                    kernel.fsconfig_flag(context, key)
            kernel.fsconfig_reconfigure(context)
        finally:
            kernel.close(context)


AT_EMPTY_PATH_PICK = 1 | 8  # FSPICK_CLOEXEC | FSPICK_EMPTY_PATH (linux/mount.h)


class MakeReadOnly(Step):
    """Close a mount for writing once everything in it is in place."""

    code = "mount"
    destination: str = ""

    def describe(self) -> str:
        return f"mount -o remount,bind,ro {quoted(in_rootfs(self.destination))}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        target = open_in_root(kernel, scene.rootfs, self.destination)
        try:
            kernel.mount_setattr(target, 0, attr_set=MOUNT_ATTR_RDONLY)
        finally:
            kernel.close(target)
