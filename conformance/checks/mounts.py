"""config.md, mounts: order, source, destination, type, id mappings. The options have a module of their own."""

from __future__ import annotations

import os

from conformance.bundle import Config, mount
from conformance.registry import MAY, MUST, SHOULD, clause, each, unobservable
from conformance.saboteur import drop, put, reverse
from conformance.trial import Trial, expect

MOUNTS = "config.md#mounts"
POSIX = "config.md#posix-platform-mounts"


def _with(t: Trial, *entries: Config, deeds: tuple[str, ...] = ()) -> Config:
    config = t.config(*deeds)
    config["mounts"] += entries
    return config


@clause("mounts.order", MUST, MOUNTS, "mounts are made in the listed order", broken_by=reverse("/mounts"))
def order(t: Trial) -> None:
    (t.shared / "deep").mkdir()
    (t.shared / "deep" / "file").write_text("bound")
    entries = (
        mount("/mnt", "tmpfs", "tmpfs", "mode=755"),
        mount("/mnt/inner", "none", str(t.shared / "deep"), "bind"),
        mount("/tmp", "tmpfs", "first"),
        mount("/tmp", "tmpfs", "second"),
    )
    seen = t.run(_with(t, *entries, deeds=("read:/mnt/inner/file",)))
    expect(seen.deeds[0].get("text"), "bound", "a bind mount below an earlier tmpfs")
    expect(seen.mount("/tmp").source, "second", "the later of two mounts at one place")


@clause(
    "mounts.destination.required",
    MUST,
    MOUNTS,
    "the destination of a mount is required",
    broken_by=drop("/mounts/-1"),
)
def destination_required(t: Trial) -> None:
    entry = mount("/mnt", "tmpfs", "tmpfs")
    del entry["destination"]
    t.refused(_with(t, entry), "a mount without destination")


@clause(
    "mounts.destination.relative",
    MUST,
    MOUNTS,
    "a relative destination counts from /",
    broken_by=drop("/mounts/-1"),
)
def destination_relative(t: Trial) -> None:
    config = _with(t, mount("mnt/below", "tmpfs", "tmpfs"))
    config["process"]["cwd"] = "/tmp"
    expect(t.run(config).mount("/mnt/below").kind, "tmpfs", "file system at /mnt/below")


@clause(
    "mounts.destination.relative.accepted",
    MAY,
    MOUNTS,
    "a relative destination is accepted for old configurations",
    broken_by=drop("/mounts/-1"),
)
def destination_relative_accepted(t: Trial) -> None:
    t.run(_with(t, mount("mnt", "tmpfs", "tmpfs"))).mount("/mnt")


@clause(
    "mounts.type", MUST, POSIX, "type is the file system that is mounted", broken_by=put("/mounts/-1/type", "ramfs")
)
def kind(t: Trial) -> None:
    expect(t.run(_with(t, mount("/mnt", "tmpfs", "some-name"))).mount("/mnt").kind, "tmpfs", "file system at /mnt")


@clause(
    "mounts.type.unknown",
    MUST,
    "config.md#valid-values",
    "a file system type the kernel does not know is an error",
    broken_by=drop("/mounts/-1"),
)
def kind_unknown(t: Trial) -> None:
    t.refused(_with(t, mount("/mnt", "nosuchfs", "none")), "a mount of type nosuchfs")


@clause("mounts.source", MUST, MOUNTS, "source is what is mounted", broken_by=put("/mounts/-1/source", "other"))
def source(t: Trial) -> None:
    expect(t.run(_with(t, mount("/mnt", "tmpfs", "some-name"))).mount("/mnt").source, "some-name", "source of /mnt")


@each(
    "mounts.bind.source",
    MUST,
    MOUNTS,
    "the source of a bind mount is absolute or relative to the bundle",
    {"absolute": (True, drop("/mounts/-1")), "relative": (False, drop("/mounts/-1"))},
)
def bind_source(t: Trial, absolute: bool) -> None:
    bundle = t.bundle()
    (bundle.path / "data").mkdir()
    (bundle.path / "data" / "file").write_text("bound")
    where = str(bundle.path / "data") if absolute else "data"
    config = _with(t, mount("/mnt", "none", where, "bind"), deeds=("read:/mnt/file",))
    expect(t.run(config, bundle=bundle).deed.get("text"), "bound", "a file of a bind mount")


@each(
    "mounts.bind.options",
    MUST,
    MOUNTS,
    "a mount is a bind mount if its options have bind or rbind, whatever its type says",
    {
        f"{option}-{kind or 'untyped'}": ((option, kind), drop("/mounts/-1/options"))
        for option in ("bind", "rbind")
        for kind in ("none", "tmpfs", "bind", "")
    },
)
def bind_by_option(t: Trial, case: tuple[str, str]) -> None:
    option, kind = case
    (t.shared / "file").write_text("bound")
    entry = mount("/mnt", kind, str(t.shared), option)
    if not kind:
        del entry["type"]
    expect(t.run(_with(t, entry, deeds=("read:/mnt/file",))).deed.get("text"), "bound", "a file of a bind mount")


@clause(
    "mounts.bind.file",
    MUST,
    MOUNTS,
    "the source of a bind mount may be a file",
    broken_by=drop("/mounts/-1"),
)
def bind_file(t: Trial) -> None:
    (t.shared / "file").write_text("bound")
    config = _with(t, mount("/etc/file", "none", str(t.shared / "file"), "bind"), deeds=("read:/etc/file",))
    expect(t.run(config).deed.get("text"), "bound", "a bound file")


