"""A plan as text: the commands a person would type, each beside the property that asks for it."""

from __future__ import annotations

from ociruntime.core.plan.draft import ATTACH, BESIDE, DEVICES, ENTER, HOST, LIMITS, MOUNTS, OPEN, PROCESS, ROOT
from ociruntime.core.plan.namespaces import FLAGS
from ociruntime.explain.hooks import rows
from ociruntime.explain.position import Place, locate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from ociruntime.core.plan.draft import Plan

START, DELETE = "start", "delete"  # what follows the stages of create

# What the stages of core/plan/draft.py mean to a reader; the clone comes after the first two.
BEFORE_CLONE = ((HOST, "on the host"), (OPEN, "on the host: handles that the container's first process inherits"))
AFTER_CLONE = (
    (ATTACH, "on the host, while the first process waits in its namespaces"),
    (ENTER, "in the namespaces"),
    (MOUNTS, "in the namespaces: the mounts, below rootfs"),
    (BESIDE, "on the host: what the cgroups limit"),
    (DEVICES, "in the namespaces: devices, and the rest below rootfs"),
    (ROOT, "in the new root"),
    (PROCESS, "in the new root: what the program inherits"),
    (LIMITS, "on the host: limits, last, because setting up needs more"),
)
# Where hooks run among the stages, by the stage that they follow
HOOKS = {
    DEVICES: (
        ("on the host: hooks, which find the namespaces and mounts", ("prestart", "createRuntime")),
        ("in the namespaces: hooks", ("createContainer",)),
    ),
    LIMITS: (("in the container: hooks, at `start`", ("startContainer",)),),
    START: (("on the host: hooks, once the program runs", ("poststart",)),),
    DELETE: (("on the host: hooks, at `delete`", ("poststop",)),),
}
# unshare(1) and nsenter(1) have other words for two of them.
WORDS = {"network": "net", "mount": "mount", "pid": "pid --fork"}
WIDEST = 32  # properties longer than this have a line of their own

BOLD, DIM, PLAIN = "\x1b[1m", "\x1b[36m", "\x1b[0m"

Row = tuple[str, str]  # property, command


def chapters(plan: Plan, hooks: Mapping[str, Any] | None = None) -> list[tuple[str, str, list[Row]]]:
    """The plan in the order of its deeds: name of the stage, what it means, and its steps.

    `hooks` is config.json /hooks.
    """
    found = [(stage, title, _steps(plan, stage)) for stage, title in BEFORE_CLONE]
    found.append(("clone", "the first process of the container", list(_namespaces(plan))))
    for stage, title in AFTER_CLONE:
        found.append((stage, title, _steps(plan, stage)))
        found += _hooks(hooks or {}, stage)
    # a call without words of its own belongs to the one before it
    found.append((START, "after `start`", [(call.origin, call.shown) for call in plan.last if call.shown]))
    return found + _hooks(hooks or {}, START) + _hooks(hooks or {}, DELETE)


def _hooks(hooks: Mapping[str, Any], stage: str) -> list[tuple[str, str, list[Row]]]:
    listed = [(title, [row for kind in kinds for row in rows(hooks, kind)]) for title, kinds in HOOKS.get(stage, ())]
    return [("hooks", title, found) for title, found in listed if found]


def lines(plan: Plan, hooks: Mapping[str, Any] | None = None, *, colour: bool = False) -> list[str]:
    """The text of a plan, line by line. Properties are JSON pointers into config.json, in the left column."""
    told = chapters(plan, hooks)
    width = min(WIDEST, max(len(origin) for _, _, listed in told for origin, _ in listed))
    bold, dim, plain = (BOLD, DIM, PLAIN) if colour else ("", "", "")
    text = [f"container {plan.id}, bundle {plan.bundle}, rootfs {plan.rootfs}"]
    for _, title, listed in told:
        if listed:
            text += ["", f"{bold}# {title}{plain}"]
            for row in listed:
                first, *rest = _laid_out(row, width)
                text += [first.replace(row[0], f"{dim}{row[0]}{plain}", 1) if row[0] else first, *rest]
    return text


def as_json(plan: Plan, config: str, hooks: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The plan as an object; `config` is the text of the document, for the lines of properties."""
    stages = []
    for stage, title, told in chapters(plan, hooks):
        steps = [{"describe": words, "origin": origin, **_place(config, origin)} for origin, words in told]
        stages.append({"stage": stage, "title": title, "steps": steps})
    return {"id": plan.id, "bundle": plan.bundle, "rootfs": plan.rootfs, "stages": stages}


def _place(config: str, origin: str) -> dict[str, int]:
    """Where a property is, 0 for what the runtime does of its own accord."""
    place = locate(config, origin) if origin else Place(0, 0)
    return {"line": place.line, "column": place.column}


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
