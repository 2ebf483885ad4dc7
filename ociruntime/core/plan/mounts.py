"""config.json /mounts (config.md, Mounts): in order, each by what its options ask."""

from __future__ import annotations

import posix as os

from ociruntime.core import paths
from ociruntime.core.errors import ConfigError
from ociruntime.core.kernel.flags import MOUNT_ATTR_RDONLY, MS_REC, MS_SHARED, MS_SLAVE
from ociruntime.core.plan.draft import DEVICES, HOST, MOUNTS, OPEN
from ociruntime.core.plan.mountoptions import PROPAGATION, MountOptions
from ociruntime.core.plan.namespaces import enters_user
from ociruntime.core.rootfs import PROC_ALLOWED
from ociruntime.core.steps.mount import (
    AttachBind,
    MakeReadOnly,
    MountFilesystem,
    MountTmpfsCopy,
    OpenBind,
    OpenFilesystem,
    Remount,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ociruntime.core.plan.draft import Draft
    from ociruntime.core.spec.types import Mount

SELINUX = "/sys/fs/selinux/enforce"
UNLABELLED = ("proc", "sysfs", "mqueue")
CONTEXTS = ("context", "fscontext", "defcontext", "rootcontext")
# These decide what may be masked and what a label is written to: never through a link of the image
ORDINARY = ("proc", "sysfs")


def contribute(draft: Draft) -> None:
    """One step per entry, two for a bind: the source is opened by the parent, attached by the child."""
    mounts = draft.spec.get("mounts") or []
    label = (draft.spec.get("linux") or {}).get("mountLabel")
    if label and paths.exists(SELINUX):
        from ociruntime.core.steps.selinux import CheckSelinux

        draft.add(HOST, CheckSelinux(origin="/linux/mountLabel", label=label))
    elif label:
        draft.warnings.append("linux.mountLabel is ignored: SELinux is not enabled on this host")
    for index, mount in enumerate(mounts):
        origin = f"/mounts/{index}"
        options = MountOptions(list(mount.get("options") or []))
        destination = normal(mount["destination"])
        _refuse_over_proc(destination, mount, options, origin)
        if options.remount:
            _remount(draft, mount, options, origin)
        elif options.bind or mount.get("type") == "bind":
            _bind(draft, mount, options, origin)
        elif mount.get("type") in ("cgroup", "cgroup2"):
            from ociruntime.core.plan.cgroup_mount import contribute_mount

            contribute_mount(draft, mount, origin)
        else:
            _filesystem(draft, mount, options, origin)


def contribute_readonly(draft: Draft) -> None:
    """Read-only tmpfs, /dev above all: only after the devices and mount points in them were made."""
    for index, mount in enumerate(draft.spec.get("mounts") or []):
        if mount.get("type") == "tmpfs" and MountOptions(list(mount.get("options") or [])).own & MOUNT_ATTR_RDONLY:
            draft.add(DEVICES, MakeReadOnly(origin=f"/mounts/{index}", destination=normal(mount["destination"])))


def normal(destination: str) -> str:
    """The destination as an absolute path; a relative one counts from the root (deprecated by the spec)."""
    return paths.normpath("/" + destination.lstrip("/"))


def shown(mount: Mount) -> str:
    """The options as a person would give them to mount(8)."""
    silent = ("bind", "rbind", "remount", "tmpcopyup", "defaults", "copy-symlink", "src-nofollow", "dest-nofollow")
    return ",".join(option for option in mount.get("options") or [] if option not in silent)


def _refuse_over_proc(destination: str, mount: Mount, options: MountOptions, origin: str) -> None:
    """Nothing but a procfs may cover /proc or lie in it (CVE-2019-16884, CVE-2019-19921)."""
    if destination != "/proc" and not destination.startswith("/proc/"):
        return
    if destination in PROC_ALLOWED or mount.get("type") == "proc":
        return
    if destination == "/proc" and options.bind and paths.realpath(mount.get("source", "")) == "/proc":
        return
    raise ConfigError(
        f'"{destination}" cannot be mounted because it is inside /proc',
        code="mount-inside-proc",
        origin=f"{origin}/destination",
    )


def _filesystem(draft: Draft, mount: Mount, options: MountOptions, origin: str) -> None:
    destination, fstype = normal(mount["destination"]), mount.get("type") or ""
    if not fstype:
        raise ConfigError(
            f"mount of {destination} has no type and is no bind", origin=f"{origin}/type", code="config-mount-type"
        )
    attr_set = options.own
    if fstype == "tmpfs" and attr_set & MOUNT_ATTR_RDONLY:
        attr_set &= ~MOUNT_ATTR_RDONLY  # see contribute_readonly
    kind = MountTmpfsCopy if options.tmpcopyup and fstype == "tmpfs" else MountFilesystem
    if any(len(option) > 200 and option.startswith("lowerdir=") for option in options.data):
        from ociruntime.core.steps.layers import MountLayers as kind
    asked: dict[str, Any] = {
        "origin": origin,
        "destination": destination,
        "fstype": fstype,
        "source": mount.get("source") or "",
        "data": (*options.data, *_label(draft, fstype)),
        # Of the file system as well as of the mount, as with mount(2): a disk that is read-only is not opened else
        "super": (*options.super, *["ro"][: bool(attr_set & MOUNT_ATTR_RDONLY)]),
        "attr_set": attr_set,
        "propagation": tuple(options.propagation),
        "shown_options": shown(mount),
        "symlinks": fstype not in ORDINARY,
        "key": f"disk{origin.rpartition('/')[2]}" if paths.isblock(mount.get("source") or "") else "",
    }
    if asked["key"]:
        draft.add(OPEN, OpenFilesystem(**asked))
    draft.add(MOUNTS, kind(**asked))


def _label(draft: Draft, fstype: str) -> tuple[str, ...]:
    """linux.mountLabel as a mount option; file systems of the kernel's own have labels of their own.

    podman chooses the kind of the option by an annotation (context_mount of mount(8)).
    """
    label = (draft.spec.get("linux") or {}).get("mountLabel")
    if not label or fstype in UNLABELLED or not paths.exists(SELINUX):
        return ()
    kind = (draft.spec.get("annotations") or {}).get("run.oci.mount_context_type") or "context"
    if kind not in CONTEXTS:
        origin = "/annotations/run.oci.mount_context_type"
        raise ConfigError(f"{kind!r} is no kind of context", code="config-unknown-value", origin=origin)
    return (f"{kind}={label}",)


def _bind(draft: Draft, mount: Mount, options: MountOptions, origin: str) -> None:
    destination, source = normal(mount["destination"]), mount.get("source") or ""
    if not source:
        raise ConfigError(
            f"bind mount on {destination} has no source", origin=f"{origin}/source", code="config-mount-source"
        )
    source = paths.join(draft.bundle, source)
    if options.copy_link:
        from ociruntime.core.steps.copylink import CopyLink

        target = _read_link(source)
        if target:
            draft.add(MOUNTS, CopyLink(origin=origin, destination=destination, target=target))
            return
    common: dict[str, Any] = {
        "origin": origin,
        "destination": destination,
        "source": source,
        "recursive": options.recursive,
        "key": f"bind{origin.rpartition('/')[2]}",
    }
    # Root of another user namespace may not reach the source; a runtime without privilege cannot clone it.
    # Elsewhere the child does both: the kernel lists mounts in the order in which they were made (Linux 6.8)
    stage = OPEN if enters_user(draft) and draft.host.mounts else MOUNTS
    attributes: dict[str, Any] = {
        "attr_set": options.attr_set,
        "attr_clr": options.attr_clr,
        "rec_set": options.rec_set,
        "rec_clr": options.rec_clr,
        "propagation": tuple(options.propagation) or default_propagation(draft),
    }
    if options.idmap or mount.get("uidMappings") or mount.get("gidMappings"):
        from ociruntime.core.plan.idmap import contribute_idmap

        contribute_idmap(draft, mount, origin=origin, bind={**common, **attributes}, option=options.idmap)
    else:
        draft.add(stage, OpenBind(**common, **attributes, follow=not options.source_link))
    draft.add(MOUNTS, AttachBind(**common, shown_options=shown(mount), follow=not options.over_link))


def _read_link(path: str) -> str:
    """What a link of the host leads to, "" for everything else."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def default_propagation(draft: Draft) -> tuple[int, ...]:
    """A clone starts as a peer of the host's mount; it gets what the child's copy would have had."""
    word = (draft.spec.get("linux") or {}).get("rootfsPropagation") or "rslave"
    change = PROPAGATION[word]
    return () if change & MS_SHARED else (change & MS_REC | (change & ~MS_REC or MS_SLAVE),)


def _remount(draft: Draft, mount: Mount, options: MountOptions, origin: str) -> None:
    draft.add(
        MOUNTS,
        Remount(
            origin=origin,
            destination=normal(mount["destination"]),
            bind=options.bind,
            data=tuple(options.data),
            super=tuple(options.super),
            attr_set=options.attr_set,
            attr_clr=options.attr_clr,
            rec_set=options.rec_set,
            rec_clr=options.rec_clr,
            propagation=tuple(options.propagation),
            shown_options=shown(mount),
        ),
    )
