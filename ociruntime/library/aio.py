"""The same for asyncio: every call of the program is awaited, none blocks the event loop."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import attrs

from ociruntime.library.bundle import Bundle
from ociruntime.library.runtime import Completed, Container, File, Runtime
from ociruntime.model import Process, State

T = TypeVar("T")


async def _away(call: Callable[..., T], *args: Any, **more: Any) -> T:
    """Run a call that blocks in a thread; it waits for another program and holds no lock of ours."""
    return await asyncio.to_thread(call, *args, **more)


@attrs.frozen
class AsyncContainer:
    """A Container whose methods are awaited."""

    container: Container

    @property
    def id(self) -> str:
        return self.container.id

    async def start(self) -> None:
        await _away(self.container.start)

    async def state(self) -> State:
        return await _away(self.container.state)

    async def kill(self, signal: int | str = "TERM") -> None:
        await _away(self.container.kill, signal)

    async def delete(self, *, force: bool = False) -> None:
        await _away(self.container.delete, force=force)

    async def pause(self) -> None:
        await _away(self.container.pause)

    async def resume(self) -> None:
        await _away(self.container.resume)

    async def pids(self) -> list[int]:
        return await _away(self.container.pids)

    async def stats(self) -> dict[str, Any]:
        return await _away(self.container.stats)

    async def wait(self, timeout: float | None = None) -> None:
        await _away(self.container.wait, timeout)

    async def exec(self, process: Process, *, stdin: File = None, capture: bool = False) -> Completed:
        return await _away(self.container.exec, process, stdin=stdin, capture=capture)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.delete(force=True)


@attrs.frozen
class AsyncRuntime:
    """A Runtime whose methods are awaited."""

    runtime: Runtime = attrs.field(factory=Runtime)

    async def create(self, container_id: str, bundle: Bundle | str | Path, *, stdin: File = subprocess.DEVNULL,
                     stdout: File = None, stderr: File = None) -> AsyncContainer:  # fmt: skip
        streams: dict[str, File] = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
        return AsyncContainer(await _away(self.runtime.create, container_id, bundle, **streams))

    async def run(self, container_id: str, bundle: Bundle | str | Path, *, stdin: File = subprocess.DEVNULL,
                  capture: bool = False) -> Completed:  # fmt: skip
        return await _away(self.runtime.run, container_id, bundle, stdin=stdin, capture=capture)

    def container(self, container_id: str) -> AsyncContainer:
        """A container that exists already."""
        return AsyncContainer(self.runtime.container(container_id))

    async def list(self) -> list[State]:
        return await _away(self.runtime.list)

    async def features(self) -> dict[str, Any]:
        return await _away(self.runtime.features)
