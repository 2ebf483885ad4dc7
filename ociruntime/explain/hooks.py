"""Hooks as commands: they are no steps of a plan, for the lifecycle runs them, but a reader wants to know of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ociruntime.core.plan.hooks import INHERIT
from ociruntime.core.steps.base import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def command(hook: Mapping[str, Any], kind: str) -> str:
    """A hook as a person would call it; the state of the container is its standard input."""
    words = []
    if hook.get("timeout"):
        words += ["timeout", str(hook["timeout"])]
    if "env" in hook or kind not in INHERIT:
        words += ["env", "-i", *hook.get("env", [])]
    return quoted(*words, hook["path"], *hook.get("args", [])[1:])


def rows(hooks: Mapping[str, Any], kind: str) -> Iterator[tuple[str, str]]:
    """Hooks of a kind beside their properties."""
    for index, hook in enumerate(hooks.get(kind) or ()):
        yield f"/hooks/{kind}/{index}", f"{command(hook, kind)} < state.json"
