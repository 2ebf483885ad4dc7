#!/bin/sh
# podman and buildah without root on this machine: pytest as a user who exists in these namespaces only.
#
#   tests/clients/rootless.sh [PYTEST ARGUMENT]…
#
# He has what a login and `adduser` would give him: subordinate ids, a home, XDG_RUNTIME_DIR; and a group besides his own.
# He has no cgroup: limits as an ordinary user are shown in the guest, where systemd delegates one.
set -eu
cd "$(dirname "$0")/../.."
skip() {
    echo "== podman without root: skipped: $*"
    exit 0
}
[ "$(id -u)" -eq 0 ] || skip "only root can become another user; pytest tests/clients is without root already"
for tool in podman buildah newuidmap slirp4netns; do
    command -v $tool >/dev/null || skip "$tool is not installed"
done
set -- tests/clients/test_podman_run.py tests/clients/test_podman_life.py tests/clients/test_buildah.py "$@"

echo "== podman and buildah without root"
# crun refuses a cgroup v1 host where a controller of the kernel is mounted nowhere (see crun_accepts_host in conftest.py).
controller=/sys/fs/cgroup/hugetlb
if grep -qs hugetlb /sys/fs/cgroup/unified/cgroup.controllers && [ ! -e $controller ]; then
    trap 'umount $controller; rmdir $controller' EXIT
    trap 'exit 1' HUP INT TERM
    mkdir $controller
    mount -t cgroup -o hugetlb cgroup $controller
fi
# All of it ends with its first process: mounts, and whatever an engine keeps running.
unshare --mount --pid --fork --kill-child --mount-proc --propagation private sh -eu -c '
here=$PWD home=/srv # which no test mounts anything on

# The way to a checkout may be closed to others: an open one is laid over it.
as_user() { setpriv --reuid 64321 --regid 64321 --clear-groups "$@"; }
mount -t tmpfs -o mode=755 tmpfs $home
top=$here
while ! as_user test -x "$here" && as_user test ! -x "$top"; do shut=$top top=$(dirname "$top"); done
if [ "${shut:-}" ]; then
    mkdir $home/checkout
    mount --bind "$here" $home/checkout
    mount -t tmpfs -o mode=755 tmpfs "$shut"
    mkdir -p "$here"
    mount --move $home/checkout "$here"
    cd "$here"
fi
as_user .venv/bin/python -c "" || { echo "== skipped: the interpreter of .venv is not for others"; exit 0; }

cp /etc/passwd /etc/group $home
echo "clients:x:64321:64321::$home/user:/bin/sh" >>$home/passwd
printf "clients:x:64321:\nhelpers:x:64322:clients\n" >>$home/group
echo clients:6500000:65536 | tee $home/subuid >$home/subgid
for file in passwd group subuid subgid; do mount --bind $home/$file /etc/$file; done
install -d -o clients -g clients -m 700 $home/user $home/user/run $home/user/tmp
mount -t tmpfs -o mode=1777 tmpfs /dev/shm # podman keeps a lock there
if [ -e /dev/net/tun ]; then # for slirp4netns; distributions open it to all
    mknod -m 666 $home/tun c 10 200
    mount --bind $home/tun /dev/net/tun
fi
mount --make-rshared /
exec setpriv --reuid clients --regid clients --init-groups env \
    HOME=$home/user USER=clients XDG_RUNTIME_DIR=$home/user/run TMPDIR=$home/user/tmp \
    PYTHONDONTWRITEBYTECODE=1 HYPOTHESIS_STORAGE_DIRECTORY=$home/user/tmp/hypothesis \
    .venv/bin/python -m pytest -p no:cacheprovider -rs "$@"
' sh "$@"
