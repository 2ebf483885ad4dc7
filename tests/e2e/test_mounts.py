"""/mounts, /root, masked and read-only paths, propagation: seen from inside (config.md, config-linux.md)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.box import Box


def mounted(box: Box, place: str) -> tuple[set[str], str, str, set[str]]:
    """The last mount on `place`: mount options, propagation fields, file system type, superblock options."""
    outcome = box.run("cat", "/proc/self/mountinfo")
    assert outcome.status == 0, outcome
    lines = [line.split() for line in outcome.lines]
    fields = [line for line in lines if line[4] == place][-1]
    dash = fields.index("-")
    return set(fields[5].split(",")), " ".join(fields[6:dash]), fields[dash + 1], set(fields[dash + 3].split(","))


ATTRIBUTES = ["ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime", "nosymfollow"]


@pytest.mark.parametrize("option", ATTRIBUTES)
def test_attribute_of_a_tmpfs(box: Box, option: str) -> None:
    box.mount("/mnt", "tmpfs", "tmpfs", option, "size=64k")
    options, _, fstype, sb = mounted(box, "/mnt")
    assert fstype == "tmpfs" and "size=64k" in sb
    assert option in options


@pytest.mark.parametrize("option", ATTRIBUTES)
def test_attribute_of_a_bind(box: Box, option: str) -> None:
    (box.place / "volume").mkdir()
    box.mount("/mnt", box.place / "volume", "bind", "bind", option)
    assert option in mounted(box, "/mnt")[0]


@pytest.mark.parametrize("option", ["rro", "rnosuid", "rnodev", "rnoexec", "rnoatime", "rnosymfollow"])
def test_recursive_attribute_reaches_what_is_mounted_below(box: Box, option: str) -> None:
    volume = box.place / "volume"
    (volume / "below").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", volume / "below"], check=True)
    try:
        box.mount("/mnt", volume, "bind", "rbind", option)
        assert option[1:] in mounted(box, "/mnt/below")[0]
        assert option[1:] in mounted(box, "/mnt")[0]
    finally:
        subprocess.run(["umount", volume / "below"], check=True)


def test_bind_alone_leaves_out_what_is_mounted_below(box: Box) -> None:
    volume = box.place / "volume"
    (volume / "below").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", volume / "below"], check=True)
    try:
        (volume / "below/seen").touch()
        box.mount("/one", volume, "bind", "bind")
        box.mount("/all", volume, "bind", "rbind")
        assert box.run("ls /one/below; ls /all/below").out == "seen\n"
    finally:
        subprocess.run(["umount", volume / "below"], check=True)


@pytest.mark.parametrize(
    ("option", "field"), [("private", ""), ("shared", "shared:"), ("slave", "master:"), ("unbindable", "unbindable")]
)
def test_propagation_of_a_bind(box: Box, option: str, field: str) -> None:
    volume = box.place / "volume"
    volume.mkdir()
    subprocess.run(["mount", "--bind", volume, volume], check=True)
    try:
        subprocess.run(["mount", "--make-shared", volume], check=True)
        box.mount("/mnt", volume, "bind", "rbind", f"r{option}")
        shown = mounted(box, "/mnt")[1]
        assert field in shown if field else shown == ""
    finally:
        subprocess.run(["umount", volume], check=True)


def test_default_file_systems_of_the_example(box: Box) -> None:
    """What config-linux.md wants available is in the config.json that `spec` writes, and works."""
    example = box.place / "example"
    example.mkdir()
    assert box.call("spec", "--bundle", str(example)).status == 0
    box.spec["mounts"] = json.loads((example / "config.json").read_text())["mounts"]
    (box.rootfs / "dev/shm").mkdir()
    outcome = box.run("awk '{print $2, $3}' /proc/mounts; touch /dev/shm/file && ls /dev/pts/ptmx /sys/kernel")
    assert outcome.status == 0, outcome
    assert {"/proc proc", "/sys sysfs", "/dev/pts devpts", "/dev/shm tmpfs"} <= set(outcome.lines)


@pytest.mark.parametrize("option", ["rro", "rnosuid", "rnodev", "rnoexec", "rnoatime", "rnosymfollow"])
@pytest.mark.parametrize("fstype", ["tmpfs", "mqueue", "proc"])
def test_recursive_attribute_of_a_new_file_system(box: Box, fstype: str, option: str) -> None:
    """It is the first of its tree; runc forgets it there."""
    box.mount("/mnt", fstype, fstype, option)
    assert option[1:] in mounted(box, "/mnt")[0]


@pytest.fixture(params=["--read-only", ""])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A block device with a file system on it."""
    image = tmp_path / "image"
    image.write_bytes(b"")
    os.truncate(image, 8 << 20)
    for tool in ("mkfs.ext4", "losetup"):
        if not shutil.which(tool):
            pytest.skip(f"this machine has no {tool}")
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    command = ["losetup", "--find", "--show", *request.param.split(), str(image)]
    attached = subprocess.run(command, capture_output=True, text=True, check=False)
    if attached.returncode:
        pytest.skip(f"this machine has no loop device: {attached.stderr}")
    yield attached.stdout.strip()
    subprocess.run(["losetup", "--detach", attached.stdout.strip()], check=True)


