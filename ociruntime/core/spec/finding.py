"""What rules yield, and how a list of them is applied to a part of a document. See rules.py."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Finding = tuple[str, str, str]  # pointer within the part, sentence, hint ("" for none)
    Broken = tuple[str, str, str, str]  # code, pointer within the document, sentence, hint
    Rule = Callable[[Any], Iterator[Finding]]


def apply(rules: tuple[Rule, ...], part: Any, at: str) -> Iterator[Broken]:
    """All that a part of a document, which stands at the pointer `at`, breaks of some rules."""
    for rule in rules:
        for pointer, sentence, hint in rule(part):
            yield "config-rule-" + rule.__name__.replace("_", "-"), at + pointer, sentence, hint
