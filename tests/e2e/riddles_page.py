"""docs/riddles.md: what runc, crun and this runtime say to the same riddle, collected by running them.

As root, from the checkout: python -m tests.e2e.riddles_page. A runtime that is not installed is left out. Given names
of riddles, it prints their sections alone: so those of the guest are made, which the page keeps.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.e2e.box import OCIRUNTIME, Box, Outcome
from tests.e2e.riddles import RIDDLES, Riddle

CHECKOUT = Path(__file__).resolve().parents[2]
PATIENCE = 90.0 if os.environ.get("IN_GUEST") else 20.0  # it may have to emulate its processor
TITLE = "## "
# Riddles of a host with AppArmor and pure cgroup v2, as in tests/vm
IN_THE_GUEST = (
    "An AppArmor profile that is not loaded",
    "A controller that is not delegated",
    "A cgroup that is not delegated",
)

HEAD = """\
# Riddles

The kernel has some 130 error numbers for everything that can go wrong, and a container goes wrong in many more ways.
This page provokes {count} of them, and shows what runtimes say. `tests/e2e/test_riddles.py` holds us to our answers;
what a message means at length is in [Errors](errors.md), or `ociruntime explain CODE`.

Collected by `python -m tests.e2e.riddles_page`, with {versions}, the last three in
the guest of `tests/vm`. Names of temporary files are
shortened to `…`.
"""


class Patient(Box):
    """A box that gives up on a runtime that hangs."""

    def call(self, *words: str, timeout: float = PATIENCE, **options: object) -> Outcome:
        return super().call(*words, timeout=min(timeout, PATIENCE), **options)


def answer(riddle: Riddle, runtime: str, name: str) -> str:
    """What a runtime says, in one line."""
    place = Path(tempfile.mkdtemp(prefix="riddle-"))
    box = Patient(place, name, runtime)
    box.spec["ociVersion"] = "1.0.2"  # crun 1.8 knows nothing newer
    box.root.mkdir()
    try:
        said = _said(box, riddle.provoke(box))
    except subprocess.TimeoutExpired:
        said = "*hangs*"
    finally:
        box.before = []
        box.call("delete", "--force", name)
        shutil.rmtree(place)
    return said.replace(str(place), "…").replace(name, "box")


def _said(box: Box, outcome: Outcome) -> str:
    if outcome.status == 0:
        return "*runs*"
    if outcome.status == 124:
        return "*hangs*"
    errors = [record["msg"] for record in box.records() if record["level"] == "error"]
    lines = [line for line in outcome.err.splitlines() if line and not line.startswith("warning:")]
    words = errors[-1] if errors else lines[-1] if lines else ""
    words = next((line for line in lines if line.startswith("runtime: ")), words)  # a crash of Go ends in registers
    words = re.sub(r'^time="[^"]*" level=\w+ msg="(.*)"$', r"\1", words).replace("|", "\\|").replace("`", "'")
    return f"`{' '.join(words.split())}`" if words else f"*nothing, and ends with status {outcome.status}*"


def version(runtime: str) -> str:
    lines = subprocess.run([runtime, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()
    return " ".join(lines[0].replace("version ", "").split()[:2])


def section(name: str) -> str:
    """One riddle, and what each runtime says."""
    riddle = RIDDLES[name]
    lines = [f"{TITLE}{riddle.title}\n\n| runtime | message |\n|---|---|"]
    for shown, runtime in {**runtimes(), "ociruntime": OCIRUNTIME}.items():
        lines.append(f"| {shown} | {answer(riddle, runtime, f'riddle-{os.getpid()}-{name}')} |")
    return "\n".join(lines) + "\n"


def runtimes() -> dict[str, str]:
    return {name: path for name in ("runc", "crun") if (path := shutil.which(name))}


def of_the_guest(page: str) -> list[str]:
    """The sections of a page that only the guest can make: they stay as they are."""
    sections = [TITLE + part for part in page.split(TITLE)[1:]]
    return [part for part in sections if part.partition("\n")[0].removeprefix(TITLE) in IN_THE_GUEST]


def page(old: str) -> str:
    """The whole page."""
    versions = " and ".join(version(path) for path in runtimes().values())
    sections = [*(section(name) for name in RIDDLES), *of_the_guest(old)]
    head = HEAD.format(count=len(sections), versions=versions or "this runtime alone")
    return head + "\n" + "\n".join(part.rstrip("\n") + "\n" for part in sections)


def main(names: list[str]) -> None:
    """Write the page; with names, print these sections only."""
    if names:
        print(*(section(name) for name in names), sep="\n", end="")
        return
    path = CHECKOUT / "docs/riddles.md"
    path.write_text(page(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
