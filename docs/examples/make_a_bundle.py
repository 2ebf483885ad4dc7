"""Make a bundle of one static program, look for problems, and run it.

python docs/examples/make_a_bundle.py DIRECTORY /bin/busybox uname -s
"""

import shutil
import sys
from pathlib import Path

from ociruntime import Bundle, Failure, Memory, Mount, Resources, Runtime, default_spec


def main(place: str, program: str, *words: str) -> int:
    rootfs = Path(place) / "rootfs"
    rootfs.mkdir(parents=True)
    shutil.copy(program, rootfs)
    spec = default_spec(f"/{Path(program).name}", *words)
    spec.hostname = "example"
    if spec.mounts is not None and spec.linux is not None:
        spec.mounts.append(Mount(destination="/tmp", type="tmpfs", source="tmpfs", options=["size=1m"]))
        spec.linux.resources = Resources(memory=Memory(limit=64 << 20))
    bundle = Bundle.new(place, spec)
    for problem in bundle.problems():
        print(f"{problem.severity}, line {problem.line}: {problem.what}", file=sys.stderr)
    try:
        done = Runtime().run(f"example-{bundle.path.name}", bundle, capture=True)
    except Failure as failure:
        print(f"{failure.what} ({failure.code}); {failure.hint}", file=sys.stderr)
        return 1
    print(done.stdout.decode(), end="")
    return done.status


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
