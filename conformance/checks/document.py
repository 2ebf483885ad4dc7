"""config.md, the document as such: versions, unknown properties, invalid values, annotations."""

from __future__ import annotations

from typing import Any

from conformance.bundle import PROC, Config
from conformance.registry import MAY, MUST, SHOULD, clause, each, unobservable
from conformance.saboteur import Sabotage, drop, edit, fail, put
from conformance.trial import Trial, expect, require

VERSION = "config.md#specification-version"
EXTENSIBILITY = "config.md#extensibility"
VALUES = "config.md#valid-values"
ANNOTATIONS = "config.md#annotations"


@clause("config.ociVersion.required", MUST, VERSION, "ociVersion is required", broken_by=put("/ociVersion", "1.0.2"))
def version_required(t: Trial) -> None:
    config = t.config()
    del config["ociVersion"]
    t.refused(config, "a configuration without ociVersion")


@each(
    "config.ociVersion.semver",
    MUST,
    VERSION,
    "ociVersion is a semantic version",
    {
        name: (value, put("/ociVersion", "1.0.2"))
        for name, value in {"word": "latest", "short": "1.0", "empty": "", "number": 1}.items()
    },
)
def version_semver(t: Trial, value: object) -> None:
    config = t.config()
    config["ociVersion"] = value
    t.refused(config, f"ociVersion {value!r}")


@each(
    "config.ociVersion.compatible",
    MUST,
    VERSION,
    "a configuration of an earlier version of the same major version is accepted",
    {version: (version, fail("create")) for version in ("1.0.0", "1.0.1", "1.0.2", "1.0.2-dev")},
)
def version_compatible(t: Trial, value: str) -> None:
    config = t.config()
    config["ociVersion"] = value
    t.demand(t.create(config).created, f"create with ociVersion {value}")


@clause(
    "config.ociVersion.unsupported",
    MUST,
    VALUES,
    "a major version that the runtime does not support is an error",
    broken_by=put("/ociVersion", "1.0.2"),
)
def version_unsupported(t: Trial) -> None:
    config = t.config()
    config["ociVersion"] = "99.0.0"
    t.refused(config, "ociVersion 99.0.0")


SOMETHING = {"some": ["value"]}
UNKNOWN: dict[str, tuple[str, Any]] = {
    "top": ("/x-unknown", SOMETHING),
    "process": ("/process/x-unknown", SOMETHING),
    "root": ("/root/x-unknown", SOMETHING),
    "mount": ("/mounts/0/x-unknown", SOMETHING),
    "linux": ("/linux/x-unknown", SOMETHING),
    "namespace": ("/linux/namespaces/0/x-unknown", SOMETHING),
    "solaris": ("/solaris", {"milestone": "none"}),
    "windows": ("/windows", {"layerFolders": ["C:\\layer"]}),
    "vm": ("/vm", {"kernel": {"path": "/kernel"}}),
    "zos": ("/zos", {}),
    "freebsd": ("/freebsd", {}),
}


@each(
    "config.unknown.ignored",
    MUST,
    EXTENSIBILITY,
    "properties the runtime does not know, or of other platforms, are ignored and no error",
    {name: (case, fail("create")) for name, case in UNKNOWN.items()},
)
def unknown_ignored(t: Trial, case: tuple[str, Any]) -> None:
    at, value = case
    config = edit(t.config(), put(at, value))
    t.demand(t.create(config).created, f"create with an unknown property at {at}")


@clause(
    "config.unknown.logged",
    MAY,
    EXTENSIBILITY,
    "unknown properties may be logged",
    broken_by=drop("/x-unknown-property"),
)
def unknown_logged(t: Trial) -> None:
    config = t.config()
    config["x-unknown-property"] = {"some": ["value"]}
    said = t.demand(t.create(config).created, "create").stderr
    require(b"x-unknown-property" in said, "nothing was said about an unknown property")


def _invalid(at: str, value: Any) -> tuple[tuple[str, Any], Sabotage]:
    return (at, value), drop(at)


