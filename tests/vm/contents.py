"""What is in the guest: Debian's packages, and the files that make it a test machine."""

from __future__ import annotations

_PACKAGES = """
    systemd systemd-sysv dbus dbus-user-session libpam-systemd udev kmod apparmor
    runc crun podman buildah containerd docker.io criu conmon catatonit uidmap fuse-overlayfs
    slirp4netns passt netavark aardvark-dns containernetworking-plugins iproute2 iptables nftables
    python3 libcap2 libseccomp2 gcc libc6-dev make busybox-static jq procps psmisc strace
    libcap2-bin attr acl secilc xz-utils ca-certificates
"""
PACKAGES = _PACKAGES.split()

_SUBORDINATE = "tester:100000:65536\ncontainers:1000000:1000000000\n"  # the second is podman's auto

_AGENT_UNIT = """\
[Unit]
Description=test command runner
After=basic.target dbus.service systemd-logind.service

[Service]
Type=exec
WorkingDirectory=/usr/local/lib/guest
ExecStart=/usr/bin/python3 -m tests.vm.agent
StandardOutput=journal+console
Delegate=yes
KillMode=process
OOMPolicy=continue
TasksMax=infinity

[Install]
WantedBy=multi-user.target
"""

FILES = {
    "etc/hostname": "guest\n",
    "etc/hosts": "127.0.0.1 localhost guest\n::1 localhost\n",
    "etc/resolv.conf": "",
    "etc/fstab": "",
    "etc/subuid": _SUBORDINATE,
    "etc/subgid": _SUBORDINATE,
    "var/lib/systemd/linger/tester": "",
    "etc/containers/containers.conf": '[network]\nnetwork_backend = "netavark"\n',
    "etc/containers/storage.conf": (
        '[storage]\ndriver = "overlay"\n'
        'runroot = "/run/containers/storage"\ngraphroot = "/var/lib/containers/storage"\n'
    ),
    "etc/modprobe.d/guest.conf": ("blacklist kvm_amd\nblacklist kvm_intel\nblacklist powernow_k8\nblacklist pcspkr\n"),
    "etc/systemd/system-preset/00-guest.preset": ("enable guest.service\nenable apparmor.service\ndisable *\n"),
    "etc/systemd/user-preset/00-guest.preset": "disable *\n",
    "etc/systemd/journald.conf.d/guest.conf": "[Journal]\nStorage=volatile\n",
    "etc/systemd/system/user@.service.d/delegate.conf": ("[Service]\nDelegate=cpu cpuset io memory pids\n"),
    "etc/systemd/system/guest.service": _AGENT_UNIT,
}
"""Path from the root → text."""

AGENT_FILES = ("__init__.py", "wire.py", "agent.py")
"""The files beside this one that the guest runs, as usr/local/lib/guest/tests/vm/NAME."""

INIT = """\
#!/busybox sh
/busybox mount -t devtmpfs dev /dev
for m in /*.ko; do /busybox insmod $m; done
while [ ! -b /dev/vda ]; do /busybox sleep 0.02; done
/busybox mount -t ext4 -o noatime /dev/vda /root
exec /busybox switch_root /root /sbin/init
"""
"""The init of the initial RAM disk: mounts the root disk and goes there."""

INITRD_MODULES = ("virtio_pci", "virtio_blk", "ext4", "crc32c_generic")
