"""Archives of strangers: the tricks are refused, the honest ones come out as they went in."""

from __future__ import annotations

import gzip
import io
import os
import random
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bundles import root as roots
from bundles.build import Request, build, catalogue
from bundles.errors import BundleError, RefusedError
from bundles.root import Root, reachable
from bundles.unpack import unpack

Member = tuple[tarfile.TarInfo, bytes]


def member(name: str, kind: bytes = tarfile.REGTYPE, *, link: str = "", data: bytes = b"", mode: int = 0o644) -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size, info.mode = kind, link, len(data), mode
    return info, data


def archive(path: Path, *members: Member, mode: str = "w") -> Path:
    with tarfile.open(path, mode, format=tarfile.PAX_FORMAT) as writer:  # type: ignore[call-overload]
        for info, data in members:
            writer.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A directory beside the root, with a file, that no archive may change."""
    path = tmp_path / "outside"
    path.mkdir()
    (path / "file").write_text("untouched")
    yield path
    assert [entry.name for entry in path.iterdir()] == ["file"]
    assert (path / "file").read_text() == "untouched"
    assert (path / "file").stat().st_nlink == 1


def unpacked(tmp_path: Path, source: Path) -> Path:
    with Root(tmp_path / "root") as root:
        unpack(source, root)
    return tmp_path / "root"


SYM, HARD, DIRECTORY, CHR, BLK = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE
HOSTILE: dict[str, Callable[[Path], list[Member]]] = {
    "dot-dot": lambda _: [member("../outside/new", data=b"x")],
    "dot-dot in the middle": lambda _: [member("a/../../outside/new", data=b"x")],
    "dot-dot directory": lambda _: [member("../outside/new", DIRECTORY)],
    "absolute": lambda out: [member(f"{out}/new", data=b"x")],
    "absolute directory": lambda out: [member(f"{out}/new", DIRECTORY)],
    "absolute symlink name": lambda out: [member(f"{out}/new", SYM, link="x")],
    "through a symlink": lambda out: [member("in", SYM, link=str(out)), member("in/new", data=b"x")],
    "through a relative symlink": lambda _: [member("in", SYM, link="../outside"), member("in/file", data=b"x")],
    "directory through a symlink": lambda out: [member("in", SYM, link=str(out)), member("in/new", DIRECTORY)],
    "directory over a symlink": lambda out: [member("in", SYM, link=str(out)), member("in", DIRECTORY, mode=0)],
    "two symlinks": lambda out: [
        member("a", SYM, link="."),
        member("a/b", SYM, link=str(out)),
        member("a/b/new", data=b"x"),
    ],
    "symlink through a symlink": lambda out: [member("in", SYM, link=str(out)), member("in/new", SYM, link="x")],
    "hard link to a host file": lambda out: [member("h", HARD, link=f"{out}/file"), member("h", data=b"x")],
    "hard link by dot-dot": lambda _: [member("h", HARD, link="../outside/file")],
    "hard link through a symlink": lambda out: [
        member("in", SYM, link=str(out)),
        member("h", HARD, link="in/file"),
    ],
    "hard link to a symlink": lambda out: [
        member("s", SYM, link=f"{out}/file"),
        member("h", HARD, link="s"),
    ],
    "hard link to nothing": lambda _: [member("h", HARD, link="nothing")],
    "hard link to a directory": lambda _: [member("d", DIRECTORY), member("h", HARD, link="d")],
    "character device": lambda _: [member("null", CHR)],
    "block device": lambda _: [member("etc/disk", BLK)],
    "device in a false dev": lambda _: [member("a/dev/disk", BLK)],
    "unknown kind": lambda _: [member("odd", b"Z")],
    "file over a directory": lambda _: [member("d/x", data=b""), member("d", data=b"")],
    "the root as a file": lambda _: [member(".", data=b"")],
    "NUL in a name": lambda _: [(nul_name(), b"")],
}


def nul_name() -> tarfile.TarInfo:
    info = tarfile.TarInfo("x")
    info.pax_headers = {"path": "a\0b"}
    return info


@pytest.mark.parametrize("trick", HOSTILE)
def test_a_hostile_archive_is_refused(tmp_path: Path, outside: Path, trick: str) -> None:
    source = archive(tmp_path / "evil.tar", *HOSTILE[trick](outside))
    with pytest.raises(RefusedError):
        unpacked(tmp_path, source)
    for here, directories, files in os.walk(tmp_path / "root"):
        for name in directories + files:
            assert not stat.S_ISBLK(os.lstat(f"{here}/{name}").st_mode)
            assert not stat.S_ISCHR(os.lstat(f"{here}/{name}").st_mode)


def test_a_file_replaces_a_symlink_and_does_not_follow_it(tmp_path: Path, outside: Path) -> None:
    source = archive(tmp_path / "a.tar", member("f", SYM, link=f"{outside}/file"), member("f", data=b"mine"))
    root = unpacked(tmp_path, source)
    assert (root / "f").read_bytes() == b"mine" and not (root / "f").is_symlink()


def test_a_file_replaces_one_name_of_a_hard_link(tmp_path: Path) -> None:
    members = [member("a", data=b"one"), member("b", HARD, link="./a"), member("a", data=b"two")]
    root = unpacked(tmp_path, archive(tmp_path / "a.tar", *members))
    assert ((root / "a").read_bytes(), (root / "b").read_bytes()) == (b"two", b"one")


def test_devices_beneath_dev_are_left_out(tmp_path: Path) -> None:
    source = archive(tmp_path / "a.tar", member("./dev", DIRECTORY), member("./dev/null", CHR), member("dev/sda", BLK))
    assert list((unpacked(tmp_path, source) / "dev").iterdir()) == []


def test_set_user_id_is_dropped_and_sticky_kept(tmp_path: Path) -> None:
    members = [member("su", data=b"x", mode=0o6755), member("tmp", DIRECTORY, mode=0o3777)]
    root = unpacked(tmp_path, archive(tmp_path / "a.tar", *members))
    assert stat.S_IMODE((root / "su").stat().st_mode) == 0o755
    assert stat.S_IMODE((root / "tmp").stat().st_mode) == 0o1777


def test_a_directory_without_permissions_can_be_filled(tmp_path: Path) -> None:
    members = [member("shut", DIRECTORY, mode=0), member("shut/in/file", data=b"x")]
    root = unpacked(tmp_path, archive(tmp_path / "a.tar", *members))
    assert stat.S_IMODE((root / "shut").stat().st_mode) == 0
    (root / "shut").chmod(0o700)
    assert (root / "shut/in/file").read_bytes() == b"x"


def test_too_many_bytes_are_refused(tmp_path: Path) -> None:
    source = archive(tmp_path / "a.tar.gz", member("zeros", data=bytes(1 << 20)), mode="w:gz")
    with Root(tmp_path / "root", max_bytes=(1 << 20) - 1) as root, pytest.raises(RefusedError):
        unpack(source, root)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_header_that_wants_all_memory_is_refused(tmp_path: Path, kind: bytes) -> None:
    info, _ = member("x", kind)
    info.size = 1 << 40
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20))
    with pytest.raises(RefusedError, match="an entry with a header of"):
        unpacked(tmp_path, tmp_path / "a.tar.gz")


@pytest.mark.parametrize("name", ["proc", "dev", "sys"])
def test_a_mount_point_that_leads_away_is_refused(tmp_path: Path, outside: Path, name: str) -> None:
    source = archive(tmp_path / "a.tar", member(name, SYM, link=str(outside)))
    with pytest.raises(RefusedError, match=rf"'{name}': not a directory"):
        build(catalogue()["alpine"], Request(tmp_path / "b", rootfs=source))
    assert not (tmp_path / "b").exists()


def test_directories_that_are_there_stay_as_they_are(tmp_path: Path) -> None:
    source = archive(tmp_path / "a.tar", member("proc", DIRECTORY, mode=0o555), member("dev/x", data=b"x"))
    build(catalogue()["alpine"], Request(tmp_path / "b", rootfs=source))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "b/rootfs").iterdir()}
    assert modes == {"proc": 0o555, "dev": 0o755, "sys": 0o755}


def test_too_many_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roots, "MAX_ENTRIES", 3)
    source = archive(tmp_path / "a.tar", *[member(f"f{number}") for number in range(4)])
    with Root(tmp_path / "root") as root, pytest.raises(RefusedError):
        unpack(source, root)


def test_owners_are_kept_by_number_or_given_to_one(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    info, data = member("f", data=b"x")
    info.uid, info.gid, info.uname = 12, 34, "root"
    link, _ = member("l", SYM, link="f")
    link.uid = link.gid = 56
    source = archive(tmp_path / "a.tar", (info, data), (link, b""), member("d/e", DIRECTORY))
    root = unpacked(tmp_path, source)
    assert [(root / name).lstat().st_uid for name in "fl"] == [12, 56]
    assert (root / "f").stat().st_gid == 34
    with Root(tmp_path / "other", owner=(77, 78)) as other:
        unpack(source, other)
    everything = [other.path, *other.path.rglob("*")]
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in everything} == {(77, 78)}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_compressions(tmp_path: Path, mode: str) -> None:
    source = archive(tmp_path / "archive", member("a/b/c", data=b"deep"), mode=mode)
    assert (unpacked(tmp_path, source) / "a/b/c").read_bytes() == b"deep"


def test_a_directory_comes_out_as_it_is(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "bin").mkdir(parents=True)
    (source / "bin/tool").write_bytes(b"\x7fELF")
    (source / "bin/tool").chmod(0o755)
    (source / "sbin").symlink_to("bin")
    (source / "away").symlink_to("/etc")
    os.mkfifo(source / "pipe", 0o640)
    with Root(tmp_path / "root") as root:
        unpack(source, root)
    copy = tmp_path / "root"
    assert os.readlink(copy / "away") == "/etc" and os.readlink(copy / "sbin") == "bin"
    assert stat.S_IMODE((copy / "bin/tool").stat().st_mode) == 0o755
    assert stat.S_IMODE((copy / "pipe").stat().st_mode) == 0o640
    assert {str(path.relative_to(copy)) for path in copy.rglob("*")} == {"bin", "bin/tool", "sbin", "away", "pipe"}


@pytest.mark.parametrize("seed", range(40))
def test_random_archives_never_leave_the_root(tmp_path: Path, outside: Path, seed: int) -> None:
    """Names, links and kinds thrown together; `outside` checks itself afterwards."""
    dice = random.Random(seed)
    # Mostly names that are fine, so that links are made before something is refused.
    weights = {"a": 9, "b": 9, "file": 9, "outside": 3, ".": 1, "": 1, "..": 1, str(outside): 1}

    def name() -> str:
        return "/".join(dice.choices(list(weights), list(weights.values()), k=dice.randint(1, 3))) or "a"

    def target() -> str:
        return dice.choice([name(), "..", "../..", str(outside), f"{outside}/file", "../outside"])

    for number in range(30):
        kinds = [tarfile.REGTYPE, SYM, HARD, DIRECTORY, tarfile.FIFOTYPE]
        members = [member(name(), dice.choice(kinds), link=target()) for _ in range(12)]
        source = archive(tmp_path / "archive.tar", *members)
        with Root(tmp_path / f"root{number}") as root:
            try:
                unpack(source, root)
            except BundleError:
                continue


@pytest.mark.parametrize("content", [b"", b"not an archive" * 100, b"\x1f\x8b\x08broken"])
def test_what_is_no_archive_is_an_error_of_one_line(tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "file"
    source.write_bytes(content)
    with pytest.raises(BundleError, match=r"^\S+/file: not a whole tar archive, [^\n]+$"):
        unpacked(tmp_path, source)


def test_a_cut_archive_is_an_error(tmp_path: Path) -> None:
    whole = archive(tmp_path / "a.tar.gz", member("f", data=random.Random(1).randbytes(5000)), mode="w:gz").read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BundleError):
        unpacked(tmp_path, tmp_path / "cut")


def test_reachable_names_the_directory_that_is_shut(tmp_path: Path) -> None:
    (tmp_path / "shut/in").mkdir(parents=True)
    (tmp_path / "shut").chmod(0o700)
    with pytest.raises(BundleError, match=r"shut: uid 12345, the container's root user, may not search"):
        reachable(tmp_path / "shut/in", 12345)
