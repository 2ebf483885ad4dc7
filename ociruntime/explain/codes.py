"""A page for every code of a failure: what it means, why it happens, what to do, and how the message looks.

Most are written in pages/*.md, a file per group. Rules, checks of the host, risks and advice are functions, and
what their docstrings say is their page. docs/errors.md is generated from all of them.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import attrs

from ociruntime.core.spec.rules import CONFIG_RULES
from ociruntime.core.spec.rules_namespaces import NAMESPACE_RULES
from ociruntime.core.spec.rules_process import PROCESS_RULES
from ociruntime.core.spec.rules_resources import RESOURCE_RULES
from ociruntime.core.spec.rules_seccomp import SECCOMP_RULES
from ociruntime.explain.advice import ADVICE
from ociruntime.explain.host import DOUBTFUL, IMPOSSIBLE
from ociruntime.explain.risks import RISKS

WRITTEN = Path(__file__).parent / "pages"
WIDTH = 96

# Groups of codes that are functions: prefix, title, functions, and what to do about any of them.
DERIVED: tuple[tuple[str, str, Sequence[Callable[[Any], Any]], str], ...] = (
    (
        "config-rule",
        "Rules of the configuration",
        (*CONFIG_RULES, *NAMESPACE_RULES, *PROCESS_RULES, *RESOURCE_RULES, *SECCOMP_RULES),
        "Correct the property that the message names; `ociruntime validate BUNDLE` shows all of them at once.",
    ),
    (
        "host",
        "What this host cannot do",
        (*IMPOSSIBLE, *DOUBTFUL),
        "Change the host or the configuration; `ociruntime validate --no-host` looks at the document alone.",
    ),
    (
        "risk",
        "Risky choices",
        RISKS,
        "A warning of `ociruntime validate`: if it is meant, leave it, else follow the hint.",
    ),
    (
        "advice",
        "Advice",
        ADVICE,
        "A warning of `ociruntime validate`: allowed, and probably not what is meant.",
    ),
)


@attrs.frozen(kw_only=True)
class Page:
    """What there is to say about one code."""

    code: str
    group: str
    "Title of the group, for the reader."
    meaning: str
    why: str = ""
    do: str = ""
    example: str = ""
    "A message as people see it, without line and column."


def pages() -> dict[str, Page]:
    """All pages by code, in the order of docs/errors.md."""
    found = [page for file in sorted(WRITTEN.glob("*.md")) for page in _written(file.read_text(encoding="utf-8"))]
    for prefix, title, functions, advice in DERIVED:
        for function in functions:
            code = f"{prefix}-{function.__name__.replace('_', '-')}"
            found.append(Page(code=code, group=title, meaning=_paragraphs(inspect.getdoc(function) or ""), do=advice))
    return {page.code: page for page in found}


def _paragraphs(text: str) -> str:
    """Text with a line per paragraph."""
    return "\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _written(text: str) -> Iterator[Page]:
    head, *parts = text.split("\n## ")
    for part in parts:
        code, *lines = part.strip().split("\n")
        parts_of_page = {"meaning": lines[0]}
        for line in lines[1:]:
            name, _, words = line.partition(": ")
            parts_of_page[name.lower()] = words
        yield Page(code=code, group=head.strip().removeprefix("# "), **parts_of_page)


def nearest(word: str, known: dict[str, Page]) -> str:
    """The code that was probably meant, or ""."""
    close = get_close_matches(word, known, n=1) or [code for code in known if word in code.split("-")]
    return close[0] if close else ""


def as_text(page: Page) -> str:
    """The page for a terminal."""
    parts = [f"{page.code}  ({page.group.lower()})", *[_wrapped(line, "  ") for line in page.meaning.split("\n")]]
    for title, words in (("why", page.why), ("do", page.do), ("example", page.example)):
        if words:
            parts.append(_wrapped(words, "  " + f"{title}:".ljust(9)))
    return "\n\n".join(parts) + "\n"


def _wrapped(words: str, first: str) -> str:
    return textwrap.fill(
        words, WIDTH, initial_indent=first, subsequent_indent=" " * len(first),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


INTRODUCTION = """\
# Errors

Every failure has a code, the same in every release. It stands in the field `code` of the JSON log, and in each line of
`ociruntime validate`. `ociruntime explain CODE` prints its page. What to do about the well-known riddles of the kernel,
and what other runtimes say there, is in [Riddles](riddles.md).

This page is generated: `python -m ociruntime.docsgen`.
"""


def markdown() -> str:
    """docs/errors.md."""
    known = pages()
    groups = list(dict.fromkeys(page.group for page in known.values()))
    text = [INTRODUCTION]
    for group in groups:
        mine = [page for page in known.values() if page.group == group]
        text.append(f"* [{group}](#{group.lower().replace(' ', '-')}), {len(mine)} codes")
    for group in groups:
        text.append(f"\n## {group}")
        text += [_section(page) for page in known.values() if page.group == group]
    return "\n".join(text) + "\n"


def _section(page: Page) -> str:
    parts = [f"\n### {page.code}", "\n\n".join(page.meaning.split("\n"))]
    parts += [f"**{title}** {words}" for title, words in (("Why:", page.why), ("Do:", page.do)) if words]
    if page.example:
        parts.append(f"```\n{page.example}\n```")
    return "\n\n".join(parts)
