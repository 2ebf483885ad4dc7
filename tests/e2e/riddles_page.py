"""docs/riddles.md: what runc, crun and this runtime say to the same riddle, collected by running them.

As root, from the checkout: python -m tests.e2e.riddles_page. A runtime that is not installed is left out.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.e2e.box import OCIRUNTIME, Box, Outcome
from tests.e2e.riddles import RIDDLES, Riddle

CHECKOUT = Path(__file__).resolve().parents[2]
PATIENCE = 20.0

HEAD = """\
# Riddles

The kernel has some 130 error numbers for everything that can go wrong, and a container goes wrong in many more ways.
This page provokes {count} of them, and shows what runtimes say. `tests/e2e/test_riddles.py` holds us to our answers;
what a message means at length is in [Errors](errors.md), or `ociruntime explain CODE`.

Collected on one machine by `python -m tests.e2e.riddles_page`, with {versions}. Names of temporary files are
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
    words = re.sub(r'^time="[^"]*" level=\w+ msg="(.*)"$', r"\1", words).replace("|", "\\|").replace("`", "'")
    return f"`{' '.join(words.split())}`" if words else f"*nothing, and ends with status {outcome.status}*"


def version(runtime: str) -> str:
    lines = subprocess.run([runtime, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()
    return " ".join(lines[0].replace("version ", "").split()[:2])


def page() -> str:
    """The whole page."""
    runtimes = {name: path for name in ("runc", "crun") if (path := shutil.which(name))}
    versions = " and ".join(version(path) for path in runtimes.values())
    text = [HEAD.format(count=len(RIDDLES), versions=versions or "this runtime alone")]
    for name, riddle in RIDDLES.items():
        text.append(f"## {riddle.title}\n\n| runtime | message |\n|---|---|")
        for shown, runtime in {**runtimes, "ociruntime": OCIRUNTIME}.items():
            text.append(f"| {shown} | {answer(riddle, runtime, f'riddle-{os.getpid()}-{name}')} |")
        text.append("")
    return "\n".join(text)


if __name__ == "__main__":
    (CHECKOUT / "docs/riddles.md").write_text(page(), encoding="utf-8")
