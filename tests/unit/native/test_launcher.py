"""The launcher, with a stub in place of the package: how the interpreter that it runs is set up."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.native.prefix import INTERPRETER, LIBRARY, Prefix

SOURCES = Path(__file__).parents[3] / "ociruntime" / "native"

Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session", params=["system", "own", "image"])
def prefix(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Prefix:
    """With the system's interpreter, with ours, and with ours from its image: all are to be alike."""
    if request.param != "system" and not INTERPRETER.exists():
        pytest.skip("Python's library is no archive here, so there is no interpreter of our own")
    return Prefix(tmp_path_factory.mktemp("prefix"), own=request.param != "system", image=request.param == "image")


@pytest.fixture
def launcher(prefix: Prefix) -> Path:
    return prefix.launcher


@pytest.fixture
def run(prefix: Prefix) -> Run:
    return prefix.run


def interpreter(prefix: Prefix) -> str:
    own = prefix.package / INTERPRETER.name
    return str(own) if own.exists() else os.path.realpath(sys.executable)


def test_the_image_is_used_where_there_is_one(run: Run, prefix: Prefix) -> None:
    assert run()["image"] is (prefix.package / "image.py").exists()


def test_arguments_arrive_byte_for_byte(run: Run) -> None:
    argv = run("-c", "--flag=é", b"\xff", "")["argv"]
    assert argv[2:] == ["-c", "--flag=é", "\udcff", ""]


def test_interpreter_is_isolated_and_without_site(run: Run, launcher: Path) -> None:
    report = run()
    assert (report["isolated"], report["no_site"], report["utf8"]) == (1, 1, 1)
    assert not report["collects"]
    assert report["filesystem"] == ["utf-8", "surrogateescape"]
    assert Path(report["path"][-1]).samefile(launcher.parents[1] / LIBRARY / "site-packages")
    assert len([entry for entry in report["path"] if "-packages" in entry]) == 1
    assert Path(report["executable"]).exists()


def test_hostile_environment_and_directory_are_ignored(run: Run, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(99)")
    hostile = {
        "PYTHONPATH": str(tmp_path),
        "PYTHONHOME": "/nowhere",
        "PYTHONINSPECT": "1",
        "PYTHONSTARTUP": str(tmp_path / "json.py"),
        "PYTHONUTF8": "0",
    }
    report = run(env=hostile, cwd=tmp_path)
    assert not report["json"].startswith(str(tmp_path))
    assert report["environ"] == hostile


@pytest.mark.parametrize(
    "locale", [{}, {"LANG": "C"}, {"LC_ALL": "POSIX"}, {"LC_CTYPE": "C"}, {"LC_ALL": "no_SUCH.locale"}]
)
def test_any_locale_is_utf8_and_stays_as_it_is(run: Run, locale: dict[str, str]) -> None:
    report = run("é", env=locale)
    assert report["argv"][2] == "é"
    assert report["environ"] == locale


def ignored(lines: list[str]) -> set[int]:
    [line] = [line for line in lines if line.startswith("SigIgn")]
    return {number for number in range(1, 65) if int(line.split()[1], 16) >> (number - 1) & 1}


def test_signals_are_ignored_as_python_does(run: Run) -> None:
    """SIGPIPE and SIGXFSZ, beside what the caller ignores: SIGINT and SIGQUIT where a shell started it with &."""
    callers = ignored(Path("/proc/self/status").read_text().splitlines())
    assert ignored(run()["ignored"]) == callers | {13, 25}


def test_missing_standard_streams_become_dev_null(run: Run) -> None:
    def close_streams() -> None:
        for fd in (0, 1, 2):
            os.close(fd)

    report = run(preexec_fn=close_streams)
    assert {fd: report["fds"][fd] for fd in "012"} == dict.fromkeys("012", "/dev/null")


def test_inherited_descriptors_stay_and_no_other_appears(run: Run, tmp_path: Path) -> None:
    with open(tmp_path / "kept", "w") as kept:
        fd = fcntl.fcntl(kept, fcntl.F_DUPFD_CLOEXEC, 50)
    try:
        report = run(pass_fds=(fd,))
    finally:
        os.close(fd)
    assert report["fds"][str(fd)] == str(tmp_path / "kept")
    assert set(report["fds"]) == {"0", "1", "2", str(fd)}


def test_a_symbolic_link_finds_the_package(run: Run, launcher: Path, tmp_path: Path) -> None:
    link = tmp_path / "runc"
    link.symlink_to(launcher)
    assert run(launcher=link)["argv"][0] == str(link)


def test_a_launcher_alone_says_what_is_missing(launcher: Path, tmp_path: Path) -> None:
    lonely = Path(shutil.copy(launcher, tmp_path / "lonely"))
    result = subprocess.run([lonely], check=False, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("ociruntime: cannot find the package in ")
    assert str(tmp_path.parent) in result.stderr


def test_without_privileges_it_runs_all_the_same(run: Run, prefix: Prefix) -> None:
    """The read-only mount needs CAP_SYS_ADMIN; in a user namespace of others there is none."""
    if os.geteuid() != 0:
        pytest.skip("only root has privileges to give up")
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    assert run(through=drop)["exe"] == interpreter(prefix)


def test_interpreter_cannot_be_written_through_its_process(run: Run, prefix: Prefix) -> None:
    """Neither now (ETXTBSY) nor by a descriptor kept until it has ended (CVE-2019-5736)."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    report = run()
    assert report["exe"] != interpreter(prefix)
    assert report["exe_read_only"]


def test_another_interpreter_of_the_prefix_is_found(prefix: Prefix, run: Run, launcher: Path, tmp_path: Path) -> None:
    """When the one that built the package has gone."""
    if (prefix.package / INTERPRETER.name).exists():
        pytest.skip("ours is part of the package")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    gone = f'#define PYTHON_VERSION "{version}"\n#define BASE_PYTHON "/no/python"\n#define BASE_PYTHON_MOVABLE 1\n'
    (tmp_path / "python_config.h").write_text(gone)
    target = launcher.with_name("gone")
    compile_arguments = ["-ffreestanding", "-fno-pie", "-no-pie", "-fno-stack-protector", "-static", "-nostdlib"]
    subprocess.run(["cc", *compile_arguments, f"-I{tmp_path}", "-o", target, SOURCES / "launcher.c"], check=True)
    message = subprocess.run([target], check=False, capture_output=True, text=True)
    other = launcher.with_name(f"python{version}")
    assert message.stderr == f"ociruntime: cannot run {other}: no such file or directory\n"
    other.symlink_to(os.path.realpath(sys.executable))
    try:
        assert run(launcher=target)["executable"] == str(other)
    finally:
        other.unlink()
