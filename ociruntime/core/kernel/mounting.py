"""The mount table, by descriptors (Linux 5.12 or newer)."""

from __future__ import annotations

import posix as os

from ociruntime.core.kernel import _door
from ociruntime.core.kernel.files import path, u64
from ociruntime.core.kernel.flags import (
    AT_EMPTY_PATH,
    FSCONFIG_CMD_CREATE,
    FSCONFIG_CMD_RECONFIGURE,
    FSCONFIG_SET_FLAG,
    FSCONFIG_SET_STRING,
    FSMOUNT_CLOEXEC,
    FSOPEN_CLOEXEC,
    MOVE_MOUNT_F_EMPTY_PATH,
    MOVE_MOUNT_T_EMPTY_PATH,
    OPEN_TREE_CLOEXEC,
)


class Mounting:
    """mount(2), umount(2), pivot_root(2), and open_tree, fsopen, move_mount, mount_setattr. All raise OSError."""

    def mount(self, source: str, target: str, fstype: str, flags: int, data: str = "") -> None:
        _door.syscall(_door.SYS_mount, path(source), path(target), path(fstype), flags, path(data) if data else None)

    def umount2(self, target: str, flags: int) -> None:
        _door.syscall(_door.SYS_umount2, path(target), flags)

    def pivot_root(self, new_root: str, put_old: str) -> None:
        _door.syscall(_door.SYS_pivot_root, path(new_root), path(put_old))

    def open_tree(self, at: int, name: str, flags: int) -> int:
        """open_tree(2); an empty name with AT_EMPTY_PATH means the descriptor itself."""
        return _door.syscall(_door.SYS_open_tree, at, path(name), flags | OPEN_TREE_CLOEXEC)

    def move_mount(self, source: int, target: int) -> None:
        """Attach the (detached) mount behind one descriptor at the place behind another."""
        flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
        _door.syscall(_door.SYS_move_mount, source, b"\0", target, b"\0", flags)

    def mount_setattr(
        self, at: int, flags: int, *, attr_set: int = 0, attr_clr: int = 0, propagation: int = 0, userns: int = 0
    ) -> None:
        """mount_setattr(2) on the mount behind a descriptor; flags may hold AT_RECURSIVE."""
        attr = u64(attr_set) + u64(attr_clr) + u64(propagation) + u64(userns)
        _door.syscall(_door.SYS_mount_setattr, at, b"\0", flags | AT_EMPTY_PATH, attr, len(attr))

    def fsopen(self, fstype: str) -> int:
        return _door.syscall(_door.SYS_fsopen, path(fstype), FSOPEN_CLOEXEC)

    def fsconfig_flag(self, fd: int, key: str) -> None:
        _door.syscall(_door.SYS_fsconfig, fd, FSCONFIG_SET_FLAG, path(key), None, 0)

    def fsconfig_string(self, fd: int, key: str, value: str) -> None:
        _door.syscall(_door.SYS_fsconfig, fd, FSCONFIG_SET_STRING, path(key), path(value), 0)

    def fsconfig_create(self, fd: int) -> None:
        _door.syscall(_door.SYS_fsconfig, fd, FSCONFIG_CMD_CREATE, None, None, 0)

    def fsconfig_reconfigure(self, fd: int) -> None:
        _door.syscall(_door.SYS_fsconfig, fd, FSCONFIG_CMD_RECONFIGURE, None, None, 0)

    def fspick(self, at: int, flags: int) -> int:
        return _door.syscall(_door.SYS_fspick, at, b"\0", flags)

    def fsmount(self, fd: int, attributes: int) -> int:
        return _door.syscall(_door.SYS_fsmount, fd, FSMOUNT_CLOEXEC, attributes)

    def fscontext_message(self, fd: int) -> str:
        """The first complaint that a file system left in its context (fsopen(2)), or nothing."""
        try:
            message = os.read(fd, 4096)
        except OSError:
            return ""
        return message.decode("utf-8", "replace").strip().partition(" ")[2]
