#!/bin/sh
# Tests in the guest: as root under systemd and pure cgroup v2, then as an ordinary user in a
# systemd user session; and those of SELinux in a guest that is booted with it.
#
#   tests/vm/test.sh [PYTEST ARGUMENT]…     default: tests/e2e, and what of tests/clients is marked for it
#   USERS='root tester selinux'  as whom    CI=1  keep the guest's image only, not what it was made from
#   LIMIT=7200  seconds for each run
#
# The working tree is shared at its own path, so that .venv, made with Debian's Python on the
# host, is valid in the guest; what the tests write there, the host does not see.
# Ends with status 0 and a printed reason where this machine cannot have the guest.
set -eu
cd "$(dirname "$0")/../.."
here=$PWD
python=$here/.venv/bin/python

skip() {
    echo "test-vm: skipped: $*"
    exit 0
}

[ -x .venv/bin/ociruntime ] || { echo "test-vm: no .venv/bin/ociruntime: run make first" >&2; exit 1; }
case $(readlink -f "$python") in
    /usr/bin/python3.11) ;;
    *) skip ".venv runs $(readlink -f "$python"), the guest has Debian's /usr/bin/python3.11" ;;
esac

status=0
"$python" -m tests.vm build ${CI:+--lean} || status=$?
[ $status -ne 77 ] || skip "see above"
[ $status -eq 0 ] || exit $status

guest() { # WHO PYTEST-ARGUMENT…
    who=$1 user=$1 append=
    shift
    if [ "$who" = selinux ]; then
        user=root append='security=selinux enforcing=0'
    fi
    echo "== in the guest, as $who: pytest $*"
    "$python" -m tests.vm run --user "$user" --append "$append" --share "$here:$here:cow" --cwd "$here" \
        --timeout "${LIMIT:-7200}" --env PYTHONDONTWRITEBYTECODE=1 --env HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis \
        --env IN_GUEST=1 --env OCIRUNTIME="$here/.venv/bin/ociruntime" \
        -- "$python" -m pytest -p no:cacheprovider -q -ra "$@" || status=$?
}

everybody='root tester'
[ $# -gt 0 ] || everybody="$everybody selinux"
for who in ${USERS:-$everybody}; do
    if [ $# -gt 0 ]; then
        guest "$who" "$@"
        continue
    fi
    case $who in
        root) guest root tests/e2e && guest root tests/clients -m guest ;;
        tester) guest tester tests/e2e -m unprivileged && guest tester tests/clients -m guest ;;
        selinux) guest selinux tests/e2e/test_selinux.py ;;
    esac
done
exit $status
