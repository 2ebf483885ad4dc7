"""A plan as text: the commands a person would type, each beside the property that asks for it."""

from __future__ import annotations

from ociruntime.core.plan.draft import ATTACH, ENTER, HOST, LIMITS, MOUNTS, OPEN, PROCESS, ROOT
from ociruntime.core.plan.namespaces import FLAGS
from ociruntime.explain.position import locate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ociruntime.core.plan.draft import Plan

# What the stages of core/plan/draft.py mean to a reader; the clone comes after the first two.
BEFORE_CLONE = ((HOST, "on the host"), (OPEN, "on the host: handles that the container's first process inherits"))
AFTER_CLONE = (
    (ATTACH, "on the host, while the first process waits in its namespaces"),
    (ENTER, "in the namespaces"),
    (MOUNTS, "in the namespaces: the mounts, below rootfs"),
    (ROOT, "in the new root"),
    (PROCESS, "in the new root: what the program inherits"),
    (LIMITS, "on the host: limits, last, because setting up needs more"),
)
# unshare(1) and nsenter(1) have other words for two of them.
WORDS = {"network": "net", "mount": "mount", "pid": "pid --fork"}
WIDEST = 32  # properties longer than this have a line of their own

BOLD, DIM, PLAIN = "\x1b[1m", "\x1b[36m", "\x1b[0m"

Row = tuple[str, str]  # property, command


def chapters(plan: Plan) -> list[tuple[str, str, list[Row]]]:
    """The plan in the order of its deeds: name of the stage, what it means, and its steps."""
    found = [(stage, title, _steps(plan, stage)) for stage, title in BEFORE_CLONE]
    found.append(("clone", "the first process of the container", list(_namespaces(plan))))
    found += [(stage, title, _steps(plan, stage)) for stage, title in AFTER_CLONE]
    # a call without words of its own belongs to the one before it
    found.append(("start", "after `start`", [(call.origin, call.shown) for call in plan.last if call.shown]))
    return found


def lines(plan: Plan, *, colour: bool = False) -> list[str]:
    """The text of a plan, line by line. Properties are JSON pointers into config.json, in the left column."""
    told = chapters(plan)
    width = min(WIDEST, max(len(origin) for _, _, rows in told for origin, _ in rows))
    bold, dim, plain = (BOLD, DIM, PLAIN) if colour else ("", "", "")
    text = [f"container {plan.id}, bundle {plan.bundle}, rootfs {plan.rootfs}"]
    for _, title, rows in told:
        if rows:
            text += ["", f"{bold}# {title}{plain}"]
            for row in rows:
                first, *rest = _laid_out(row, width)
                text += [first.replace(row[0], f"{dim}{row[0]}{plain}", 1) if row[0] else first, *rest]
    return text


def as_json(plan: Plan, config: str) -> dict[str, Any]:
    """The plan as an object; `config` is the text of the document, for the lines of properties."""
    stages = []
    for stage, title, rows in chapters(plan):
        steps = [{"describe": words, "origin": origin, "line": _line(config, origin)} for origin, words in rows]
        stages.append({"stage": stage, "title": title, "steps": steps})
    return {"id": plan.id, "bundle": plan.bundle, "rootfs": plan.rootfs, "stages": stages}


def _line(config: str, origin: str) -> int:
    """Where a property is, 0 for what the runtime does of its own accord."""
    return locate(config, origin).line if origin else 0


def _steps(plan: Plan, stage: str) -> list[Row]:
    return [(step.origin, step.describe()) for step in plan.stages[stage]]


def _namespaces(plan: Plan) -> Iterator[Row]:
    for join in plan.joins:
        yield join.origin, f"nsenter --{WORDS.get(join.type, join.type)}={join.path}"
    new = [WORDS.get(kind, kind) for kind, flag in FLAGS.items() if plan.unshare & flag]
    if new:
        yield "/linux/namespaces", "unshare " + " ".join(f"--{word}" for word in new)


def _laid_out(row: Row, width: int) -> list[str]:
    origin, command = row
    margin = " " * (width + 2)
    first, *rest = command.split("\n")
    start = f"{origin:<{width}}  {first}" if len(origin) <= width else f"{origin}\n{margin}{first}"
    return [start, *(margin + line for line in rest)]