INVALID = {
    "hostname-number": _invalid("/hostname", 5),
    "mounts-object": (("/mounts", {"destination": "/x"}), put("/mounts", [PROC])),
    "mount-destination-list": (("/mounts/1/destination", ["/x"]), drop("/mounts/1")),
    "options-string": _invalid("/mounts/0/options", "ro"),
    "env-object": _invalid("/process/env", {"A": "1"}),
    "args-string": (("/process/args", "/probe"), put("/process/args", ["/probe"])),
    "args-numbers": (("/process/args", [1, 2]), put("/process/args", ["/probe"])),
    "uid-string": (("/process/user/uid", "root"), put("/process/user/uid", 0)),
    "uid-negative": (("/process/user/uid", -1), put("/process/user/uid", 0)),
    "uid-too-large": (("/process/user/uid", 1 << 32), put("/process/user/uid", 0)),
    "readonly-string": _invalid("/root/readonly", "true"),
    "namespaces-strings": (
        ("/linux/namespaces", ["pid"]),
        put("/linux/namespaces", [{"type": "mount"}, {"type": "uts"}, {"type": "network"}]),
    ),
    "masked-object": _invalid("/linux/maskedPaths", {"a": "b"}),
    "sysctl-number": _invalid("/linux/sysctl", {"net.core.somaxconn": 5}),
    "rlimit-string": _invalid("/process/rlimits", [{"type": "RLIMIT_CORE", "soft": "0", "hard": "0"}]),
    "oom-float": _invalid("/process/oomScoreAdj", 1.5),
    "memory-string": _invalid("/linux/resources", {"memory": {"limit": "1G"}}),
    "terminal-string": _invalid("/process/terminal", "yes"),
    "propagation": _invalid("/linux/rootfsPropagation", "everywhere"),
}


@each("config.values.invalid", MUST, VALUES, "a value that is invalid is an error", INVALID)
def values_invalid(t: Trial, case: tuple[str, Any]) -> None:
    at, value = case
    t.refused(edit(t.config(), put(at, value)), f"{at} = {value!r}")


# ---- annotations


def _annotated(t: Trial, annotations: Any) -> Config:
    config = t.config()
    config["annotations"] = annotations
    return config


@each(
    "config.annotations.map",
    MUST,
    ANNOTATIONS,
    "annotations are a map of strings to strings",
    {
        "list": (["a"], drop("/annotations")),
        "number": ({"com.example.a": 5}, drop("/annotations")),
        "nested": ({"com.example.a": {"b": "c"}}, drop("/annotations")),
    },
)
def annotations_map(t: Trial, value: Any) -> None:
    t.refused(_annotated(t, value), f"annotations {value!r}")


@clause(
    "config.annotations.key-empty",
    MUST,
    ANNOTATIONS,
    "the key of an annotation is not empty",
    broken_by=drop("/annotations"),
)
def annotation_key(t: Trial) -> None:
    t.refused(_annotated(t, {"": "value"}), "an annotation with an empty key")


@clause(
    "config.annotations.value-empty",
    MAY,
    ANNOTATIONS,
    "the value of an annotation may be the empty string",
    broken_by=drop("/annotations"),
)
def annotation_value_empty(t: Trial) -> None:
    state = t.created(_annotated(t, {"com.example.empty": ""})).state()
    expect((state.get("annotations") or {}).get("com.example.empty"), "", "annotation in the state")


@clause(
    "config.annotations.none",
    MAY,
    ANNOTATIONS,
    "without annotations the property may be absent or an empty map",
    broken_by=fail("create"),
)
def annotations_none(t: Trial) -> None:
    t.demand(t.create(_annotated(t, {})).created, "create with an empty map of annotations")


@clause(
    "config.annotations.unknown",
    MUST,
    ANNOTATIONS,
    "unknown annotation keys are treated as unknown properties: no error",
    broken_by=fail("create"),
)
def annotations_unknown(t: Trial) -> None:
    given = {"org.opencontainers.no-such-key": "x", "plain": "y", "org.opencontainers.image.os": "linux"}
    t.demand(t.create(_annotated(t, given)).created, "create with unknown annotations")


for _id, _level, _where, _text in (
    ("config.annotations.reverse-dns", SHOULD, ANNOTATIONS, "annotation keys use a reverse domain notation"),
    ("config.annotations.reserved", MUST, ANNOTATIONS, "keys below org.opencontainers are as the spec describes them"),
    ("config.root.conventional", SHOULD, "config.md#root", "root.path is the conventional rootfs"),
    ("config.mounts.destination.absolute", SHOULD, "config.md#mounts", "the destination of a mount is absolute"),
):
    unobservable(_id, _level, _where, _text, "a rule for authors of configurations, not for runtimes")
unobservable(
    "config.values.subset",
    MAY,
    VALUES,
    "the runtime may choose which valid values it supports, where none is required",
    "a permission to the runtime: both answers conform",
)
