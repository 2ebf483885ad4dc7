"""The launcher, with a stub in place of the package: how the interpreter that it runs is set up."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SOURCES = Path(__file__).parents[3] / "ociruntime" / "native"
LIBRARY = f"lib/python{sys.version_info.major}.{sys.version_info.minor}"
STUB = """
    import sys

    def main(argv):
        import _json, _socket, fcntl, json, os, re, resource, select
        report = {
            "argv": argv,
            "path": sys.path,
            "environ": {name.decode(): value.decode() for name, value in os.environb.items()},
            "fds": {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in range(100) if is_open(fd)},
            "isolated": sys.flags.isolated, "no_site": sys.flags.no_site, "utf8": sys.flags.utf8_mode,
            "filesystem": [sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()],
            "json": json.__file__,
            "exe": os.readlink("/proc/self/exe"),
            "executable": sys.executable,
        }
        fd = os.open(argv[1], os.O_WRONLY | os.O_CREAT)
        os.write(fd, json.dumps(report).encode())
        os._exit(5)

    def is_open(fd):
        import os
        try:
            os.fstat(fd)
        except OSError:
            return False
        return True
"""

Run = Callable[..., dict[str, Any]]


def compiled(target: Path, *, embed: bool = False, header: str | None = None) -> Path:
    """The launcher, compiled as the build does, optionally with another description of the interpreter."""

    def described(what: str) -> str:
        command = [sys.executable, str(SOURCES / "describe_python.py"), what]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    (target.parent / "python_config.h").write_text(header or described("header"))
    # The arguments of meson.build, as far as they matter here.
    command = ["cc", "-D_GNU_SOURCE", "-I", str(target.parent), "-o", str(target), str(SOURCES / "launcher.c")]
    if embed:
        command += ["-DEMBED", "-fno-pie", str(SOURCES / "embedded.c"), *described("link").split("\n")[:-1]]
        command.append(f"-I{sysconfig.get_path('include')}")
    subprocess.run(command, check=True)
    return target


@pytest.fixture(scope="session", params=["as built", "without embedding"])
def launcher(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A launcher in a prefix of its own, beside a stub of the package."""
    prefix = tmp_path_factory.mktemp("prefix")
    package = prefix / LIBRARY / "site-packages" / "ociruntime"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(textwrap.dedent(STUB))
    target = prefix / "bin" / "ociruntime"
    target.parent.mkdir()
    if request.param == "without embedding":
        return compiled(target)
    return Path(shutil.copy(Path(sys.prefix) / "bin" / "ociruntime", target))


@pytest.fixture
def run(launcher: Path, tmp_path: Path) -> Run:
    def runner(*arguments: bytes | str, launcher: Path = launcher, **options: Any) -> dict[str, Any]:
        report = tmp_path / "report"
        result = subprocess.run([launcher, report, *arguments], check=False, **options)
        assert result.returncode == 5
        content: dict[str, Any] = json.loads(report.read_bytes())
        return content

    return runner


def test_arguments_arrive_byte_for_byte(run: Run) -> None:
    argv = run("-c", "--flag=é", b"\xff", "")["argv"]
    assert argv[2:] == ["-c", "--flag=é", "\udcff", ""]


def test_interpreter_is_isolated_and_without_site(run: Run, launcher: Path) -> None:
    report = run()
    assert (report["isolated"], report["no_site"], report["utf8"]) == (1, 1, 1)
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
    assert str(tmp_path) in result.stderr


@pytest.mark.slow
def test_a_changed_interpreter_is_not_embedded_any_more(run: Run, launcher: Path, tmp_path: Path) -> None:
    """After an upgrade the standard library on disk belongs to another interpreter than the one inside."""
    header = subprocess.run(
        [sys.executable, str(SOURCES / "describe_python.py"), "header"], check=True, capture_output=True, text=True
    ).stdout
    try:
        same = compiled(launcher.with_name("same"), embed=True)
    except subprocess.CalledProcessError:
        pytest.skip("this interpreter has no static library to embed")
    changed = compiled(launcher.with_name("changed"), embed=True, header=header.replace("_SIZE ", "_SIZE 1"))
    assert run(launcher=same)["exe"] == str(same)
    assert run(launcher=changed)["exe"] == os.path.realpath(sys.executable)
