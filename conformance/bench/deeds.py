"""What is timed: one round of every operation, by one runtime, on one bundle."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import attrs

from conformance import spawn
from conformance.bundle import Bundle, Config
from conformance.runtime import Runtime
from conformance.spawn import Outcome

OPERATIONS = ("run", "create", "state", "start", "exec", "kill", "delete", "lifecycle")
NS_PER_MS = 1e6


class Broken(Exception):
    """A runtime failed at what it was timed for; the sentence is its own."""


class Took(NamedTuple):
    """What an operation cost, in milliseconds: by the clock, and of processor time."""

    wall: float
    cpu: float


def demand(outcome: Outcome) -> Took:
    """The cost of an operation that has to succeed."""
    if not outcome.ok:
        raise Broken(outcome.tell())
    return Took(outcome.seconds * 1000, outcome.cpu * 1000)


@attrs.define
class Stand:
    """One runtime's place on the track: its bundles, its container names, its cgroup."""

    runtime: Runtime
    bundles: dict[str, Bundle]
    group: str
    serial: int = 0

    def container(self) -> str:
        """A fresh container id."""
        self.serial += 1
        return f"bench-{os.getpid()}-{self.runtime.name}-{self.serial}"

    def bundle(self, name: str, config: Config, container: str) -> Path:
        """Write ``config`` for ``container`` into the bundle called ``name``; its path."""
        config["linux"]["cgroupsPath"] = f"/{self.group}/{container}"
        self.bundles[name].write(config)
        return self.bundles[name].path

    def pid(self, container: str) -> int:
        """The init of a container."""
        state = self.runtime.state(container)
        if state is None:
            raise Broken(f"{self.runtime.name}: no state for {container}")
        return int(state["pid"])

    @contextmanager
    def created(self, name: str, config: Config) -> Iterator[tuple[str, Outcome]]:
        """A created container, deleted at the end whatever happened."""
        container = self.container()
        path = self.bundle(name, config, container)
        try:
            outcome = self.runtime.call("create", "--bundle", str(path), container)
            demand(outcome)
            yield container, outcome
        finally:
            self.runtime.call("delete", "--force", container)
            collect()


def collect() -> None:
    """Reap the inits that became ours; only after everything we wait for by pid has been waited for."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


def run_true(stand: Stand, name: str, config: Config) -> Took:
    """``run`` of a program that ends at once, in the foreground."""
    container = stand.container()
    path = stand.bundle(name, config, container)
    try:
        return demand(stand.runtime.call("run", "--bundle", str(path), container))
    finally:
        collect()


def lifecycle(stand: Stand, name: str, config: Config) -> Took:
    """create, start, the program's end, delete: what an engine does for ``docker run --rm image true``."""
    container = stand.container()
    path = stand.bundle(name, config, container)
    call = stand.runtime.call
    pid_file = path / "pid"
    begin = time.perf_counter_ns()
    parts = [demand(call("create", "--bundle", str(path), "--pid-file", str(pid_file), container))]
    pid = int(pid_file.read_text())
    parts.append(demand(call("start", container)))
    spawn.exited(pid, 20)
    parts.append(demand(call("delete", container)))
    took = (time.perf_counter_ns() - begin) / NS_PER_MS
    collect()
    return Took(took, sum(part.cpu for part in parts))


def operations(stand: Stand, name: str, config: Config) -> dict[str, Took]:
    """One container, every operation on it timed alone."""
    call = stand.runtime.call
    took: dict[str, Took] = {}
    with stand.created(name, config) as (container, outcome):
        took["create"] = demand(outcome)
        took["state"] = demand(call("state", container))
        pid = stand.pid(container)
        took["start"] = demand(call("start", container))
        took["exec"] = demand(call("exec", container, "/probe", "true"))
        took["kill"] = demand(call("kill", container, "KILL"))
        if not spawn.exited(pid, 20):
            raise Broken(f"{stand.runtime.name}: init {pid} survived `kill {container} KILL`")
        spawn.reap(pid)
        took["delete"] = demand(call("delete", container))
    return took


def one_round(stand: Stand, name: str, make: Callable[..., Config]) -> dict[str, Took]:
    """Every operation once, by name."""
    took = operations(stand, name, make("pause"))
    took["run"] = run_true(stand, name, make("true"))
    took["lifecycle"] = lifecycle(stand, name, make("true"))
    return took


# ---- the measures that are no times ------------------------------------------------------------


