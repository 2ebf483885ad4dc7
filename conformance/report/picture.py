"""The judgement as a picture: one row per part of the spec, one bar per runtime."""

from __future__ import annotations

from collections import Counter
from html import escape

from conformance.judge import Judgement, Status
from conformance.registry import Check, Level

ROW, LEFT, WIDTH, GAP = 22, 150, 190, 24
GOOD, LESS, BAD, NONE = "#3f9b57", "#d9a62e", "#c0392b", "#d8d8d8"
LEGEND = (
    (GOOD, "kept"),
    (LESS, "SHOULD or MAY not followed"),
    (BAD, "MUST not kept"),
    (NONE, "not judged on this host"),
)


def _part(check: Check) -> str:
    return check.id.split("/")[0].split(".")[0].replace("Paths", " paths").replace("rootfsPropagation", "propagation")


def _colour(check: Check, status: Status | None) -> str:
    if status is None or status is Status.SKIP:
        return NONE
    if status is Status.PASS:
        return GOOD
    return BAD if check.clause.level is Level.MUST or status is not Status.FAIL else LESS


def _bar(counts: Counter[str], x: float, y: float) -> str:
    """A bar of shares, with how many checks are kept of how many judged."""
    total, pieces, at = sum(counts.values()), [], x
    for colour, _ in LEGEND:
        width = WIDTH * counts[colour] / total
        pieces.append(f'<rect x="{at:.1f}" y="{y}" width="{width:.1f}" height="{ROW - 8}" fill="{colour}"/>')
        at += width
    words = f"{counts[GOOD]} of {total - counts[NONE]}"
    return "".join(pieces) + f'<text x="{x + 5}" y="{y + 11}" class="n">{words}</text>'


def as_svg(found: Judgement) -> str:
    """The picture; shares of checks by part and runtime."""
    parts = list(dict.fromkeys(_part(check) for check in found.checks))
    body, y = [], 64
    for part in [*parts, "all"]:
        body.append(f'<text x="{LEFT - 10}" y="{y + 11}" class="p">{escape(part)}</text>')
        for place, name in enumerate(found.runtimes):
            counts: Counter[str] = Counter()
            for check in found.checks:
                if part in ("all", _part(check)):
                    verdict = found.verdicts.get((check.id, name))
                    counts[_colour(check, verdict.status if verdict else None)] += 1
            body.append(_bar(counts, LEFT + place * (WIDTH + GAP), y))
        y += ROW
    heads = "".join(
        f'<text x="{LEFT + place * (WIDTH + GAP)}" y="52" class="h">{escape(found.versions[name][:30])}</text>'
        for place, name in enumerate(found.runtimes)
    )
    legend = "".join(
        f'<rect x="{LEFT + 160 * place}" y="14" width="12" height="12" fill="{colour}"/>'
        f'<text x="{LEFT + 160 * place + 17}" y="24" class="t">{words}</text>'
        for place, (colour, words) in enumerate(LEGEND)
    )
    width = max(LEFT + len(found.runtimes) * (WIDTH + GAP), LEFT + 160 * len(LEGEND))
    style = (
        "text{fill:#222;font-family:sans-serif}.p{text-anchor:end;font-size:12px}.h{font-size:13px;font-weight:bold}"
        ".t{font-size:11px}.n{font-size:10px;fill:#fff}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y + 10}"><style>{style}</style>'
        f'<rect width="100%" height="100%" fill="#fff"/>{legend}{heads}{"".join(body)}</svg>\n'
    )