@clause(
    "mounts.bind.missing",
    MUST,
    "runtime.md#create",
    "a bind mount of a source that does not exist is an error",
    broken_by=drop("/mounts/-1"),
)
def bind_missing(t: Trial) -> None:
    t.refused(_with(t, mount("/mnt", "none", str(t.home / "nowhere"), "bind")), "a bind mount of nothing")


@each(
    "mounts.options.data",
    SHOULD,
    "config.md#linux-mount-options",
    "options the runtime does not know go to the file system as data, comma separated",
    {
        "size": ((("size=128k",), "blocks", 32), drop("/mounts/-1/options")),
        "mode": ((("mode=0711",), "mode", 0o711), drop("/mounts/-1/options")),
        "uid": ((("uid=3",), "owner", 3), drop("/mounts/-1/options")),
        "several": ((("size=64k", "gid=4", "uid=3"), "group", 4), drop("/mounts/-1/options")),
    },
)
def options_data(t: Trial, case: tuple[tuple[str, ...], str, int]) -> None:
    options, field, value = case
    seen = t.run(_with(t, mount("/mnt", "tmpfs", "tmpfs", *options), deeds=("stat:/mnt",)))
    expect(seen.deed.get(field), value, f"{field} of a tmpfs mounted with {','.join(options)}")


@clause(
    "mounts.options.refused",
    MUST,
    "runtime.md#create",
    "an option that neither the runtime nor the file system knows is an error",
    broken_by=drop("/mounts/-1"),
)
def options_refused(t: Trial) -> None:
    t.refused(_with(t, mount("/mnt", "tmpfs", "tmpfs", "nosuchoption")), "the mount option nosuchoption")


@clause(
    "mounts.optional",
    MAY,
    MOUNTS,
    "source and options of a mount are optional",
    broken_by=put("/mounts", [{"destination": "/x", "type": "nosuchfs"}]),
)
def optional(t: Trial) -> None:
    config = t.config()
    config["mounts"] = [{"destination": "/proc", "type": "proc"}, {"destination": "/mnt", "type": "tmpfs"}]
    expect(t.run(config).mount("/mnt").kind, "tmpfs", "file system at /mnt")


# ---- id-mapped mounts


def _mapping(host: int, inside: int = 0) -> list[Config]:
    return [{"containerID": inside, "hostID": host, "size": 1000}]


def _owned(t: Trial, *options: str, mapped: bool) -> Config:
    """A bind mount of a file of user 1000, mapped so that inside it is user 7000's (or as options say)."""
    (t.shared / "file").write_text("x")

    os.chown(t.shared / "file", 1000, 1000)
    entry = mount("/mnt", "none", str(t.shared), *options)
    if mapped:
        entry |= {"uidMappings": _mapping(7000, 1000), "gidMappings": _mapping(7000, 1000)}
    return _with(t, entry, deeds=("stat:/mnt/file",))


@each(
    "mounts.idmap",
    SHOULD,
    "config.md#linux-mount-options",
    "idmap and ridmap apply the mount's own mappings",
    {
        "idmap": ("idmap", drop("/mounts/-1/uidMappings")),
        "ridmap": ("ridmap", drop("/mounts/-1/uidMappings")),
    },
)
def idmap(t: Trial, option: str) -> None:
    seen = t.run(_owned(t, "rbind", option, mapped=True)).deed
    expect((seen.get("owner"), seen.get("group")), (7000, 7000), "owner and group of a file of user 1000")


@clause(
    "mounts.idmap.mappings",
    MUST,
    POSIX,
    "uidMappings without gidMappings is an error",
    broken_by=drop("/mounts/-1"),
)
def idmap_half(t: Trial) -> None:
    config = _owned(t, "rbind", "idmap", mapped=True)
    del config["mounts"][-1]["gidMappings"]
    t.refused(config, "a mount with uidMappings but no gidMappings")


@each(
    "mounts.idmap.nothing",
    MUST,
    "config.md#linux-mount-options",
    "idmap without mappings, in a container without user namespace, is an error",
    {"idmap": ("idmap", drop("/mounts/-1")), "ridmap": ("ridmap", drop("/mounts/-1"))},
)
def idmap_nothing(t: Trial, option: str) -> None:
    t.refused(_owned(t, "rbind", option, mapped=False), f"{option} without any mapping")


@clause(
    "mounts.idmap.container",
    MAY,
    "config.md#linux-mount-options",
    "idmap without mappings uses those of the container's user namespace",
    broken_by=put("/mounts/-1/options", ["rbind"]),
)
def idmap_container(t: Trial) -> None:
    config = t.own_user_namespace(_owned(t, "rbind", "idmap", mapped=False))
    seen = t.run(config).deed
    expect((seen.get("owner"), seen.get("group")), (1000, 1000), "owner and group inside of a file of user 1000")


@clause(
    "mounts.chown.never",
    SHOULD,
    "config-linux.md#user-namespace-mappings",
    "the runtime does not change owners of files to realise a mapping",
    broken_by=(),
)
def no_chown(t: Trial) -> None:
    (t.shared / "file").write_text("x")
    bundle = t.bundle()
    config = t.own_user_namespace(_with(t, mount("/mnt", "none", str(t.shared), "bind")))
    t.run(config, bundle=bundle)
    owners = {path.stat().st_uid for path in (bundle.rootfs, bundle.rootfs / "probe", t.shared / "file")}
    expect(owners, {0}, "owners on the host afterwards")


unobservable(
    "mounts.idmap.syscall",
    SHOULD,
    POSIX,
    "the mapping is made with mount_setattr(2) and the option is not passed to mount(2)",
    "which system call made a mount cannot be seen afterwards; its effect is judged by mounts.idmap",
)
