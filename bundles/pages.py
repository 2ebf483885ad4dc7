"""Fills the marked place of each page with what `ociruntime explain` prints: `python -m bundles.pages`.

The page of busybox has all of it. The others have the lines that busybox's has not: what the sample is
about. Left out everywhere is what depends on the machine: the paths of cgroups, and the lines that make
and join them without a property of config.json asking for it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from . import config
from .build import Container, Request, Sample, catalogue
from .errors import BundleError
from .running import find_runtime

BASE: Final = "busybox"
OUT: Final = Path("/bundle")  # as the pages call it; nothing is written there
BEGIN: Final = "<!-- explain -->\n"
END: Final = "<!-- end of explain -->\n"


def refreshed(sample: Sample, runtime: str) -> str:
    """The text of a sample's page with its marked place filled anew."""
    page = sample.page.read_text()
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        return page
    base = explanation(catalogue()[BASE], runtime)
    said = explanation(sample, runtime)
    if sample.name != BASE:
        said = _beyond(said, base)
    return f"{before}{begin}\n```text\n{said.strip()}\n```\n\n{end}{after}"


def explanation(sample: Sample, runtime: str) -> str:
    """What the runtime says about all bundles of a sample, without what depends on the machine."""
    with tempfile.TemporaryDirectory() as place:
        request = Request(OUT, rootfs=Path(place))
        return "\n".join(_explained(container, Path(place), runtime) for container in sample.make(request))


def _explained(container: Container, place: Path, runtime: str) -> str:
    (place / "rootfs").mkdir(exist_ok=True)
    document = config.config(container.config)
    document["process"]["args"] = [word if "\n" not in word else "..." for word in document["process"]["args"]]
    (place / "config.json").write_text(json.dumps(document))
    done = subprocess.run([runtime, "explain", str(place)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BundleError(f"{runtime} explain {place}: {done.stderr.strip()}")
    said = done.stdout.replace(str(place), str(OUT / container.name))
    said = re.sub(r"(/sys/fs/cgroup)(/\w+)?/\S*explained\b", r"\1\2/explained", said)
    return "\n".join(_aligned(line) for line in said.splitlines() if not _of_the_machine(line)) + "\n"


def _aligned(line: str) -> str:
    """A step with its command in the same column everywhere: the runtime aligns each output in itself."""
    origin, _, command = line.partition(" ")
    step = line.startswith(("/", " "))
    return f"{origin:29} {command.strip()}".rstrip() if step else line


def _of_the_machine(line: str) -> bool:
    return line.startswith(" ") and "/sys/fs/cgroup/" in line


def _beyond(said: str, base: str) -> str:
    """The lines of `said` that `base` has not, below the headings that they stand under."""
    known = set(base.splitlines())
    kept: list[str] = []
    heading = ""
    for line in said.splitlines():
        if line.startswith("#"):
            heading = line
        elif line.startswith("container ") and line not in known:
            kept += ([""] if kept else []) + [line]
        elif line.strip() and line not in known:
            kept += ([""] if kept else []) + [heading] if heading else []
            kept.append(line)
            heading = ""
    return "\n".join(kept)


def main() -> None:
    """Rewrite the pages; says which changed."""
    runtime = find_runtime(sys.argv[1] if len(sys.argv) > 1 else "ociruntime")
    for sample in catalogue().values():
        page = refreshed(sample, runtime)
        if page != sample.page.read_text():
            sample.page.write_text(page)
            print(sample.page)


if __name__ == "__main__":
    try:
        main()
    except BundleError as error:
        sys.exit(f"bundles: {error}")
