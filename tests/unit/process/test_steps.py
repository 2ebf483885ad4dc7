"""Steps of the process: what they ask of the kernel, and what they make of its answers."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from ociruntime.core.errors import ConfigError, HostError, ProgramError, StepError
from ociruntime.core.kernel import Kernel
from ociruntime.core.rootfs import open_proc
from ociruntime.core.steps import labels, selinux
from ociruntime.core.steps.base import Scene, Step
from ociruntime.core.steps.process import (
    CheckIds,
    JoinKeyring,
    NoNewPrivileges,
    RaiseHardLimit,
    SetGroups,
    SetIoPriority,
    SetMemoryPolicy,
    SetOomScoreAdj,
    SetPersonality,
    SetScheduler,
    SetUmask,
)
from ociruntime.core.steps.program import EnterCwd, FindHome, FindProgram, home_of
from tests.unit.recorder import Recorder

EPERM, EACCES, EINVAL, ENOSYS, EDQUOT = (OSError(number, "") for number in (1, 13, 22, 38, 122))
NOFILE: dict[str, Any] = {"name": "RLIMIT_NOFILE", "number": 7}


def recorded(step: Step, **answers: Any) -> Recorder:
    kernel = Recorder(**answers)
    scene = Scene()
    scene.pid = 42
    step.apply(kernel, scene)
    return kernel


def refusal(step: Step, **answers: Any) -> Any:
    with pytest.raises((StepError, ConfigError, HostError)) as caught:
        recorded(step, **answers)
    return caught.value


# --- recorded ------------------------------------------------------------------------------------


def test_a_hard_limit_is_raised_and_the_soft_one_left_alone() -> None:
    kernel = recorded(RaiseHardLimit(**NOFILE, soft=10, hard=2000), getrlimit=(100, 1000))
    assert kernel.named("prlimit") == [("prlimit", 42, 7, 100, 2000)]


def test_a_lower_hard_limit_waits_for_the_player() -> None:
    assert not recorded(RaiseHardLimit(**NOFILE, soft=1, hard=2), getrlimit=(100, 1000)).named("prlimit")


def test_who_may_raise_a_limit() -> None:
    problem = refusal(RaiseHardLimit(**NOFILE, soft=1, hard=2000), getrlimit=(100, 1000), prlimit=EPERM)
    assert problem.what == "cannot raise RLIMIT_NOFILE from 1000 to 2000"
    assert "CAP_SYS_RESOURCE" in problem.hint and "nr_open" in problem.hint


def test_groups_that_are_denied_matter_only_if_there_are_any() -> None:
    recorded(SetGroups(), setgroups=EPERM)
    assert "setgroups is denied" in refusal(SetGroups(groups=(5,)), setgroups=EPERM).what
    assert "no mapping" in refusal(SetGroups(groups=(5,)), setgroups=EINVAL).what


@pytest.mark.parametrize("error", [ENOSYS, EDQUOT])
def test_a_kernel_without_keyrings_or_quota_is_no_error(error: OSError) -> None:
    recorded(JoinKeyring(name="_ses.c", search=8), keyctl=error)


def test_other_refusals_of_the_keyring_are() -> None:
    assert "--no-new-keyring" in refusal(JoinKeyring(name="_ses.c"), keyctl=EACCES).hint


def test_the_keyring_becomes_searchable() -> None:
    def keyctl(operation: int, argument: Any, third: Any = 0, fourth: int = 0) -> int:
        if operation == 6:  # KEYCTL_DESCRIBE
            third[:] = b"keyring;0;0;3f030000;_ses.c".ljust(256, b"\0")
        return 99

    kernel = recorded(JoinKeyring(name="_ses.c", search=0x80000), keyctl=keyctl)
    assert kernel.calls[0] == ("keyctl", 1, b"_ses.c\0")
    assert kernel.calls[-1] == ("keyctl", 5, 99, 0x3F0B0000)


def test_the_memory_policy_names_one_bit_more_than_its_mask_has() -> None:
    assert recorded(SetMemoryPolicy(mode=2, nodes=bytes(8))).calls == [("set_mempolicy", 2, bytes(8), 65)]
    assert recorded(SetMemoryPolicy(mode=0)).calls == [("set_mempolicy", 0, b"", 0)]


@pytest.mark.parametrize(
    ("step", "call"),
    [
        (SetIoPriority(kind=2, priority=7), ("ioprio_set", 1, 0, 2 << 13 | 7)),
        (SetPersonality(persona=8), ("personality", 8)),
        (SetScheduler(attributes=b"x", shown="chrt"), ("sched_setattr", 0, b"x")),
        (SetUmask(mask=0o27), ("umask", 0o27)),
        (NoNewPrivileges(), ("prctl", 38, 1)),
    ],
)
def test_one_call_each(step: Step, call: tuple[Any, ...]) -> None:
    assert recorded(step).calls == [call]
    assert step.describe()


@pytest.mark.parametrize(
    ("step", "call", "word"),
    [
        (SetScheduler(policy="SCHED_FIFO"), "sched_setattr", "CAP_SYS_NICE"),
        (SetIoPriority(), "ioprio_set", "CAP_SYS_NICE"),
        (SetMemoryPolicy(words="MPOL_BIND 9"), "set_mempolicy", "cpuset.mems"),
    ],
)
def test_refusals_say_what_would_help(step: Step, call: str, word: str) -> None:
    assert word in refusal(step, **{call: EPERM}).hint


def test_labels_that_the_host_cannot_apply_are_errors() -> None:
    for step in (labels.CheckAppArmor(profile="p"), selinux.CheckSelinux(label="l")):
        assert "is not enabled on this host" in refusal(step, open=FileNotFoundError()).what
    assert "not enabled" in refusal(labels.CheckAppArmor(profile="p"), open=3, read=b"N").what
    recorded(labels.CheckAppArmor(profile="p"), open=3, read=iter([b"Y", b"a (enforce)\np (", b"complain)\n", b""]))
    other = refusal(labels.CheckAppArmor(profile="p"), open=3, read=iter([b"Y", b"p2 (enforce)\n", b""]))
    assert "is not loaded" in other.what
    recorded(selinux.CheckSelinux(label="l"), open=3, read=b"0")  # permissive is enabled
    unknown = refusal(selinux.CheckSelinux(label="l"), open=3, read=b"0", write=OSError(22, "Invalid argument"))
    assert "policy has no such context" in unknown.what
    recorded(selinux.CheckSelinux(label="l"), open=3, read=b"0", write=OSError(13, "Permission denied"))


# --- against the real kernel ---------------------------------------------------------------------


@pytest.fixture
def scene() -> Any:
    made = Scene()
    made.proc = open_proc(Kernel())
    made.pid = os.getpid()
    yield made
    os.close(made.proc)


def test_ids_in_and_beyond_the_map(scene: Scene) -> None:
    CheckIds(uid=os.getuid(), gid=os.getgid()).apply(Kernel(), scene)
    with pytest.raises(ConfigError) as caught:
        CheckIds(origin="/process/user", uid=0, gid=2**32 - 1).apply(Kernel(), scene)
    assert caught.value.origin == "/process/user/gid" and "linux.gidMappings" in caught.value.hint


def test_oom_score_adj_stays_what_it_is(scene: Scene) -> None:
    """Writing the present value is never refused, so this needs no privilege."""
    value = int(Path("/proc/self/oom_score_adj").read_text())
    SetOomScoreAdj(value=value).apply(Kernel(), scene)
    assert int(Path("/proc/self/oom_score_adj").read_text()) == value


PASSWD = (
    b"root:x:0:0:root:/root:/bin/sh\nshort:x:7\nu:x:1000:1000::/home/u:/bin/sh\nv:x:1000:9::/other:/bin/sh\nw:x:3:3::"
)


@pytest.mark.parametrize(("uid", "home"), [(0, b"/root"), (1000, b"/home/u"), (7, b""), (100, b""), (3, b""), (5, b"")])
def test_home(uid: int, home: bytes) -> None:
    assert home_of(PASSWD, uid) == home


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Programs of every kind, for PATH."""
    for name, mode in (("run", 0o755), ("plain", 0o644), ("mine", 0o700)):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(mode)
    (tmp_path / "directory").mkdir()
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "plain").write_text("")
    (tmp_path / "later" / "plain").chmod(0o755)
    os.mkfifo(tmp_path / "fifo", 0o755)
    (tmp_path / "loop").symlink_to("loop")
    tmp_path.chmod(0o755)
    return tmp_path


