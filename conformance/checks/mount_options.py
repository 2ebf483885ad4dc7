"""config.md, Linux mount options: one clause per option of the table.

Where an option leaves a trace in mountinfo the trace is judged; where the kernel shows nothing (``silent``,
``iversion`` …) the option is given to a tmpfs, which refuses options it does not know, so that a runtime that passes
it on as data fails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance.bundle import Config, mount
from conformance.registry import MAY, MUST, SHOULD, Level, clause, each
from conformance.saboteur import drop, put
from conformance.trial import Mount, Trial, expect, require

TABLE = "config.md#linux-mount-options"


Body = Callable[[Trial], None]


def _option(name: str, level: Level, text: str, *, broken_by: Any) -> Callable[[Body], Body]:
    return clause(f"mounts.option.{name}", level, TABLE, f"{name}: {text}", broken_by=broken_by)


def _tmpfs(t: Trial, *options: str, deeds: tuple[str, ...] = ()) -> Config:
    config = t.config(*deeds)
    config["mounts"].append(mount("/mnt", "tmpfs", "tmpfs", *options))
    return config


def _flags(seen: Mount) -> set[str]:
    return {flag for flag in seen.options | (seen.super_options - {"ro", "rw"}) if flag}


# ---- options whose flag shows in mountinfo: (what has to be there, what must not be there)

SHOWN: dict[str, tuple[tuple[str, ...], set[str], set[str], str]] = {
    "ro": (("ro",), {"ro"}, {"rw"}, "the mount is read-only"),
    "nosuid": (("nosuid",), {"nosuid"}, set(), "set-user-id bits have no effect"),
    "nodev": (("nodev",), {"nodev"}, set(), "device nodes cannot be opened"),
    "noexec": (("noexec",), {"noexec"}, set(), "programs cannot be executed"),
    "noatime": (("noatime",), {"noatime"}, {"relatime"}, "access times are not updated"),
    "nodiratime": (("nodiratime",), {"nodiratime"}, set(), "access times of directories are not updated"),
    "relatime": (("relatime",), {"relatime"}, {"noatime"}, "access times are updated relative to changes"),
    "strictatime": (("strictatime",), set(), {"relatime", "noatime"}, "access times are always updated"),
    "sync": (("sync",), {"sync"}, set(), "writing is synchronous"),
    "dirsync": (("dirsync",), {"dirsync"}, set(), "changes of directories are synchronous"),
    "lazytime": (("lazytime",), {"lazytime"}, set(), "times are written lazily"),
}
# ---- options that name the usual case: (what must not be there, what a runtime that has it wrong would mount)
USUAL: dict[str, tuple[set[str], str, str]] = {
    "rw": ({"ro"}, "ro", "the mount can be written"),
    "suid": ({"nosuid"}, "nosuid", "set-user-id bits have effect"),
    "dev": ({"nodev"}, "nodev", "device nodes can be opened"),
    "exec": ({"noexec"}, "noexec", "programs can be executed"),
    "atime": ({"noatime"}, "noatime", "access times are kept after the kernel's default"),
    "diratime": ({"nodiratime"}, "nodiratime", "access times of directories are updated"),
    "async": ({"sync"}, "sync", "writing is asynchronous"),
    "nolazytime": ({"lazytime"}, "lazytime", "times are not written lazily"),
    "norelatime": ({"noatime"}, "noatime", "relatime is not asked for"),
    "nostrictatime": ({"noatime"}, "noatime", "the kernel's default for access times is used"),
}
# ---- options that leave no trace: a tmpfs would refuse them as data
ACCEPTED = {
    "defaults": (MUST, "the default options"),
    "iversion": (MUST, "the inode version is incremented"),
    "noiversion": (MUST, "the inode version is not incremented"),
    "loud": (MUST, "messages are not silenced"),
    "silent": (MUST, "messages are silenced"),
    "mand": (MAY, "mandatory locks are allowed (deprecated)"),
    "nomand": (MAY, "mandatory locks are not allowed"),
}


def _opposite(name: str) -> str:
    return {"ro": "rw", "strictatime": "noatime", "relatime": "noatime"}.get(name, "defaults")


def _shown(given: tuple[str, ...], there: set[str], absent: set[str]) -> Callable[[Trial], None]:
    def judge(t: Trial) -> None:
        flags = _flags(t.run(_tmpfs(t, *given)).mount("/mnt"))
        require(there <= flags, f"options {list(given)}: {sorted(there - flags)} missing from {sorted(flags)}")
        require(not absent & flags, f"options {list(given)}: {sorted(absent & flags)} must not be in {sorted(flags)}")

    return judge


for _name, (_given, _there, _absent, _text) in SHOWN.items():
    _sabotage = put("/mounts/-1/options", [_opposite(_name)])
    _option(_name, MUST, _text, broken_by=_sabotage)(_shown(_given, _there, _absent))

for _name, (_absent, _wrong, _text) in USUAL.items():
    _option(_name, MUST, _text, broken_by=put("/mounts/-1/options", [_wrong]))(_shown((_name,), set(), _absent))


@each(
    "mounts.options.later-wins",
    SHOULD,
    TABLE,
    "of two options that contradict each other the later wins, as in mount(8)",
    {
        f"{first}-{later}": ((first, later, flag), put("/mounts/-1/options", [later, first]))
        for first, later, flag in (
            ("ro", "rw", "ro"),
            ("nosuid", "suid", "nosuid"),
            ("nodev", "dev", "nodev"),
            ("noexec", "exec", "noexec"),
            ("noatime", "atime", "noatime"),
            ("nodiratime", "diratime", "nodiratime"),
            ("sync", "async", "sync"),
            ("lazytime", "nolazytime", "lazytime"),
        )
    },
)
def later_wins(t: Trial, case: tuple[str, str, str]) -> None:
    first, later, flag = case
    flags = _flags(t.run(_tmpfs(t, first, later)).mount("/mnt"))
    require(flag not in flags, f"a tmpfs mounted with {first},{later} is {sorted(flags)}")


def _accepted(name: str) -> Callable[[Trial], None]:
    def judge(t: Trial) -> None:
        seen = t.run(_tmpfs(t, name, deeds=("create:/mnt/file=x",)))
        expect(seen.mount("/mnt").kind, "tmpfs", f"file system mounted with {name}")
        expect(seen.deed["errno"], 0, f"errno of writing to a tmpfs mounted with {name}")

    return judge


for _name, (_level, _text) in ACCEPTED.items():
    _option(_name, _level, _text, broken_by=put("/mounts/-1/options", ["ro"]))(_accepted(_name))


@_option("nosymfollow", SHOULD, "symbolic links are not followed", broken_by=drop("/mounts/-1/options"))
def nosymfollow(t: Trial) -> None:
    require("nosymfollow" in _flags(t.run(_tmpfs(t, "nosymfollow")).mount("/mnt")), "links are followed")


@_option("symfollow", SHOULD, "symbolic links are followed", broken_by=put("/mounts/-1/options", ["nosymfollow"]))
def symfollow(t: Trial) -> None:
    flags = _flags(t.run(_tmpfs(t, "nosymfollow", "symfollow")).mount("/mnt"))
    require("nosymfollow" not in flags, f"links are not followed: {sorted(flags)}")


@_option(
    "tmpcopyup",
    MAY,
    "what the root file system has there is copied into the tmpfs",
    broken_by=put("/mounts/-1/options", []),
)
def tmpcopyup(t: Trial) -> None:
    bundle = t.bundle()
    (bundle.rootfs / "mnt" / "file").write_text("copied")
    seen = t.run(_tmpfs(t, "tmpcopyup", deeds=("read:/mnt/file",)), bundle=bundle)
    expect(seen.deed.get("text"), "copied", "a file of the directory below the tmpfs")


@_option("remount", MUST, "a mount that exists gets other options", broken_by=drop("/mounts/-1"))
def remount(t: Trial) -> None:
    config = t.config("create:/mnt/file=x")
    config["mounts"].append(mount("/mnt", "none", str(t.shared), "bind"))
    config["mounts"].append(mount("/mnt", "none", str(t.shared), "remount", "bind", "ro"))
    seen = t.run(config)
    require("ro" in seen.mount("/mnt").options, f"/mnt is {sorted(seen.mount('/mnt').options)}")


# ---- binds


def _tree(t: Trial, *options: str, shared: bool = False) -> str:
    """A tmpfs on the host with another below it; its path."""
    top = t.home / "tree"
    top.mkdir()
    extra = ["-o", ",".join(options)] if options else []
    t.tool("mount", "-t", "tmpfs", *extra, "tree", str(top))
    t.later("umount", "-R", "-l", str(top))
    t.tool("mount", "--make-shared" if shared else "--make-private", str(top))
    if "ro" in options:
        t.tool("mount", "-o", "remount,rw", str(top))
    (top / "sub").mkdir()
    if "ro" in options:
        t.tool("mount", "-o", "remount,ro", str(top))
    t.tool("mount", "-t", "tmpfs", *extra, "sub", str(top / "sub"))
    return str(top)


def _bound(t: Trial, source: str, *options: str, deeds: tuple[str, ...] = ()) -> Config:
    config = t.config(*deeds)
    config["mounts"].append(mount("/mnt", "none", source, *options))
    return config


@_option("bind", MUST, "a part of the tree is seen at another place, without mounts below it",
         broken_by=put("/mounts/-1/options", ["rbind"]))  # fmt: skip
def bind(t: Trial) -> None:
    points = [one.point for one in t.run(_bound(t, _tree(t), "bind")).mounts()]
    require("/mnt" in points, "nothing is mounted at /mnt")
    require("/mnt/sub" not in points, "a mount below the source was bound too")


@_option("rbind", MUST, "a part of the tree is seen at another place with all mounts below it",
         broken_by=put("/mounts/-1/options", ["bind"]))  # fmt: skip
def rbind(t: Trial) -> None:
    t.run(_bound(t, _tree(t), "rbind")).mount("/mnt/sub")


PROPAGATION: dict[str, tuple[set[str], set[str], str]] = {
    "shared": ({"shared"}, set(), "private"),
    "rshared": ({"shared"}, set(), "private"),
    "slave": ({"master"}, {"shared"}, "private"),
    "rslave": ({"master"}, {"shared"}, "private"),
    "private": (set(), {"shared", "master", "unbindable"}, "rshared"),
    "rprivate": (set(), {"shared", "master", "unbindable"}, "rshared"),
    "unbindable": ({"unbindable"}, set(), "private"),
    "runbindable": ({"unbindable"}, set(), "private"),
}


def _propagates(name: str, there: set[str], absent: set[str]) -> Callable[[Trial], None]:
    def judge(t: Trial) -> None:
        seen = t.run(_bound(t, _tree(t, shared=True), "rbind", name))
        for point in ("/mnt", "/mnt/sub") if name.startswith("r") else ("/mnt",):
            tags = set(seen.mount(point).tags)
            require(there <= tags and not absent & tags, f"{point} mounted with {name} is {sorted(tags) or 'private'}")

    return judge


for _name, (_there, _absent, _wrong) in PROPAGATION.items():
    _option(
        _name,
        MUST,
        f"the mount{' and all below it' if _name.startswith('r') else ''} become{'s' * (_name[0] != 'r')} "
        f"{_name.removeprefix('r')}",
        broken_by=put("/mounts/-1/options", ["rbind", _wrong]),
    )(_propagates(_name, _there, _absent))

# ---- recursive options, on a bind with a mount below it

RECURSIVE = {
    "rro": "ro",
    "rnosuid": "nosuid",
    "rnodev": "nodev",
    "rnoexec": "noexec",
    "rnoatime": "noatime",
    "rnodiratime": "nodiratime",
    "rrelatime": "relatime",
    "rnosymfollow": "nosymfollow",
}
CLEARED = {
    "rrw": "ro",
    "rsuid": "nosuid",
    "rdev": "nodev",
    "rexec": "noexec",
    "ratime": "noatime",
    "rdiratime": "nodiratime",
    "rstrictatime": "relatime",
    "rsymfollow": "nosymfollow",
}


def _recursive(name: str, flag: str, *, set_: bool) -> Callable[[Trial], None]:
    def judge(t: Trial) -> None:
        start = {"relatime": "strictatime", "noatime": "relatime"}.get(flag, "") if set_ else flag
        seen = t.run(_bound(t, _tree(t, *filter(None, [start])), "rbind", name))
        for point in ("/mnt", "/mnt/sub"):
            options = seen.mount(point).options
            require((flag in options) is set_, f"{point} mounted with {name} is {sorted(options)}")

    return judge


for _name, _flag in RECURSIVE.items():
    _option(_name, SHOULD, f"{_name[1:]} for the mount and all below it",
            broken_by=put("/mounts/-1/options", ["rbind"]))(_recursive(_name, _flag, set_=True))  # fmt: skip
for _name, _flag in CLEARED.items():
    _option(_name, SHOULD, f"{_name[1:]} for the mount and all below it",
            broken_by=put("/mounts/-1/options", ["rbind"]))(_recursive(_name, _flag, set_=False))  # fmt: skip


@_option("rnorelatime", SHOULD, "norelatime for the mount and all below it", broken_by=drop("/mounts/-1"))
def rnorelatime(t: Trial) -> None:
    # the kernel has no flag for it: relatime is what remains when nothing else is asked for
    seen = t.run(_bound(t, _tree(t, "strictatime"), "rbind", "rnorelatime"))
    for point in ("/mnt", "/mnt/sub"):
        options = seen.mount(point).options
        require(not options & {"noatime", "relatime"}, f"{point} is {sorted(options)}")


@_option(
    "rnostrictatime",
    SHOULD,
    "nostrictatime for the mount and all below it",
    broken_by=put("/mounts/-1/options", ["rbind"]),
)
def rnostrictatime(t: Trial) -> None:
    seen = t.run(_bound(t, _tree(t, "strictatime"), "rbind", "rnostrictatime"))
    for point in ("/mnt", "/mnt/sub"):
        require("relatime" in seen.mount(point).options, f"{point} is {sorted(seen.mount(point).options)}")


# ---- what the flags do


@clause(
    "mounts.option.effect",
    MUST,
    TABLE,
    "ro, noexec and nodev have the effect they promise",
    broken_by=put("/mounts/-1/options", ["bind"]),
)
def effect(t: Trial) -> None:
    (t.shared / "probe").write_bytes(t.probe.read_bytes())
    (t.shared / "probe").chmod(0o755)
    config = _bound(t, str(t.shared), "bind", "ro", "noexec", deeds=("create:/mnt/x=1", "run:/mnt/probe true"))
    seen = t.run(config)
    expect([deed["errno"] for deed in seen.deeds], [30, 13], "errno of writing (EROFS) and executing (EACCES)")
