"""The words that engines match are in the sources as docs/compatibility.md promises them."""

from __future__ import annotations

import os
import re

import pytest

from tests.law.source import CHECKOUT, files

KERNEL = "the kernel's words"


def promised() -> list[tuple[str, str]]:
    """Each sentence of the table "Words that clients match", and when it is said."""
    page = (CHECKOUT / "docs/compatibility.md").read_text(encoding="utf-8")
    section = page.partition("## Words that clients match")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return [(words, row[1] if len(row) > 1 else "") for row in rows for words in re.findall("`([^`]+)`", row[0])]


def test_the_table_is_there() -> None:
    assert len(promised()) > 10


@pytest.mark.parametrize(("words", "when"), promised())
def test_words_that_clients_match(words: str, when: str) -> None:
    if when.startswith(KERNEL):
        reasons = {os.strerror(number).lower() for number in range(1, 134)}
        assert words in reasons
    else:
        source = "".join((CHECKOUT / name).read_text(encoding="utf-8") for name in files("ociruntime"))
        assert words in source