@pytest.mark.parametrize("option", ["ro", "rro"])
def test_a_read_only_disk(box: Box, disk: str, option: str) -> None:
    """Device rules are for the program; the runtime mounts a disk that they do not allow, read-only for good."""
    box.mount("/mnt", disk, "ext4", option)
    options, _, fstype, sb = mounted(box, "/mnt")
    assert fstype == "ext4" and "ro" in options and "ro" in sb


def test_locked_flags_stay_and_stop_nobody(box: Box) -> None:
    """What another user namespace mounted may be tightened and not loosened (mount_namespaces(7))."""
    box.linux.pop("resources")
    source = box.place / "locked"
    source.mkdir()
    box.mount("/mnt", source, "bind", "bind", "rw", "suid", "dev", "exec", "nosymfollow")
    box.spec["mounts"][2]["options"].remove("gid=5")
    inner = "unshare --user --map-root-user --mount"
    script = f'mount -t tmpfs -o ro,nosuid,nodev,noexec none {source} && exec {inner} "$@"'
    box.before = ["unshare", "--mount", "sh", "-c", script, "sh"]
    assert set(mounted(box, "/mnt")[0]) >= {"ro", "nosuid", "nodev", "noexec", "nosymfollow"}


LINKS = {
    "../srv/zone/Paris": "/srv/zone/Paris",
    "/srv/zone": "/srv/zone",
    "/srv/gone/../zone": "/srv/zone",
    "../../../../srv/zone": "/srv/zone",  # there is nothing above the root
    "second": "/srv/zone",
}


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("kind", ["file", "directory", "tmpfs", "below"])
def test_a_destination_that_is_a_link_to_nothing(box: Box, kind: str, link: str) -> None:
    """Such as /etc/localtime of an image without time zones: the place that it names is made, as with runc."""
    (box.rootfs / "etc/first").symlink_to(link)
    (box.rootfs / "etc/second").symlink_to("/srv/zone")
    source = box.place / "source"
    source.mkdir() if kind == "directory" else source.touch()
    destination = "/etc/first/deep/file" if kind == "below" else "/etc/first"
    if kind == "tmpfs":
        box.mount(destination, "tmpfs", "tmpfs")
    else:
        box.mount(destination, source, "bind", "bind")
    place = LINKS[link] + "/deep/file" * (kind == "below")
    assert box.run("cut -d' ' -f5 /proc/self/mountinfo").lines[-1] == place
    assert (box.rootfs / place.lstrip("/")).is_dir() == (kind in ("directory", "tmpfs"))
    assert (box.rootfs / "etc/first").is_symlink()


@pytest.mark.parametrize("user", [False, True])
@pytest.mark.parametrize("content", ["../nowhere", "/bin/busybox"])
def test_a_link_is_copied(box: Box, content: str, user: bool) -> None:
    """copy-symlink is crun's, and what podman makes of --mount type=bind,no-dereference."""
    if user:
        box.namespaces("pid", "mount", "uts", "ipc", "network", "user")
        for kind in ("uid", "gid"):
            box.linux[f"{kind}Mappings"] = [{"containerID": 0, "hostID": 0, "size": 65536}]
    link = box.place / "link"
    link.symlink_to(content)
    box.mount("/deep/link", link, "bind", "bind", "copy-symlink")
    for _ in range(2):  # it is in the image then
        assert box.run("readlink /deep/link").out == content + "\n"
    (box.rootfs / "deep/link").unlink()
    (box.rootfs / "deep/link").touch()
    outcome = box.run("true")
    assert outcome.status == 1 and "EEXIST" in outcome.err and "/mounts/4" in outcome.err


