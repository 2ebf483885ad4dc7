"""The install notes of docs/engines.md: the tests configure each engine with exactly what people paste."""

from __future__ import annotations

import re
from pathlib import Path

from tests.clients import host

PAGE = Path(__file__).parents[2] / "docs/engines.md"
EXAMPLE = "/usr/local/bin/ociruntime"
"""Where the page says that the runtime is."""

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def block(title: str, kind: str) -> str:
    """The first block of this kind in the section of this title, with the path of the binary under test."""
    section = PAGE.read_text().split(f"\n## {title}\n")[1].partition("\n## ")[0]
    found = [text for name, text in _BLOCK.findall(section) if name == kind]
    assert found, f"no {kind} in {title} of {PAGE}"
    text: str = found[0]
    return text.replace(EXAMPLE, str(host.OCIRUNTIME))
