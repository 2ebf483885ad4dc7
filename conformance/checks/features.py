"""features.md: what a runtime says it can do, checked against what it does when asked."""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator

from conformance.bundle import mount
from conformance.checks import mounts
from conformance.checks.privileges import NAMES, ours
from conformance.checks.seccomp import BIG_ENDIAN
from conformance.registry import MAY, MUST, SHOULD, clause, unobservable
from conformance.saboteur import Sabotage, fail, say
from conformance.trial import Failed, Skipped, Trial, expect, require, skip_unless

FEATURES = "features.md"
LINUX = "features-linux.md"
STRINGS = {"type": ["array", "null"], "items": {"type": "string"}}
FLAG = {"type": ["boolean", "null"]}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": ["object", "null"], "properties": properties}


SCHEMA = {
    "type": "object",
    "required": ["ociVersionMin", "ociVersionMax"],
    "properties": {
        "ociVersionMin": {"type": "string"},
        "ociVersionMax": {"type": "string"},
        "hooks": STRINGS,
        "mountOptions": STRINGS,
        "annotations": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
        "potentiallyUnsafeConfigAnnotations": STRINGS,
        "linux": _object(
            namespaces=STRINGS,
            capabilities={"type": ["array", "null"], "items": {"type": "string", "pattern": "^CAP_[A-Z_]+$"}},
            cgroup=_object(v1=FLAG, v2=FLAG, systemd=FLAG, systemdUser=FLAG, rdma=FLAG),
            seccomp=_object(
                enabled=FLAG,
                actions=STRINGS,
                operators=STRINGS,
                archs=STRINGS,
                knownFlags=STRINGS,
                supportedFlags=STRINGS,
            ),
            apparmor=_object(enabled=FLAG),
            selinux=_object(enabled=FLAG),
            intelRdt=_object(enabled=FLAG, schemata=FLAG, monitoring=FLAG),
            memoryPolicy=_object(modes=STRINGS, flags=STRINGS),
            mountExtensions=_object(idmap=_object(enabled=FLAG)),
            netDevices=_object(enabled=FLAG),
        ),
    },
}
# When a property came to the document (specs-go/features of each release).
SINCE = {
    "annotations": (1, 1),
    "hooks": (1, 1),
    "mountOptions": (1, 1),
    "potentiallyUnsafeConfigAnnotations": (1, 2),
    "linux.namespaces": (1, 1),
    "linux.capabilities": (1, 1),
    "linux.cgroup": (1, 1),
    "linux.seccomp": (1, 1),
    "linux.apparmor": (1, 1),
    "linux.selinux": (1, 1),
    "linux.intelRdt": (1, 1),
    "linux.mountExtensions": (1, 2),
    "linux.netDevices": (1, 3),
    "linux.memoryPolicy": (1, 3),
}


def _document(t: Trial) -> dict[str, Any]:
    outcome = t.runtime.call("features")
    if not outcome.ok:
        raise Skipped(f"the runtime has no features document: {outcome.words()}")
    return t.document(outcome, "features")


def _linux(t: Trial, *path: str) -> Any:
    found: Any = _document(t).get("linux")
    for step in path:
        found = (found or {}).get(step)
    skip_unless(found, f"the features document says nothing about linux.{'.'.join(path)}")
    return found


def _says(key: str, *value: Any) -> Sabotage:
    return say("features", key, *value)


@clause("features.provided", MAY, FEATURES, "the runtime has a features document", broken_by=fail("features"))
def provided(t: Trial) -> None:
    outcome = t.runtime.call("features")
    require(outcome.ok, f"no features document: {outcome.tell()}")


@clause(
    "features.schema",
    MUST,
    FEATURES,
    "the document has the properties of the spec with their types; any but the versions may be absent or null",
    broken_by=_says("hooks", "prestart"),
)
def schema(t: Trial) -> None:
    problems = [f"{e.json_path}: {e.message}" for e in Draft202012Validator(SCHEMA).iter_errors(_document(t))]
    expect(problems, [], "schema problems")


@clause(
    "features.versions",
    MUST,
    "features.md#specification-version",
    "ociVersionMin and ociVersionMax are there, and the first is not above the second",
    broken_by=_says("ociVersionMin", "9.9.9"),
)
def versions(t: Trial) -> None:
    document = _document(t)
    low, high = (_numbers(document.get(key)) for key in ("ociVersionMin", "ociVersionMax"))
    require(low <= high, f"ociVersionMin {document['ociVersionMin']} > ociVersionMax {document['ociVersionMax']}")


def _numbers(version: Any) -> tuple[int, ...]:
    if not isinstance(version, str) or version.count(".") < 2:
        raise Failed(f"{version!r} is no semantic version")
    return tuple(int(part) for part in version.partition("-")[0].partition("+")[0].split(".")[:3])


@clause(
    "features.versions.accepted",
    MUST,
    "features.md#specification-version",
    "a configuration with ociVersionMin or ociVersionMax is accepted",
    broken_by=fail("create"),
)
def versions_accepted(t: Trial) -> None:
    document = _document(t)
    for key in ("ociVersionMin", "ociVersionMax"):
        config = t.config()
        config["ociVersion"] = document[key]
        t.demand(t.create(config).created, f"create with ociVersion {document[key]}")