def test_what_is_no_link_is_mounted(box: Box) -> None:
    (box.place / "file").write_text("content")
    box.mount("/file", box.place / "file", "bind", "bind", "copy-symlink")
    assert box.run("cat /file; grep -c ' /file ' /proc/mounts").out == "content1\n"


@pytest.mark.parametrize("over", [False, True])
@pytest.mark.parametrize("itself", [False, True])
def test_links_are_mounted_and_mounted_on(box: Box, itself: bool, over: bool) -> None:
    """src-nofollow and dest-nofollow of crun."""
    (box.place / "file").write_text("content")
    (box.place / "link").symlink_to(box.place / "file")
    (box.rootfs / "etc/there").symlink_to("led-to")
    options = ["src-nofollow"] * itself + ["dest-nofollow"] * over
    box.mount("/etc/there", box.place / "link", "bind", "bind", *options)
    place = "/etc/there" if over else "/etc/led-to"
    seen = box.run(f"cut -d' ' -f5 /proc/self/mountinfo | tail -n 1; readlink {place} || cat {place}").lines
    assert seen == [place, str(box.place / "file") if itself else "content"]
    assert (box.rootfs / "etc/led-to").exists() != over


def test_a_link_of_procfs_is_not_mounted_on(box: Box) -> None:
    (box.place / "link").symlink_to("elsewhere")
    box.mount("/proc/self", box.place / "link", "bind", "bind", "src-nofollow", "dest-nofollow")
    assert "inside /proc" in box.run("true").err
    box.spec["mounts"][-1]["destination"] = "/led/self"
    (box.rootfs / "led").symlink_to("/proc")
    assert "inside /proc" in box.run("true").err


def test_mounts_are_made_in_order(box: Box) -> None:
    for name in ("first", "second"):
        (box.place / name).mkdir()
        (box.place / name / name).touch()
        box.mount("/mnt", box.place / name, "bind", "bind")
    assert box.run("ls /mnt").out == "second\n"


def test_a_bind_of_a_file_makes_its_mount_point(box: Box) -> None:
    (box.place / "file").write_text("content")
    box.mount("/new/dir/file", box.place / "file", "bind", "bind", "ro")
    assert box.run("cat /new/dir/file; echo x > /new/dir/file").out == "content"
    assert (box.place / "file").read_text() == "content"


def test_a_relative_source_counts_from_the_bundle(box: Box) -> None:
    (box.bundle / "volume").mkdir()
    (box.bundle / "volume/here").touch()
    box.mount("/mnt", "volume", "bind", "bind")
    assert box.run("ls /mnt").out == "here\n"


def test_tmpcopyup(box: Box) -> None:
    (box.rootfs / "data/sub").mkdir(parents=True)
    (box.rootfs / "data/file").write_text("kept")
    (box.rootfs / "data/link").symlink_to("file")
    box.mount("/data", "tmpfs", "tmpfs", "tmpcopyup")
    assert box.run("cat /data/link; ls /data; touch /data/sub/new").lines == ["keptfile", "link", "sub"]
    assert not (box.rootfs / "data/sub/new").exists()


@pytest.mark.parametrize("options", [[], ["tmpcopyup"], ["mode=711"], ["mode=711", "tmpcopyup"]], ids=" ".join)
def test_a_tmpfs_has_the_mode_of_what_it_covers_unless_told(box: Box, options: list[str]) -> None:
    (box.rootfs / "data").mkdir(mode=0o750)
    box.mount("/data", "tmpfs", "tmpfs", *options)
    assert box.run("stat -c %a /data").out == ("711\n" if "mode=711" in options else "750\n")


@pytest.mark.parametrize("options", [[], ["tmpcopyup"]], ids=" ".join)
def test_a_tmpfs_on_nothing_is_for_everybody(box: Box, options: list[str]) -> None:
    box.mount("/new", "tmpfs", "tmpfs", *options)
    assert box.run("stat -c %a /new").out == "1777\n"


def test_remount_changes_what_is_there(box: Box) -> None:
    (box.place / "volume").mkdir()
    box.mount("/mnt", box.place / "volume", "bind", "bind")
    box.mount("/mnt", "none", "none", "bind", "remount", "ro", "nosuid")
    assert {"ro", "nosuid"} <= mounted(box, "/mnt")[0]