def find(name: str, path: str | None = None) -> bytes:
    scene = Scene()
    FindProgram(name=name, path=path, uid=os.getuid(), gid=os.getgid()).apply(Kernel(), scene)
    return scene.found["program"]


def complaint(name: str, path: str | None = None) -> str:
    with pytest.raises(ProgramError) as caught:
        find(name, path)
    return caught.value.what


def test_a_program_in_the_path(files: Path) -> None:
    assert find("run", f"/nope:{files}:/bin") == os.fsencode(files / "run")


def test_the_search_goes_on_behind_what_may_not_be_executed(files: Path) -> None:
    assert find("plain", f"{files}:{files}/later") == os.fsencode(files / "later/plain")


@pytest.mark.parametrize("path", [None, "", "/nope"])
def test_not_in_the_path(path: str | None) -> None:
    assert complaint("run", path) == 'exec: "run": executable file not found in $PATH'


def test_an_empty_entry_of_the_path_is_the_working_directory(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    assert find("run", "/nope:") == b"./run"
    assert find("./run") == b"./run"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("/nope/x", 'exec: "/nope/x": stat /nope/x: no such file or directory'),
        ("plain", 'exec: "{0}": permission denied'),
        ("directory", 'exec: "{0}": permission denied (is a directory)'),
        ("fifo", 'exec: "{0}": permission denied (not a regular file)'),
        ("plain/x", 'exec: "{0}": stat {0}: not a directory'),
        ("loop", 'exec: "{0}": stat {0}: too many levels of symbolic links'),
    ],
)
def test_words_that_engines_match(files: Path, name: str, words: str) -> None:
    path = str(files / name)
    assert complaint(path) == words.format(path)


