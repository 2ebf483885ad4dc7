"""What the tables of the kernel say about the host's cgroups."""

from __future__ import annotations

from ociruntime.core.cgroup.host import from_tables, own_paths

HYBRID = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
HYBRID_OWN = "9:name=systemd:/user.slice\n1:cpu,cpuacct:/a\n0::/user.slice\n"


def test_hybrid_is_v1_with_the_unified_hierarchy_beside_it() -> None:
    version, mounts, selves = from_tables(HYBRID, own_paths(HYBRID_OWN))
    assert version == "v1"
    assert mounts == {
        "cpu": "/sys/fs/cgroup/cpu,cpuacct",
        "cpuacct": "/sys/fs/cgroup/cpu,cpuacct",
        "name=systemd": "/sys/fs/cgroup/systemd",
        "": "/sys/fs/cgroup/unified",
    }
    assert selves == {"cpu": "/a", "cpuacct": "/a", "name=systemd": "/user.slice", "": "/user.slice"}


def test_unified_at_another_place() -> None:
    text = "41 31 0:38 / /cg\\040two rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n"
    assert from_tables(text, own_paths("0::/x\n")) == ("v2", {"": "/cg two"}, {"": "/x"})


def test_a_mount_that_shows_a_corner_of_the_hierarchy() -> None:
    """In a container without a cgroup namespace the mount's root and the own path have the host's prefix."""
    text = "32 31 0:29 /docker/abc /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n"
    assert from_tables(text, own_paths("1:pids:/docker/abc/x\n")) == (
        "v1",
        {"pids": "/sys/fs/cgroup/pids"},
        {"pids": "/x"},
    )
    assert from_tables(text, own_paths("1:pids:/docker/abc\n"))[2] == {"pids": "/"}


def test_the_first_mount_of_a_hierarchy_counts() -> None:
    text = (
        "32 31 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
        "99 31 0:29 /x /var/lib/c/rootfs/sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
    )
    assert from_tables(text, own_paths("1:pids:/\n"))[1] == {"pids": "/sys/fs/cgroup/pids"}


def test_no_cgroups() -> None:
    assert from_tables("22 1 0:20 / /proc rw - proc proc rw\n", own_paths("0::/\n")) == ("none", {}, {})


def test_a_path_outside_of_the_namespace_is_the_root() -> None:
    assert own_paths("0::/../other\n1:cpu,cpuacct:/a (deleted)\n") == {"": "/", "cpu": "/a", "cpuacct": "/a"}