def test_readonly_root(box: Box) -> None:
    box.spec["root"]["readonly"] = True
    outcome = box.run("touch /here; touch /dev/shm-not; touch /tmp/x; echo still writable > /dev/x && cat /dev/x")
    assert "Read-only file system" in outcome.err and outcome.out == "still writable\n"


def test_a_read_only_dev_holds_its_devices(box: Box) -> None:
    box.spec["mounts"][1]["options"].append("ro")
    outcome = box.run("echo ok > /dev/null && ls /dev/pts/ptmx; touch /dev/x")
    assert outcome.out == "/dev/pts/ptmx\n" and "Read-only" in outcome.err


def test_masked_paths(box: Box) -> None:
    (box.rootfs / "secret").mkdir()
    (box.rootfs / "secret/file").write_text("x")
    (box.rootfs / "key").write_text("x")
    box.linux["maskedPaths"] = [
        "/secret",
        "/key",
        "/missing",
        "/proc/kcore",
        "/proc/keys",
        "/proc/acpi",
        "/sys/firmware",
    ]
    outcome = box.run("ls /secret /sys/firmware; cat /key; wc -c < /proc/keys; touch /secret/x")
    firmware = ["", "/sys/firmware:"] if os.path.isdir("/sys/firmware") else []
    assert outcome.lines == ["/secret:", *firmware, "0"]
    assert "Read-only" in outcome.err


def test_one_superblock_hides_all_directories(box: Box) -> None:
    """Many containers with a tmpfs per masked directory exhaust the host (runc#5275)."""
    names = [f"/hidden{number}" for number in range(4)]
    for name in names:
        (box.rootfs / name[1:]).mkdir()
    box.linux["maskedPaths"] = names
    lines = [line.split() for line in box.run("cat", "/proc/self/mountinfo").lines]
    assert len({line[2] for line in lines if line[4].startswith("/hidden")}) == 1


def test_readonly_paths(box: Box) -> None:
    (box.rootfs / "conf").mkdir()
    box.linux["readonlyPaths"] = ["/proc/sys", "/conf", "/missing"]
    outcome = box.run("touch /conf/x; echo 1 > /proc/sys/kernel/domainname; ls /missing")
    assert outcome.err.count("Read-only") == 2


@pytest.mark.parametrize(
    ("word", "field"), [("shared", "shared:"), ("slave", ""), ("private", ""), ("unbindable", "unbindable")]
)
def test_rootfs_propagation(box: Box, word: str, field: str) -> None:
    box.linux["rootfsPropagation"] = word
    shown = mounted(box, "/")[1]
    assert (field in shown) if field else "shared" not in shown


def test_mounts_do_not_reach_the_host(box: Box) -> None:
    box.mount("/mnt", "tmpfs", "tmpfs")
    box.up()
    assert str(box.bundle) not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.skipif("overlay" not in Path("/proc/filesystems").read_text(), reason="this kernel has no overlay")
def test_more_layers_than_fsconfig_takes_at_once(box: Box, tmp_path: Path) -> None:
    """Its values have 255 bytes. podman's image volumes are overlays with two layers, and long paths."""
    layers = [tmp_path / f"layer:{number}-{'x' * 120}" for number in range(4)]
    for number, layer in enumerate(layers):
        layer.mkdir()
        (layer / f"file{number}").touch()
    (box.rootfs / "layers").mkdir()
    joined = ":".join(str(layer).replace(":", "\\:") for layer in layers)
    box.mount("/layers", "overlay", "overlay", f"lowerdir={joined}", "private")
    outcome = box.run("ls /layers; ls /proc/self/fd | wc -l")
    assert outcome.lines == ["file0", "file1", "file2", "file3", "4"], outcome


def test_the_host_is_gone_after_the_pivot(box: Box) -> None:
    lines = box.run("cat", "/proc/self/mountinfo").lines
    assert [line.split()[4] for line in lines] == ["/", "/proc", "/dev", "/dev/pts", "/sys"]


def test_no_pivot(box: Box) -> None:
    """The old root cannot be left behind then: it stays below the new one, which chroot makes the root (MS_MOVE)."""
    for options, way in (((), "pivot_root"), (("--no-pivot",), "chroot")):
        box.process["args"] = ["ls", "/bin/busybox"]
        box.write()
        assert box.call("--debug", "run", *options, box.name).out == "/bin/busybox\n"
        said = [record["msg"] for record in box.records()]
        assert [word for word in ("pivot_root", "chroot") if any(word in line for line in said)] == [way]
        box.log.unlink()