def test_no_name(files: Path) -> None:
    """Or each directory of PATH would be a candidate."""
    assert complaint("", str(files)) == 'exec: "": executable file not found in $PATH'


def test_denied_in_the_path(files: Path) -> None:
    assert complaint("plain", f"{files}:/nope") == 'exec: "plain": permission denied'


@pytest.mark.skipif(os.getuid() != 0, reason="another user's eyes need root")
def test_the_program_is_looked_up_with_the_users_eyes(files: Path) -> None:
    kernel, scene = Kernel(), Scene()
    for parent in files.parents[:3]:  # one more under pytest -n, else /tmp, whose sticky bit has to stay
        parent.chmod(parent.stat().st_mode | 0o055)
    FindProgram(name=str(files / "run"), uid=1, gid=1).apply(kernel, scene)
    with pytest.raises(ProgramError, match="permission denied"):
        FindProgram(name=str(files / "mine"), uid=1, gid=1).apply(kernel, scene)
    assert (os.getresuid(), os.getresgid()) == ((0, 0, 0), (0, 0, 0))


@pytest.fixture
def back() -> Any:
    here = os.open(".", os.O_RDONLY)
    yield None
    os.fchdir(here)
    os.close(here)


@pytest.mark.usefixtures("back")
def test_a_missing_working_directory_is_made_by_create_only(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    with pytest.raises(StepError, match="chdir to cwd"):
        EnterCwd(path=str(path), make=False).apply(Kernel(), Scene())
    EnterCwd(path=str(path)).apply(Kernel(), Scene())
    assert Path.cwd() == path


@pytest.mark.usefixtures("back")
def test_no_magic_link_leads_to_a_working_directory(tmp_path: Path) -> None:
    """CVE-2024-21626: cwd=/proc/self/fd/N, directly or by a link of the image."""
    outside = os.open("/", os.O_RDONLY)
    (tmp_path / "link").symlink_to(f"/proc/self/fd/{outside}")
    for path in (f"/proc/self/fd/{outside}", f"/proc/self/fd/{outside}/etc", str(tmp_path / "link")):
        for make in (True, False):
            with pytest.raises(StepError) as caught:
                EnterCwd(path=path, make=make).apply(Kernel(), Scene())
            assert caught.value.errno == errno.ELOOP
    os.close(outside)


def test_a_directory_out_of_reach_is_refused() -> None:
    step = EnterCwd(origin="/process/cwd", path="/x")
    problem = refusal(step, openat2=5, open=4, getcwd=b"(unreachable)/x")
    assert problem.origin == "/process/cwd" and "outside of the container" in problem.what


def test_a_directory_that_only_its_user_may_enter_waits_for_the_player() -> None:
    scene = Scene()
    EnterCwd(path="/home/u").apply(Recorder(openat2=PermissionError(13, "")), scene)
    assert "cwd-later" in scene.found


def test_home_of_this_machines_root() -> None:
    scene = Scene()
    FindHome(uid=0).apply(Kernel(), scene)
    assert scene.found["HOME"] == b"/root"
    FindHome(uid=2**31).apply(Kernel(), scene)
    assert scene.found["HOME"] == b"/"
