"""The cache of compiled filters: believed only if it is ours, whole and current."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ociruntime.core.kernel import Kernel
from ociruntime.core.seccomp import cache
from ociruntime.core.seccomp.cache import LARGEST, MOST_FILES, Cache, directory

PROFILE: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}],
}


class Compiler:
    """Stands where the real one does and counts, so a test sees whether the cache was believed."""

    def __init__(self, library: Path) -> None:
        self.times = 0
        self.library = library

    def __call__(self, profile: Any, origin: str) -> tuple[bytes, str]:
        self.times += 1
        return b"filter%02d" % self.times, str(self.library)


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compiler:
    library = tmp_path / "libseccomp.so.2"
    library.write_bytes(b"one")
    made = Compiler(library)
    monkeypatch.setattr("ociruntime.seccomp.compile.compile_profile", made)
    return made


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "ociruntime" / "seccomp"


def get(place: Path | str, profile: dict[str, Any] = PROFILE) -> bytes:
    return Cache(Kernel(), str(place)).get(profile, "/linux/seccomp")


def entry(place: Path) -> Path:
    (found,) = place.iterdir()
    return found


def test_compiled_once(place: Path, compiler: Compiler) -> None:
    assert [get(place), get(place), get(place)] == [b"filter01"] * 3
    assert entry(place).stat().st_mode & 0o777 == 0o600 and place.stat().st_mode & 0o777 == 0o700


def test_another_profile_is_another_entry(place: Path, compiler: Compiler) -> None:
    get(place)
    assert get(place, {**PROFILE, "defaultErrnoRet": 38}) == b"filter02"
    assert len(list(place.iterdir())) == 2


def loosen(path: Path) -> None:
    path.chmod(0o666)


def exchange(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2] + b"99")


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 8)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(bytes(LARGEST))


def link(path: Path) -> None:
    path.rename(path.parents[2] / "moved")
    path.symlink_to(path.parents[2] / "moved")


def block(path: Path) -> None:
    """A FIFO would keep an unwary reader waiting for ever."""
    path.unlink()
    os.mkfifo(path, 0o600)


def give_away(path: Path) -> None:
    os.chown(path, 1, 1)


ROOT = pytest.mark.skipif(os.getuid() != 0, reason="giving a file away needs root")


@pytest.mark.parametrize(
    "poison", [loosen, exchange, truncate, empty, grow, link, block, pytest.param(give_away, marks=ROOT)]
)
def test_a_poisoned_entry_is_ignored_and_replaced(
    poison: Callable[[Path], None], place: Path, compiler: Compiler
) -> None:
    get(place)
    poison(entry(place))
    assert [get(place), get(place)] == [b"filter02"] * 2
    assert not entry(place).is_symlink()


def test_an_entry_under_another_name_is_not_believed(place: Path, compiler: Compiler) -> None:
    """The digest covers the profile: allowing everything cannot be passed off as another profile's filter."""
    get(place)
    first = entry(place)
    other = {**PROFILE, "defaultErrnoRet": 38}
    get(place, other)
    (second,) = set(place.iterdir()) - {first}
    first.replace(second)
    assert get(place, other) == b"filter03"


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_directory_that_others_may_write_is_not_used(mode: int, place: Path, compiler: Compiler) -> None:
    get(place)
    place.chmod(mode)
    assert get(place) == b"filter02"
    assert len(list(place.iterdir())) == 1


def test_a_link_to_a_directory_is_not_used(tmp_path: Path, place: Path, compiler: Compiler) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    place.parent.mkdir()
    place.symlink_to(tmp_path / "elsewhere")
    get(place)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_new_libseccomp_makes_a_new_filter(place: Path, compiler: Compiler) -> None:
    get(place)
    compiler.library.write_bytes(b"another")
    assert [get(place), get(place)] == [b"filter02"] * 2
    compiler.library.unlink()
    assert get(place) == b"filter03"


def test_a_leftover_of_a_killed_writer_does_no_harm(place: Path, compiler: Compiler) -> None:
    get(place)
    left = entry(place)
    left.rename(place / f".{left.name}")
    get(place)
    assert [path.name for path in place.iterdir()] == [left.name]


def test_no_place_is_no_error(compiler: Compiler) -> None:
    for path in ("", "/proc/nowhere/seccomp"):
        assert get(path)


def test_the_cache_stays_small(place: Path, compiler: Compiler) -> None:
    get(place)
    for number in range(MOST_FILES + 5):
        (place / f"old{number}").touch()
        os.utime(place / f"old{number}", (number, number))
    get(place, {**PROFILE, "defaultErrnoRet": 38})
    names = {path.name for path in place.iterdir()}
    assert len(names) <= MOST_FILES and "old0" not in names and f"old{MOST_FILES + 4}" in names


def test_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    if os.geteuid() == 0:
        assert directory() == "/var/cache/ociruntime/seccomp"
    monkeypatch.setattr("posix.geteuid", lambda: 1000)
    assert directory() == "/run/user/1000/ociruntime/seccomp"
    monkeypatch.setenv("XDG_RUNTIME_DIR", "relative")
    assert directory() == ""


def test_the_real_compiler_and_the_real_reader(place: Path) -> None:
    first = get(place)
    assert entry(place).read_bytes().startswith(cache.MAGIC)
    assert get(place) == first and len(first) % 8 == 0