@clause(
    "features.versions.properties",
    MUST,
    "features.md#specification-version",
    "no property is listed that ociVersionMax does not know",
    broken_by=_says("ociVersionMax", "1.0.0"),
)
def versions_properties(t: Trial) -> None:
    document = _document(t)
    version = _numbers(document.get("ociVersionMax"))[:2]
    present = {key for key in document} | {f"linux.{key}" for key in document.get("linux") or {}}
    newer = sorted(key for key in present if SINCE.get(key, (0, 0)) > version)
    # 1.0.2-dev was the name of what became 1.1.0, features document and all
    skip_unless("dev" not in document["ociVersionMax"], "ociVersionMax is a development version")
    expect(newer, [], f"properties newer than {document['ociVersionMax']}")


@clause(
    "features.hooks",
    MUST,
    "features.md#hooks",
    "every hook listed is run",
    broken_by=_says("hooks", ["createRuntime", "nosuchHook"]),
)
def hooks(t: Trial) -> None:
    listed = _document(t).get("hooks") or []
    skip_unless(listed, "the features document lists no hooks")
    config = t.share(t.config())
    config["hooks"] = {name: [t.hook(name, inside=name == "startContainer")] for name in listed}
    box = t.started(config)
    box.report()
    box.wait()
    box.delete()
    expect(set(listed) - set(t.tags()), set(), "hooks listed but not run")


SPECIAL = {"bind", "rbind", "remount", "idmap", "ridmap", "unbindable", "runbindable", "copy-symlink"}


@clause(
    "features.mountOptions",
    MUST,
    "features.md#mount-options",
    "every mount option listed is recognised",
    broken_by=_says("mountOptions", ["ro", "nosuchoption"]),
)
def mount_options(t: Trial) -> None:
    listed = [option for option in _document(t).get("mountOptions") or [] if option not in SPECIAL]
    skip_unless(listed, "the features document lists no mount options")
    # a tmpfs refuses what the runtime passes on because it does not know it
    refused = []
    for option in listed:
        config = t.config()
        config["mounts"].append(mount("/mnt", "tmpfs", "tmpfs", option))
        outcome = t.create(config).created
        if not outcome.ok and f"data: {option}".encode() in outcome.stderr + b" data: " + option.encode():
            refused.append(option)
    expect(refused, [], "options listed but refused on a tmpfs")


@clause(
    "features.mountOptions.filesystems",
    SHOULD,
    "features.md#mount-options",
    "options of single file systems are not listed",
    broken_by=_says("mountOptions", ["ro", "size"]),
)
def mount_options_filesystems(t: Trial) -> None:
    listed = set(_document(t).get("mountOptions") or [])
    skip_unless(listed, "the features document lists no mount options")
    expect(
        listed & {"size", "mode", "uid", "gid", "newinstance", "ptmxmode", "nr_inodes"},
        set(),
        "options of tmpfs, devpts",
    )


@clause(
    "features.linux.namespaces",
    MUST,
    f"{LINUX}#namespaces",
    "every namespace type listed is recognised",
    broken_by=_says("linux", {"namespaces": ["pid", "nosuch"]}),
)
def namespaces(t: Trial) -> None:
    listed = _linux(t, "namespaces")
    config = t.config()
    rest = [name for name in listed if name not in ("user",)]
    config["linux"]["namespaces"] = [{"type": name} for name in rest]
    if "user" in listed:
        config = t.own_user_namespace(config)
    t.demand(t.create(config).created, f"create with namespaces {listed}")


@clause(
    "features.linux.capabilities",
    MUST,
    f"{LINUX}#capabilities",
    "every capability listed is recognised",
    broken_by=_says("linux", {"capabilities": ["CAP_CHOWN", "CAP_NO_SUCH_THING"]}),
)
def capabilities(t: Trial) -> None:
    known = {f"CAP_{name}" for name in NAMES}
    listed = [name for name in _linux(t, "capabilities") if name in ours() or name not in known]
    config = t.config(capabilities={"bounding": listed, "permitted": listed, "effective": listed})
    outcome = t.create(config).created
    said = outcome.stderr.decode("utf-8", "replace")
    expect([name for name in listed if name in said or not outcome.ok], [], "capabilities listed but not recognised")


def _seccomp(t: Trial, **seccomp: Any) -> None:
    config = t.config()
    config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", **seccomp}
    t.demand(t.create(config).created, f"create with seccomp {json.dumps(seccomp)[:200]}")


@clause(
    "features.linux.seccomp.actions",
    MUST,
    f"{LINUX}#seccomp",
    "every seccomp action listed is recognised",
    broken_by=_says("linux", {"seccomp": {"enabled": True, "actions": ["SCMP_ACT_NOSUCH"]}}),
)
def seccomp_actions(t: Trial) -> None:
    for action in _linux(t, "seccomp", "actions"):
        if action not in ("SCMP_ACT_ALLOW", "SCMP_ACT_NOTIFY"):  # equal to the default; needs a listener
            _seccomp(t, syscalls=[{"names": ["getpriority"], "action": action}])


