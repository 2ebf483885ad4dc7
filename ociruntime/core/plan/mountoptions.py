"""Every mount option of the specification and what it asks of the kernel (config.md, Mounts).

A table, not an if-chain: `ociruntime features` prints its keys. Values are tuples (kind, set, clear):

    attr     mount attributes of mount_setattr(2) to set and to clear
    rattr    the same, recursively (AT_RECURSIVE)
    super    a flag of the superblock, by fsconfig(2)'s own name
    change   propagation, in a call of its own after the mount
    bind     the mount is a bind; `set` is AT_RECURSIVE for rbind
    remount, tmpcopyup, idmap, ridmap    as they say
    copy_link, source_link, over_link    crun's, for links: copy one, mount it, mount on it
    nothing  accepted, and the kernel's default or without effect since the calls by descriptor
"""

from __future__ import annotations

from ociruntime.core.kernel.flags import (
    AT_RECURSIVE,
    MOUNT_ATTR__ATIME,
    MOUNT_ATTR_NOATIME,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NODIRATIME,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_NOSYMFOLLOW,
    MOUNT_ATTR_RDONLY,
    MOUNT_ATTR_RELATIME,
    MOUNT_ATTR_STRICTATIME,
    MS_PRIVATE,
    MS_REC,
    MS_SHARED,
    MS_SLAVE,
    MS_UNBINDABLE,
)

Option = tuple[str, int, int]

ATTRIBUTES: dict[str, tuple[int, int]] = {
    "ro": (MOUNT_ATTR_RDONLY, 0),
    "rw": (0, MOUNT_ATTR_RDONLY),
    "nosuid": (MOUNT_ATTR_NOSUID, 0),
    "suid": (0, MOUNT_ATTR_NOSUID),
    "nodev": (MOUNT_ATTR_NODEV, 0),
    "dev": (0, MOUNT_ATTR_NODEV),
    "noexec": (MOUNT_ATTR_NOEXEC, 0),
    "exec": (0, MOUNT_ATTR_NOEXEC),
    "nodiratime": (MOUNT_ATTR_NODIRATIME, 0),
    "diratime": (0, MOUNT_ATTR_NODIRATIME),
    # The three atime modes are one field: setting any clears the field first (mount_setattr(2))
    "noatime": (MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME),
    "atime": (MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME),
    "relatime": (MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME),
    "norelatime": (0, 0),  # as with mount(2): it asks for nothing that strictatime would not say
    "strictatime": (MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME),
    "nostrictatime": (0, 0),
    "nosymfollow": (MOUNT_ATTR_NOSYMFOLLOW, 0),
    "symfollow": (0, MOUNT_ATTR_NOSYMFOLLOW),
}

PROPAGATION: dict[str, int] = {
    "private": MS_PRIVATE,
    "rprivate": MS_PRIVATE | MS_REC,
    "slave": MS_SLAVE,
    "rslave": MS_SLAVE | MS_REC,
    "shared": MS_SHARED,
    "rshared": MS_SHARED | MS_REC,
    "unbindable": MS_UNBINDABLE,
    "runbindable": MS_UNBINDABLE | MS_REC,
}

# fsconfig(2) names; only these belong to the superblock whatever the file system
SUPER = ("sync", "async", "dirsync", "lazytime", "nolazytime", "mand", "nomand")

OPTIONS: dict[str, Option] = {
    "defaults": ("nothing", 0, 0),
    # Taken by mount(2), never by fsconfig(2): a file system that knows them takes them by its own name
    "iversion": ("nothing", 0, 0),
    "noiversion": ("nothing", 0, 0),
    "silent": ("nothing", 0, 0),
    "loud": ("nothing", 0, 0),
    "bind": ("bind", 0, 0),
    "rbind": ("bind", AT_RECURSIVE, 0),
    "remount": ("remount", 0, 0),
    "tmpcopyup": ("tmpcopyup", 0, 0),
    "idmap": ("idmap", 0, 0),
    "ridmap": ("idmap", AT_RECURSIVE, 0),
    "copy-symlink": ("copy_link", 0, 0),
    "src-nofollow": ("source_link", 0, 0),
    "dest-nofollow": ("over_link", 0, 0),
    **{name: ("attr", *pair) for name, pair in ATTRIBUTES.items()},
    **{"r" + name: ("rattr", *pair) for name, pair in ATTRIBUTES.items()},
    **{name: ("change", flags, 0) for name, flags in PROPAGATION.items()},
    **{name: ("super", 0, 0) for name in SUPER},
}


class MountOptions:
    """The options of one mount, sorted by what they ask."""

    def __init__(self, options: list[str]) -> None:
        self.attr_set = self.attr_clr = 0
        self.rec_set = self.rec_clr = 0
        self.propagation: list[int] = []
        self.super: list[str] = []
        self.data: list[str] = []
        self.bind = self.recursive = self.remount = self.tmpcopyup = False
        self.copy_link = self.source_link = self.over_link = False
        self.idmap = ""
        for option in options:
            self._take(option)

    @property
    def own(self) -> int:
        """Attributes to set on a mount that has none below it: the recursive ones are its own, too."""
        return self.attr_set & ~self.rec_clr | self.rec_set

    def _take(self, option: str) -> None:
        kind, to_set, to_clear = OPTIONS.get(option, ("data", 0, 0))
        if kind == "attr":
            # The last of two contradicting options wins, as with mount(8)
            self.attr_set = self.attr_set & ~to_clear | to_set
            self.attr_clr = self.attr_clr & ~to_set | to_clear
        elif kind == "rattr":
            self.rec_set = self.rec_set & ~to_clear | to_set
            self.rec_clr = self.rec_clr & ~to_set | to_clear
        elif kind == "change":
            self.propagation.append(to_set)
        elif kind == "super":
            self.super.append(option)
        elif kind == "bind":
            self.bind, self.recursive = True, self.recursive or to_set != 0
        elif kind == "idmap":
            self.idmap = option
        elif kind == "data":
            self.data.extend(part for part in option.split(",") if part)
        elif kind != "nothing":
            setattr(self, kind, True)
