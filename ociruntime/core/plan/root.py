"""config.json /root and what makes it the container's view: propagation, pivot, masked and read-only paths."""

from __future__ import annotations

from ociruntime.core import paths
from ociruntime.core.errors import ConfigError
from ociruntime.core.kernel.flags import CLONE_NEWNS, MS_REC, MS_SHARED
from ociruntime.core.plan.draft import DEVICES, MOUNTS, ROOT
from ociruntime.core.plan.mountoptions import PROPAGATION
from ociruntime.core.steps.masks import MaskPaths, ReadonlyPath
from ociruntime.core.steps.program import MakeCwd
from ociruntime.core.steps.root import (
    ChangeRoot,
    MountRootfs,
    MoveRoot,
    OpenRootfs,
    PivotRoot,
    PrivateParent,
    RootPropagation,
    RootReadonly,
    SetPropagation,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.plan.draft import Draft


def find_rootfs(draft: Draft) -> None:
    """The absolute path of the root file system; it must be a directory (config.md, Root)."""
    root = draft.spec.get("root")
    if not root:
        raise ConfigError("root is missing: a Linux container needs one", origin="/root", code="config-missing")
    path = paths.realpath(paths.join(draft.bundle, root["path"]))
    if not paths.isdir(path):
        reason = "is not a directory" if paths.lexists(path) else "no such file or directory"
        raise ConfigError(
            f'root file system "{path}": {reason}',
            origin="/root/path",
            code="root-missing",
            errno=20 if paths.lexists(path) else 2,
            hint="unpack an image there, or correct root.path",
        )
    if path == "/":
        raise ConfigError("the root file system cannot be the host's /", origin="/root/path", code="root-is-host")
    draft.rootfs = path


def contribute_begin(draft: Draft) -> None:
    """The first mounts: cut what flows back to the host, then the root as a mount of its own."""
    if not draft.unshare & CLONE_NEWNS and not _joins_mount(draft):
        draft.add(MOUNTS, OpenRootfs(origin="/root/path", path=draft.rootfs))
        return
    linux = draft.spec.get("linux") or {}
    word = linux.get("rootfsPropagation") or ""
    origin = "/linux/rootfsPropagation" if word else ""
    # What cannot be bound could not become a root either: that word is for after the pivot
    first = word if word and "unbindable" not in word else "rslave"
    change = PROPAGATION[first]
    draft.add(MOUNTS, SetPropagation(origin=origin, change=change, word=first))
    if change & MS_SHARED or not change & MS_REC:
        # Without the recursive word only "/" itself has changed; a bundle on another mount is still below a shared one
        draft.add(MOUNTS, PrivateParent(origin=origin, path=draft.rootfs))
    draft.add(MOUNTS, MountRootfs(origin="/root/path", path=draft.rootfs))


def contribute_masks(draft: Draft) -> None:
    """Masked and read-only paths, before the pivot: the null device to cover files with is the host's own."""
    linux = draft.spec.get("linux") or {}
    masked = linux.get("maskedPaths") or []
    if masked:
        draft.add(DEVICES, MaskPaths(origin="/linux/maskedPaths", paths=tuple(masked)))
    for index, path in enumerate(linux.get("readonlyPaths") or []):
        draft.add(DEVICES, ReadonlyPath(origin=f"/linux/readonlyPaths/{index}", path=path))


def contribute_end(draft: Draft) -> None:
    """The pivot and what follows it."""
    if not draft.unshare & CLONE_NEWNS and not _joins_mount(draft):
        draft.add(ROOT, ChangeRoot(origin="/root/path"))
        return
    if draft.options.no_pivot:
        draft.add(ROOT, MoveRoot(origin="/root/path", path=draft.rootfs))
    else:
        draft.add(ROOT, PivotRoot(origin="/root/path"))
    linux = draft.spec.get("linux") or {}
    word = linux.get("rootfsPropagation")
    if word:
        draft.add(ROOT, RootPropagation(origin="/linux/rootfsPropagation", change=PROPAGATION[word], word=word))
    if draft.spec["root"].get("readonly"):
        cwd = draft.spec.get("process", {}).get("cwd") or "/"
        if cwd != "/":
            draft.add(DEVICES, MakeCwd(origin="/process/cwd", path=cwd))
        draft.add(ROOT, RootReadonly(origin="/root/readonly"))


def _joins_mount(draft: Draft) -> bool:
    return any(join.type == "mount" for join in draft.joins)