@clause(
    "features.linux.seccomp.operators",
    MUST,
    f"{LINUX}#seccomp",
    "every seccomp operator listed is recognised",
    broken_by=_says("linux", {"seccomp": {"enabled": True, "operators": ["SCMP_CMP_NOSUCH"]}}),
)
def seccomp_operators(t: Trial) -> None:
    for name in _linux(t, "seccomp", "operators"):
        args = [{"index": 0, "value": 1, "valueTwo": 1, "op": name}]
        _seccomp(t, syscalls=[{"names": ["umask"], "action": "SCMP_ACT_ERRNO", "args": args}])


@clause(
    "features.linux.seccomp.archs",
    MUST,
    f"{LINUX}#seccomp",
    "every architecture listed is recognised",
    broken_by=_says("linux", {"seccomp": {"enabled": True, "archs": ["SCMP_ARCH_NOSUCH"]}}),
)
def seccomp_archs(t: Trial) -> None:
    for name in _linux(t, "seccomp", "archs"):
        if name.removeprefix("SCMP_ARCH_") in BIG_ENDIAN:
            continue
        _seccomp(t, architectures=[name], syscalls=[{"names": ["getpriority"], "action": "SCMP_ACT_ERRNO"}])


@clause(
    "features.linux.seccomp.supportedFlags",
    MUST,
    f"{LINUX}#seccomp",
    "every supported flag listed is recognised and supported",
    broken_by=_says("linux", {"seccomp": {"enabled": True, "supportedFlags": ["SECCOMP_FILTER_FLAG_NOSUCH"]}}),
)
def seccomp_supported(t: Trial) -> None:
    for name in _linux(t, "seccomp", "supportedFlags"):
        if not name.endswith("WAIT_KILLABLE_RECV"):  # the kernel wants it only with a listener: seccomp.flag
            _seccomp(t, flags=[name], syscalls=[{"names": ["getpriority"], "action": "SCMP_ACT_ERRNO"}])


@clause(
    "features.linux.seccomp.knownFlags",
    MUST,
    f"{LINUX}#seccomp",
    "every supported flag is a known flag",
    broken_by=_says("linux", {"seccomp": {"enabled": True, "knownFlags": ["A"], "supportedFlags": ["B"]}}),
)
def seccomp_known(t: Trial) -> None:
    known = set(_linux(t, "seccomp", "knownFlags"))
    expect(set(_linux(t, "seccomp").get("supportedFlags") or ()) - known, set(), "supported but not known flags")


@clause(
    "features.linux.memoryPolicy",
    MUST,
    f"{LINUX}#memorypolicy",
    "every memory policy mode listed is recognised",
    broken_by=_says("linux", {"memoryPolicy": {"modes": ["MPOL_NOSUCH"]}}),
)
def memory_policy(t: Trial) -> None:
    for mode in _linux(t, "memoryPolicy", "modes"):
        config = t.config()
        config["linux"]["memoryPolicy"] = {"mode": mode} | (
            {} if mode in ("MPOL_DEFAULT", "MPOL_LOCAL") else {"nodes": "0"}
        )
        t.demand(t.create(config).created, f"create with the memory policy {mode}")


@clause(
    "features.linux.mountExtensions.idmap",
    MUST,
    f"{LINUX}#mountextensions",
    "idmap.enabled is true where id-mapped mounts are tried at all",
    broken_by=_says("linux", {"mountExtensions": {"idmap": {"enabled": False}}}),
)
def idmap(t: Trial) -> None:
    said = bool(((_document(t).get("linux") or {}).get("mountExtensions") or {}).get("idmap", {}).get("enabled"))
    try:
        mounts.idmap(t, "idmap")
        does = True
    except Failed:
        does = False
    require(said or not does, "id-mapped mounts work, but the features document does not say so")


@clause(
    "features.annotations",
    MUST,
    "features.md#annotations",
    "annotations are a map of strings to strings with keys that are not empty",
    broken_by=_says("annotations", {"": "x"}),
)
def annotations_map(t: Trial) -> None:
    given = _document(t).get("annotations") or {}
    skip_unless(given, "the features document has no annotations")
    bad = [key for key, value in given.items() if not key or not isinstance(value, str)]
    expect(bad, [], "annotations that are no strings")


@clause(
    "features.compile-time",
    SHOULD,
    FEATURES,
    "the document does not depend on the host or the moment: asked twice it is the same",
    broken_by=(),
)
def compile_time(t: Trial) -> None:
    expect(_document(t), _document(t), "the second document")


for _name in ("cgroup", "apparmor", "selinux", "intelRdt", "netDevices"):
    unobservable(
        f"features.linux.{_name}",
        MAY,
        f"{LINUX}#{_name.lower()}",
        f"{_name} says what the runtime supports, whatever the host offers",
        "a true statement about a build; where this host has the feature, the clauses of the feature itself judge",
    )
unobservable(
    "features.null",
    MUST,
    FEATURES,
    "a null value is not taken for an empty one",
    "a rule for readers of the document",
)
