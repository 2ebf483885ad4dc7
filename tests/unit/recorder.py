"""A kernel that only takes notes: what steps would have done, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ociruntime.core.kernel import Kernel


class Recorder(Kernel):
    """Every call is recorded as (name, *arguments) and answered by `answers`, 0 without an entry.

    An answer that is an exception is raised, a function is called with the arguments, an iterator is
    asked for the next answer; anything else is returned.
    """

    def __init__(self, **answers: Any) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.answers = answers

    def named(self, *names: str) -> list[tuple[Any, ...]]:
        """The recorded calls of these names."""
        return [call for call in self.calls if call[0] in names]

    def _record(self, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        self.calls.append((name, *arguments, *keywords.values()))
        answer = self.answers.get(name, 0)
        if isinstance(answer, Iterator):
            answer = next(answer)
        if isinstance(answer, BaseException):
            raise answer
        return answer(*arguments, **keywords) if callable(answer) else answer


def _recording(name: str) -> Callable[..., Any]:
    def call(self: Recorder, *arguments: Any, **keywords: Any) -> Any:
        return self._record(name, arguments, keywords)

    return call


for _name in dir(Kernel):
    if not _name.startswith("_"):
        setattr(Recorder, _name, _recording(_name))