def test_default_devices_and_links(box: Box) -> None:
    script = "cd /dev && ls -l null zero full random urandom tty | tr -s ' ' | cut -d' ' -f1,5,6,10"
    script += "; for link in fd stdin stdout stderr ptmx; do readlink $link; done"
    lines = box.run(script).lines
    assert lines[:6] == [
        "crw-rw-rw- 1, 7 full",
        "crw-rw-rw- 1, 3 null",
        "crw-rw-rw- 1, 8 random",
        "crw-rw-rw- 5, 0 tty",
        "crw-rw-rw- 1, 9 urandom",
        "crw-rw-rw- 1, 5 zero",
    ]
    assert lines[6:] == ["/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2", "pts/ptmx"]


def test_a_bound_dev_stays_the_callers(box: Box, tmp_path: Path) -> None:
    """Over the tmpfs that the bundle has there as well: no link of ours may replace the host's ptmx."""
    devices = tmp_path / "devices"
    (devices / "pts").mkdir(parents=True)
    (devices / "ptmx").touch()
    box.mount("/dev", devices, "bind", "rbind")
    assert box.run("ls /dev").lines == ["ptmx", "pts"]
    assert not (devices / "ptmx").is_symlink()


def test_listed_devices(box: Box) -> None:
    box.linux["devices"] = [
        {"path": "/dev/own", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 3, "gid": 4},
        {"path": "/dev/sub/pipe", "type": "p", "fileMode": 0o600},
        {"path": "/dev/disk", "type": "b", "major": 7, "minor": 99},
    ]
    lines = box.run("ls -ln /dev/own /dev/disk /dev/sub/pipe | tr -s ' ' | cut -d' ' -f1,3,4").lines
    assert lines == ["brw-rw-rw- 0 0", "crw-r----- 3 4", "prw------- 0 0"]


def test_a_device_that_is_something_else_is_refused(box: Box) -> None:
    (box.rootfs / "null").write_text("")
    box.linux["devices"] = [{"path": "/null", "type": "c", "major": 1, "minor": 3}]
    outcome = box.run("true")
    assert outcome.status == 1 and "/linux/devices/0" in outcome.err


@pytest.mark.parametrize("namespaces", [("pid", "mount", "uts", "ipc", "network"), ("pid", "mount", "uts", "user")])
def test_a_missing_source_names_the_property(box: Box, namespaces: tuple[str, ...]) -> None:
    box.namespaces(*namespaces)
    if "user" in namespaces:
        for kind in ("uid", "gid"):
            box.linux[f"{kind}Mappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    box.mount("/mnt", "/does/not/exist", "bind", "bind")
    outcome = box.run("true")
    assert outcome.status == 1 and "no such file or directory" in outcome.err
    (record,) = box.records()
    assert record["origin"] == "/mounts/4/source" and record["errno"] == 2


def test_a_directory_over_a_file_says_not_a_directory(box: Box) -> None:
    (box.rootfs / "file").touch()
    (box.place / "dir").mkdir()
    box.mount("/file", box.place / "dir", "bind", "bind")
    outcome = box.run("true")
    assert outcome.status == 1 and "not a directory" in outcome.err.lower() and "/mounts/4" in outcome.err


def test_an_unknown_option_of_a_file_system_is_explained(box: Box) -> None:
    box.mount("/mnt", "tmpfs", "tmpfs", "nonsense=1")
    outcome = box.run("true")
    assert outcome.status == 1 and "nonsense" in outcome.err and "/mounts/4" in outcome.err


@pytest.mark.parametrize("word", ["shared", "slave", "private", "rslave", "rprivate", "unbindable"])
def test_rootfs_propagation_of_a_bundle_on_a_shared_mount(box: Box, word: str) -> None:
    """As on any host with systemd; pivot_root(2) wants a parent that is not shared."""
    subprocess.run(["mount", "--bind", box.bundle, box.bundle], check=True)
    subprocess.run(["mount", "--make-shared", box.bundle], check=True)
    try:
        box.linux["rootfsPropagation"] = word
        assert box.run("echo inside") == (0, "inside\n", "")
    finally:
        subprocess.run(["umount", "-l", box.bundle], check=True)
