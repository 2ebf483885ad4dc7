"""A mount of type cgroup or cgroup2: the container's view of its control groups (config-linux.md, Cgroups).

    host   cgroup namespace   what is mounted
    v2     of its own         a new cgroup2, whose root is the container's cgroup
    v2     the runtime's      the container's cgroup directory, bound
    v1     of its own         a tmpfs, and in it each hierarchy, whose root is the container's cgroup
    v1     the runtime's      a tmpfs, and in it the container's directory of each hierarchy, bound

Never the host's whole hierarchy: a rootless container in the runtime's cgroup namespace could have
written to its user's other cgroups (CVE-2023-25809). A container that has no cgroup of its own sees the
runtime's, and cannot write to it.
"""

from __future__ import annotations

from ociruntime.core import paths
from ociruntime.core.errors import HostError
from ociruntime.core.kernel.flags import (
    CLONE_NEWCGROUP,
    CLONE_NEWNS,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
)
from ociruntime.core.plan.draft import MOUNTS, OPEN
from ociruntime.core.plan.mountoptions import MountOptions
from ociruntime.core.plan.mounts import normal, shown
from ociruntime.core.steps.cgroup_mount import LinkControllers, MountUnified
from ociruntime.core.steps.mount import AttachBind, MakeReadOnly, MountFilesystem, OpenBind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.plan.draft import Draft
    from ociruntime.core.spec.types import Mount

SAFE = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC


def contribute_mount(draft: Draft, mount: Mount, origin: str) -> None:
    """The steps for one such entry of /mounts."""
    view = View(draft, mount, origin)
    if draft.host.cgroup == "none":
        raise HostError(
            f"cannot mount cgroups on {view.destination}: the host has none",
            code="cgroup-none", origin=origin, hint="mount -t cgroup2 cgroup2 /sys/fs/cgroup",
        )  # fmt: skip
    if draft.host.cgroup == "v2" or mount.get("type") == "cgroup2":
        _unified(view)
    else:
        _hierarchies(view)


class View:
    """One cgroup mount of the container."""

    def __init__(self, draft: Draft, mount: Mount, origin: str) -> None:
        self.draft = draft
        self.origin = origin
        self.destination = normal(mount["destination"])
        self.options = MountOptions(list(mount.get("options") or []))
        self.shown = shown(mount)
        # In a namespace of its own the container sees no more than its own cgroup, whatever is mounted.
        joined = any(join.type == "cgroup" for join in draft.joins)
        self.own_namespace = bool(draft.unshare & CLONE_NEWCGROUP) or joined

    def source(self, controller: str) -> tuple[str, int]:
        """The directory to bind, and the attributes that it takes beyond those asked for."""
        own: dict[str, str] = self.draft.cgroup.get("paths") or {}  # type: ignore[assignment]
        if controller in own:
            return own[controller], 0
        host = self.draft.host
        if controller not in host.cgroup_mounts:
            raise HostError(
                f"cannot mount cgroup2 on {self.destination}: the host has no unified hierarchy",
                code="cgroup-none", origin=self.origin,
            )  # fmt: skip
        return host.cgroup_mounts[controller] + host.cgroup_self.get(controller, "/").rstrip("/"), MOUNT_ATTR_RDONLY

    def bind(self, controller: str, destination: str, key: str) -> None:
        """Bind a cgroup directory. Opened by the parent where it may: the host's paths are its own.

        A scope of systemd is there only once the child is, so that one is for the child to open.
        """
        source, extra = self.source(controller)
        options = self.options
        by_systemd = self.draft.cgroup.get("driver") == "systemd"
        early = self.draft.host.mounts and self.draft.unshare & CLONE_NEWNS and not by_systemd
        stage = OPEN if early else MOUNTS
        self.draft.add(
            stage,
            OpenBind(
                origin=self.origin,
                destination=destination,
                source=source,
                key=key,
                attr_set=options.own | SAFE | extra,
                attr_clr=(options.attr_clr | options.rec_clr) & ~(SAFE | extra),
            ),
        )
        self.draft.add(
            MOUNTS,
            AttachBind(origin=self.origin, destination=destination, source=source, key=key, shown_options=self.shown),
        )


def _unified(view: View) -> None:
    key = f"cgroup{view.origin.rpartition('/')[2]}"
    if not view.own_namespace:
        view.bind("", view.destination, key)
        return
    options = view.options
    source, extra = view.source("") if "" in view.draft.host.cgroup_mounts else ("", 0)
    view.draft.add(
        MOUNTS,
        MountUnified(
            origin=view.origin,
            destination=view.destination,
            fstype="cgroup2",
            source="cgroup",
            data=tuple(options.data),
            attr_set=options.own | SAFE,
            propagation=tuple(options.propagation),
            shown_options=view.shown,
            symlinks=False,
            fallback=source,
            fallback_attr=options.own | SAFE | extra,
        ),
    )


def _hierarchies(view: View) -> None:
    """One directory for each v1 hierarchy, by the host's name for it, and links for those that share one."""
    draft, options = view.draft, view.options
    hierarchies: dict[str, list[str]] = {}
    for controller, point in draft.host.cgroup_mounts.items():
        if controller:
            hierarchies.setdefault(point, []).append(controller)
    draft.add(
        MOUNTS,
        MountFilesystem(
            origin=view.origin,
            destination=view.destination,
            fstype="tmpfs",
            source="tmpfs",
            data=("mode=755",),
            shown_options="nosuid,nodev,noexec,mode=755",
            attr_set=SAFE,
            symlinks=False,
        ),
    )
    links = []
    for point, controllers in hierarchies.items():
        name = paths.basename(point)
        destination = f"{view.destination}/{name}"
        links += [(controller, name) for controller in controllers if controller != name and len(controllers) > 1]
        if not view.own_namespace:
            view.bind(controllers[0], destination, f"cgroup{view.origin.rpartition('/')[2]}:{name}")
            continue
        draft.add(
            MOUNTS,
            MountFilesystem(
                origin=view.origin,
                shown_options=",".join([*([view.shown] if view.shown else []), *controllers]),
                destination=destination,
                fstype="cgroup",
                source="cgroup",
                data=tuple(controllers),
                attr_set=options.own | SAFE,
                symlinks=False,
            ),
        )
    if links:
        draft.add(MOUNTS, LinkControllers(origin=view.origin, destination=view.destination, links=tuple(links)))
    if options.own & MOUNT_ATTR_RDONLY:
        draft.add(MOUNTS, MakeReadOnly(origin=view.origin, destination=view.destination))
