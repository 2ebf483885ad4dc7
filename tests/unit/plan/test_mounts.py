"""/mounts to steps (plan/mounts.py, plan/mountoptions.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from ociruntime.core.errors import ConfigError, StepError
from ociruntime.core.kernel.flags import (
    AT_RECURSIVE,
    MOUNT_ATTR__ATIME,
    MOUNT_ATTR_NOATIME,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
    MS_PRIVATE,
    MS_REC,
    MS_SLAVE,
)
from ociruntime.core.plan.draft import DEVICES, MOUNTS, OPEN
from ociruntime.core.plan.mountoptions import OPTIONS, MountOptions
from ociruntime.core.steps.base import Scene
from ociruntime.core.steps.mount import AttachBind, MakeReadOnly, MountFilesystem, MountTmpfsCopy, OpenBind, Remount
from tests.unit.plan.drafts import plan, spec, steps, told
from tests.unit.recorder import Recorder

MAPS = [{"containerID": 0, "hostID": 100000, "size": 65536}]


def test_every_option_of_the_specification_is_known() -> None:
    required = (
        "async atime bind defaults dev diratime dirsync exec iversion lazytime loud noatime nodev nodiratime noexec"
        " noiversion nolazytime norelatime nostrictatime nosuid private rbind relatime remount ro rprivate rshared "
        "rslave runbindable rw shared silent slave strictatime suid sync unbindable nosymfollow symfollow ratime rdev "
        "rdiratime rexec rnoatime rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow rrelatime rro"
        " rrw rstrictatime rsuid rsymfollow rnodev idmap ridmap mand nomand tmpcopyup"
    ).split()
    assert {*required, "copy-symlink", "src-nofollow", "dest-nofollow"} == set(OPTIONS)  # and those of crun


@pytest.mark.parametrize("options", [["rbind", "bind"], ["bind", "rbind"], ["rbind", "ro", "bind"]])
def test_a_bind_that_is_recursive_once_is_recursive(options: list[str]) -> None:
    """As with runc, whose flags add up: engines write both."""
    assert MountOptions(options).recursive


def test_the_last_of_two_contradicting_options_wins() -> None:
    options = MountOptions(["ro", "rw", "suid", "nosuid"])
    assert (options.attr_set, options.attr_clr) == (MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY)


def test_setting_an_atime_mode_clears_the_field() -> None:
    options = MountOptions(["noatime"])
    assert (options.attr_set, options.attr_clr) == (
        MOUNT_ATTR_NOATIME,
        MOUNT_ATTR__ATIME & ~MOUNT_ATTR_NOATIME | options.attr_clr,
    )
    assert options.attr_clr | options.attr_set == MOUNT_ATTR__ATIME


def test_unknown_options_are_the_file_systems() -> None:
    assert MountOptions(["size=64k,mode=755", "nosuid", "huge"]).data == ["size=64k", "mode=755", "huge"]


def test_order_is_kept(tmp_path: Path) -> None:
    entries = [{"destination": f"/{name}", "type": "tmpfs"} for name in "abc"]
    made = steps(plan(tmp_path, spec(mounts=entries)), MOUNTS, MountFilesystem)
    assert [(step.destination, step.origin) for step in made] == [
        ("/a", "/mounts/0"),
        ("/b", "/mounts/1"),
        ("/c", "/mounts/2"),
    ]


def test_a_bind_is_opened_by_the_child(tmp_path: Path) -> None:
    entry = {"destination": "/data", "source": "data", "options": ["rbind", "ro", "nodev"]}
    found = plan(tmp_path, spec(mounts=[entry]))
    (opened,) = steps(found, MOUNTS, OpenBind)
    assert opened.source == f"{tmp_path}/data" and opened.recursive
    assert opened.attr_set == MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV
    assert opened.propagation == (MS_SLAVE | MS_REC,)
    assert len(steps(found, MOUNTS, AttachBind)) == 1


def test_with_a_user_namespace_it_is_opened_by_the_parent(tmp_path: Path) -> None:
    linux = {"namespaces": [{"type": "mount"}, {"type": "user"}], "uidMappings": MAPS, "gidMappings": MAPS}
    entry = {"destination": "/data", "source": "/data", "options": ["bind", "rprivate"]}
    found = plan(tmp_path, spec(mounts=[entry], linux=linux))
    (opened,) = steps(found, OPEN, OpenBind)
    assert opened.propagation == (MS_PRIVATE | MS_REC,) and not opened.recursive


def test_a_shared_root_lets_binds_stay_peers(tmp_path: Path) -> None:
    entry = {"destination": "/data", "source": "/data", "options": ["bind"]}
    found = plan(tmp_path, spec(mounts=[entry], linux={"rootfsPropagation": "rshared"}))
    assert steps(found, MOUNTS, OpenBind)[0].propagation == ()


def test_a_read_only_tmpfs_is_closed_last(tmp_path: Path) -> None:
    entry = {"destination": "/dev", "type": "tmpfs", "options": ["ro"]}
    found = plan(tmp_path, spec(mounts=[entry]))
    assert steps(found, MOUNTS, MountFilesystem)[0].attr_set == 0
    kinds = [type(step) for step in found.stages[DEVICES]]
    assert kinds.index(MakeReadOnly) == len(kinds) - 1


def test_tmpcopyup_and_remount(tmp_path: Path) -> None:
    entries = [
        {"destination": "/data", "type": "tmpfs", "options": ["tmpcopyup"]},
        {"destination": "/data", "type": "none", "options": ["remount", "bind", "ro"]},
    ]
    found = plan(tmp_path, spec(mounts=entries))
    assert len(steps(found, MOUNTS, MountTmpfsCopy)) == 1
    assert steps(found, MOUNTS, Remount)[0].bind


@pytest.mark.parametrize("destination", ["/proc", "/proc/sys", "proc/../proc/self"])
def test_nothing_covers_proc(tmp_path: Path, destination: str) -> None:
    entry = {"destination": destination, "type": "tmpfs"}
    with pytest.raises(ConfigError, match="inside /proc") as caught:
        plan(tmp_path, spec(mounts=[entry]))
    assert caught.value.origin == "/mounts/0/destination"


def test_but_some_files_may_be_covered(tmp_path: Path) -> None:
    entry = {"destination": "/proc/cpuinfo", "source": "/x", "options": ["bind"]}
    assert steps(plan(tmp_path, spec(mounts=[entry])), MOUNTS, AttachBind)


@pytest.mark.parametrize("entry", [{"destination": "/x"}, {"destination": "/x", "options": ["bind"]}])
def test_what_is_missing_is_named(tmp_path: Path, entry: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(tmp_path, spec(mounts=[entry]))
    assert caught.value.origin.startswith("/mounts/0/")


def test_words_of_a_shell(tmp_path: Path) -> None:
    entries = [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/tmp", "type": "tmpfs", "options": ["nosuid", "size=1m"]},
        {"destination": "/d", "source": "/s", "options": ["rbind", "ro"]},
    ]
    lines = told(plan(tmp_path, spec(mounts=entries)), MOUNTS)
    assert "mount -t proc proc rootfs/proc" in lines
    assert "mount -t tmpfs -o nosuid,size=1m tmpfs rootfs/tmp" in lines
    assert "mount --rbind /s rootfs/d && mount -o remount,bind,ro rootfs/d" in lines


def test_a_mount_has_its_attributes_before_anyone_sees_it() -> None:
    """No moment at which a read-only volume is writable."""
    kernel = Recorder(open_tree=7)
    scene = Scene()
    OpenBind(source="/s", destination="/d", key="bind0", attr_set=MOUNT_ATTR_RDONLY, rec_set=MOUNT_ATTR_NODEV).apply(
        kernel, scene
    )
    assert [call[0] for call in kernel.calls] == ["open_tree", "mount_setattr", "mount_setattr"]
    assert kernel.calls[2][2] == AT_RECURSIVE and scene.handles == {"bind0": 7}


def test_a_missing_source_is_the_sources_fault() -> None:
    kernel = Recorder(open_tree=FileNotFoundError(2, "no"))
    with pytest.raises(StepError, match="stat /s: no such file or directory") as caught:
        OpenBind(source="/s", destination="/d", key="k", origin="/mounts/3").apply(kernel, Scene())
    assert caught.value.origin == "/mounts/3/source"


def test_what_the_file_system_complains_of_is_told() -> None:
    kernel = Recorder(
        openat2=5, fsopen=6, fsconfig_create=OSError(22, "no"), fscontext_message="tmpfs: Bad value for 'size'"
    )
    scene = Scene()
    scene.rootfs = 4
    with pytest.raises(StepError, match="Bad value for 'size'"):
        MountFilesystem(fstype="tmpfs", destination="/t", data=("mode=755", "size=x")).apply(kernel, scene)


LABEL = "system_u:object_r:container_file_t:s0:c1,c2"


@pytest.mark.parametrize("kind", ["context", "rootcontext", "fscontext"])
def test_mount_label(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ociruntime.core.plan.mounts.SELINUX", str(tmp_path))
    given = spec(
        mounts=[{"destination": f"/{name}", "type": name, "source": "x"} for name in ("tmpfs", "proc", "sysfs")]
    )
    given.setdefault("linux", {})["mountLabel"] = LABEL
    if kind != "context":
        given["annotations"] = {"run.oci.mount_context_type": kind}
    made = [step for step in steps(plan(tmp_path, given), MOUNTS) if isinstance(step, MountFilesystem)]
    assert {step.fstype: step.data for step in made} == {"tmpfs": (f"{kind}={LABEL}",), "proc": (), "sysfs": ()}


def test_a_mount_label_of_an_unknown_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ociruntime.core.plan.mounts.SELINUX", str(tmp_path))
    given = spec(mounts=[{"destination": "/tmp", "type": "tmpfs", "source": "x"}])
    given.setdefault("linux", {})["mountLabel"] = LABEL
    given["annotations"] = {"run.oci.mount_context_type": "nonsense"}
    with pytest.raises(ConfigError, match="no kind of context"):
        plan(tmp_path, given)
