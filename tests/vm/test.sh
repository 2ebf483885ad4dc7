#!/bin/sh
# The end-to-end tests in the guest: as root under systemd and pure cgroup v2, then as an
# ordinary user in a systemd user session.
#
#   tests/vm/test.sh [PYTEST OPTION]…       default: tests/e2e tests/clients
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

[ -x .venv/bin/ociruntime ] || { echo "test-vm: no .venv/bin/ociruntime: run 'make dev' first" >&2; exit 1; }
case $(readlink -f "$python") in
    /usr/bin/python3.11) ;;
    *) skip ".venv runs $(readlink -f "$python"), the guest has Debian's /usr/bin/python3.11" ;;
esac

status=0
"$python" -m tests.vm build ${CI:+--lean} || status=$?
[ $status -ne 77 ] || skip "see above"
[ $status -eq 0 ] || exit $status

[ $# -gt 0 ] || set -- tests/e2e tests/clients
for user in root tester; do
    echo "== in the guest, as $user: pytest $*"
    "$python" -m tests.vm run --user $user --share "$here:$here:cow" --cwd "$here" --timeout 3600 \
        --env PYTHONDONTWRITEBYTECODE=1 --env OCIRUNTIME="$here/.venv/bin/ociruntime" --env IN_GUEST=1 \
        -- "$python" -m pytest -p no:cacheprovider -q -ra "$@" || status=$?
done
exit $status
