#!/bin/sh
# The same bundles under runc, crun and ociruntime in the guest, as a table: tests/vm/peers.sh [BUNDLE]…
set -eu
cd "$(dirname "$0")/../.."
.venv/bin/python -m tests.vm build >/dev/null
exec .venv/bin/python -m tests.vm run --share "$PWD:$PWD:cow" --cwd "$PWD" --env PYTHONDONTWRITEBYTECODE=1 \
    -- "$PWD/.venv/bin/python" -m tests.e2e.peers "$@"
