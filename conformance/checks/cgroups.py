"""config-linux.md, control groups: where the container's cgroup is, whether it is fit, and whose it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from conformance.bundle import CGROUP
from conformance.host import Hierarchies
from conformance.registry import MAY, MUST, SHOULD, clause, each, unobservable
from conformance.saboteur import put, succeed
from conformance.trial import Container, Trial, expect, require, skip_unless

CGROUPS = "config-linux.md#control-groups"
PATH = "config-linux.md#cgroups-path"
OWNER = "config-linux.md#cgroup-ownership"


def _version() -> int:
    return Hierarchies.read().version


def _group_paths(pid: int) -> set[str]:
    """The cgroups a process is in, in the hierarchies that count."""
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    parsed = [line.split(":", 2) for line in lines]
    if _version() == 2:
        return {path for _, names, path in parsed if names == ""}
    return {path for _, names, path in parsed if names and not names.startswith("name=")}


# ---- the path


@clause(
    "cgroups.path.absolute",
    MUST,
    PATH,
    "an absolute cgroupsPath counts from the cgroup mount point",
    broken_by=put("/linux/cgroupsPath", "/conformance-elsewhere"),
)
def path_absolute(t: Trial) -> None:
    config = t.config()
    config["linux"]["cgroupsPath"] = f"/{t.group}/some/where"
    box = t.paused(config)
    expect(_group_paths(box.pid), {f"/{t.group}/some/where"}, "cgroups of the container")


@clause(
    "cgroups.path.consistent",
    MUST,
    PATH,
    "the same cgroupsPath means the same place every time",
    broken_by=put("/linux/cgroupsPath", "/conformance-elsewhere"),
)
def path_consistent(t: Trial) -> None:
    found = []
    for _ in range(2):
        config = t.config()
        config["linux"]["cgroupsPath"] = f"/{t.group}/again"
        box = t.paused(config)
        found.append(_group_paths(box.pid))
        box.stop()
        box.delete()
    expect(found[0], found[1], "cgroups of two containers")
    require(all(path.endswith("/again") for path in found[0]), f"cgroups: {found[0]}")


@clause(
    "cgroups.path.relative",
    MAY,
    PATH,
    "a relative cgroupsPath counts from a place the runtime chooses",
    broken_by=put("/linux/cgroupsPath", "/conformance-elsewhere"),
)
def path_relative(t: Trial) -> None:
    config = t.config()
    config["linux"]["cgroupsPath"] = name = f"{t.group}/relative"
    box = t.paused(config)
    require(all(path.endswith(name) for path in _group_paths(box.pid)), f"cgroups: {_group_paths(box.pid)}")


@clause(
    "cgroups.path.default",
    MAY,
    PATH,
    "without cgroupsPath the runtime chooses one",
    broken_by=put("/process/args", ["/probe", "true"]),
)
def path_default(t: Trial) -> None:
    config = t.program(t.config(), "pause")
    config["linux"]["cgroupsPath"] = None  # `create` fills in a path where there is none; null is none
    raw = json.dumps(config).replace(', "cgroupsPath": null', "")
    box = t.create(raw).demand_created()
    require(_group_paths(box.pid), "the container is in no cgroup")
    box.start()
    expect(box.status(), "running", "status")


@clause(
    "cgroups.path.created",
    MUST,
    PATH,
    "cgroups are created if they do not exist, with all that lead to them",
    broken_by=put("/linux/cgroupsPath", "/conformance-elsewhere"),
)
def path_created(t: Trial) -> None:
    config = t.config()
    config["linux"]["cgroupsPath"] = f"/{t.group}/a/b/c/d"
    expect(_group_paths(t.paused(config).pid), {f"/{t.group}/a/b/c/d"}, "cgroups of the container")


@clause(
    "cgroups.path.contained",
    MUST,
    PATH,
    "a cgroupsPath does not lead out of the cgroup file system",
    broken_by=(),
)
def path_contained(t: Trial) -> None:
    config = t.config()
    name = f"{t.group}-outside"
    config["linux"]["cgroupsPath"] = f"/../../../../../../{name}"
    t.create(config)
    outside = Path("/") / name
    found = outside.exists()
    if found:
        shutil.rmtree(outside)
    require(not found, "a directory was made outside of the cgroup file systems")


@clause(
    "cgroups.unfit",
    MAY,
    CGROUPS,
    "create checks whether the cgroup is fit: one with processes in it is refused",
    broken_by=succeed("create"),
)
def unfit(t: Trial) -> None:
    owner = t.config()
    owner["linux"]["cgroupsPath"] = f"/{t.group}/shared"
    t.paused(owner)
    second = t.config()
    second["linux"]["cgroupsPath"] = f"/{t.group}/shared"
    t.refused(second, "a cgroup that another container lives in")


@clause(
    "cgroups.unfit.frozen",
    MAY,
    CGROUPS,
    "create checks whether the cgroup is fit: a frozen one is refused",
    broken_by=put("/linux/cgroupsPath", "/conformance-elsewhere"),
)
def frozen(t: Trial) -> None:
    hierarchies = Hierarchies.read()
    skip_unless(hierarchies.version == 2 or hierarchies.has("freezer"), "this host has no freezer")
    root = hierarchies.roots["" if hierarchies.version == 2 else "freezer"] / t.group / "frozen"
    root.mkdir()
    t.tolerated.add(f"{t.group}/frozen")
    (root / ("cgroup.freeze" if hierarchies.version == 2 else "freezer.state")).write_text(
        "1" if hierarchies.version == 2 else "FROZEN"
    )
    t.undo.append(lambda: _thaw(root))
    config = t.config()
    config["linux"]["cgroupsPath"] = f"/{t.group}/frozen"
    bundle = t.bundle()
    bundle.write(config)
    outcome = t.runtime.call("create", "--bundle", str(bundle.path), t.new_id(), timeout=8)
    _thaw(root)
    t.no_hang(outcome)
    require(not outcome.ok, "create into a frozen cgroup succeeded")


def _thaw(group: Path) -> None:
    """Thaw what `frozen` froze, so that everything in it can end."""
    for name, word in (("cgroup.freeze", "0"), ("freezer.state", "THAWED")):
        if (group / name).exists():
            (group / name).write_text(word)


# ---- the owner


def _owners(t: Trial, box: Container) -> set[int]:
    group = t.cgroup(box.pid, "memory")
    return {group.stat().st_uid, *((group / name).stat().st_uid for name in ("cgroup.procs",))}


@clause(
    "cgroups.owner.v1",
    SHOULD,
    OWNER,
    "the owner of a cgroup is not changed on cgroup v1",
    broken_by=(),
)
def owner_v1(t: Trial) -> None:
    skip_unless(_version() == 1, "this host has no cgroup v1")
    config = t.own_user_namespace(t.config())
    config["linux"]["namespaces"].append({"type": "cgroup"})
    expect(_owners(t, t.paused(config)), {0}, "owners of the cgroup")


def _delegated(t: Trial, *options: str, namespace: bool = True) -> set[int]:
    skip_unless(_version() == 2, "this host has no cgroup v2")
    config = t.own_user_namespace(t.config())
    if namespace:
        config["linux"]["namespaces"].append({"type": "cgroup"})
    config["mounts"].append({**CGROUP, "options": ["nosuid", "noexec", "nodev", *options]})
    return _owners(t, t.paused(config))


@clause(
    "cgroups.owner.v2",
    SHOULD,
    OWNER,
    "on v2, with an own cgroup namespace and a writable /sys/fs/cgroup, the cgroup belongs to the container's user",
    broken_by=put("/mounts/-1/options", ["ro"]),
)
def owner_v2(t: Trial) -> None:
    expect(_delegated(t, "rw"), {100000}, "owners of the cgroup")


@each(
    "cgroups.owner.kept",
    SHOULD,
    OWNER,
    "the owner is not changed with a read-only /sys/fs/cgroup or without an own cgroup namespace",
    {"read-only": (("ro", True), ()), "no-namespace": (("rw", False), ())},
)
def owner_kept(t: Trial, case: tuple[str, bool]) -> None:
    expect(_delegated(t, case[0], namespace=case[1]), {0}, "owners of the cgroup")


unobservable(
    "cgroups.owner.files",
    MUST,
    OWNER,
    "files missing from the cgroup, or a missing list of delegated files, make no failure",
    "kernels that lack the list or the files are not at hand",
)