def pss(pid: int) -> int:
    """Proportional set size of a process in bytes (smaps_rollup, Documentation/filesystems/proc.rst)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def waiting_memory(stand: Stand, name: str, config: Config) -> int:
    """PSS in bytes of the init that waits for ``start``, with every process that waits beside it."""
    with stand.created(name, config) as (container, _):
        pid = stand.pid(container)
        seen, todo = set[int](), [pid]
        while todo:
            seen.add(one := todo.pop())
            todo += spawn.children(one) - seen
        return sum(pss(one) for one in seen)


def runs_within(stand: Stand, name: str, config: Config, limit: int) -> bool:
    """Whether ``true`` runs under a memory limit of so many bytes, three times out of three."""
    config["linux"].setdefault("resources", {})["memory"] = {"limit": limit}
    for _ in range(3):
        container = stand.container()
        path = stand.bundle(name, config, container)
        outcome = stand.runtime.call("run", "--bundle", str(path), container, timeout=10)
        collect()
        if not outcome.ok:
            stand.runtime.call("delete", "--force", container, timeout=10)
            collect()
            return False
    return True


def smallest_limit(stand: Stand, name: str, make: Callable[..., Config], step: int = 128 << 10) -> int | None:
    """The smallest memory limit in bytes, to the ``step``, under which ``true`` runs; None if 64 MiB do not do."""
    low, high = 0, (64 << 20) // step
    if not runs_within(stand, name, make("true"), high * step):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if runs_within(stand, name, make("true"), middle * step):
            high = middle
        else:
            low = middle
    return high * step


def parallel_creates(stand: Stand, name: str, make: Callable[..., Config], *, count: int, workers: int) -> float:
    """Creates per second, ``workers`` of them under way at once."""
    made: list[str] = []
    waiting: set[int] = set()
    paths = bundles_of_one_root(stand, name, make, count, made)
    with spawn.memory_file() as quiet:
        begin = time.perf_counter()
        for container, path in zip(made, paths, strict=True):
            if len(waiting) >= workers:
                waiting.discard(_any_done(waiting))
            argv = stand.runtime.command("create", "--bundle", str(path), container)
            waiting.add(spawn.spawn(argv, stdin=quiet, stdout=quiet, stderr=quiet))
        while waiting:
            waiting.discard(_any_done(waiting))
        took = time.perf_counter() - begin
        words = spawn.content(quiet).decode("utf-8", "replace").strip()
    failed = [one for one in made if stand.runtime.state(one) is None]
    clear(stand, made)
    if failed:
        raise Broken(f"{stand.runtime.name}: {len(failed)} of {count} parallel creates failed: {words[-300:]}")
    return count / took


def _any_done(waiting: set[int]) -> int:
    """Wait for whichever of our runtimes ends first; inits of containers do not end before they are told to."""
    while True:
        pid, _ = os.waitpid(-1, 0)
        if pid in waiting:
            return pid


def bundles_of_one_root(
    stand: Stand, name: str, make: Callable[..., Config], count: int, made: list[str]
) -> list[Path]:
    """``count`` bundles that share the root file system of bundle ``name``; their container ids go to ``made``."""
    paths: list[Path] = []
    for _ in range(count):
        container = stand.container()
        made.append(container)
        config = make("pause")
        config["root"]["path"] = str(stand.bundles[name].rootfs)
        config["linux"]["cgroupsPath"] = f"/{stand.group}/{container}"
        path = stand.bundles[name].path / "many" / container
        path.mkdir(parents=True)
        Bundle(path).write(config)
        paths.append(path)
    return paths


def clear(stand: Stand, containers: list[str]) -> None:
    """Delete many containers and reap their inits."""
    for container in containers:
        stand.runtime.call("delete", "--force", container)
        collect()


def crowd(stand: Stand, name: str, make: Callable[..., Config], *, count: int, samples: int) -> dict[str, list[Took]]:
    """The cost of ``list`` and ``state``, and of one more container, with ``count`` running ones present."""
    made: list[str] = []
    try:
        paths = bundles_of_one_root(stand, name, make, count, made)
        for path, container in zip(paths, made, strict=True):
            demand(stand.runtime.call("create", "--bundle", str(path), container))
            demand(stand.runtime.call("start", container))
        call = stand.runtime.call
        one_more = [operations(stand, name, make("pause")) for _ in range(samples)]
        return {
            "list": [demand(call("list")) for _ in range(samples)],
            "state": [demand(call("state", made[i * count // samples])) for i in range(samples)],
            "create": [took["create"] for took in one_more],
            "delete": [took["delete"] for took in one_more],
        }
    finally:
        clear(stand, made)
