"""A plan as text: the commands a person would type, each beside the property that asks for it."""

from __future__ import annotations

from ociruntime.core.plan.draft import ATTACH, ENTER, HOST, LIMITS, MOUNTS, OPEN, PROCESS, ROOT
from ociruntime.core.plan.namespaces import FLAGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

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

Row = tuple[str, str]  # property, command


def lines(plan: Plan) -> list[str]:
    """The text of a plan, line by line. Properties are JSON pointers into config.json, in the left column."""
    chapters = [(title, _steps(plan, stage)) for stage, title in BEFORE_CLONE]
    chapters.append(("the first process of the container", list(_namespaces(plan))))
    chapters += [(title, _steps(plan, stage)) for stage, title in AFTER_CLONE]
    # a call without words of its own belongs to the one before it
    chapters.append(("after `start`", [(call.origin, call.shown) for call in plan.last if call.shown]))
    width = min(WIDEST, max(len(origin) for _, rows in chapters for origin, _ in rows))
    text = [f"container {plan.id}, bundle {plan.bundle}, rootfs {plan.rootfs}"]
    for title, rows in chapters:
        if rows:
            text += ["", f"# {title}"]
            text += [line for row in rows for line in _laid_out(row, width)]
    return text


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
