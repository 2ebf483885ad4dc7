"""What a check holds in its hands: a fresh bundle, containers of a runtime, and the words to judge it with."""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs

from conformance import bundle as parts
from conformance import spawn
from conformance.bundle import Bundle, Config
from conformance.host import Hierarchies
from conformance.runtime import Runtime
from conformance.spawn import Outcome

PATIENCE = 10.0  # seconds a container gets for what takes it milliseconds


class Failed(Exception):
    """The runtime does not keep the clause; the sentence says what was seen."""

    def __init__(self, detail: str, outcome: Outcome | None = None) -> None:
        super().__init__(detail)
        self.outcome = outcome


class Skipped(Exception):
    """The clause cannot be judged here; the sentence says why."""


def expect(seen: Any, wanted: Any, what: str) -> None:
    """Fail with both values unless they are equal."""
    if seen != wanted:
        raise Failed(f"{what}: wanted {wanted!r}, saw {seen!r}")


def require(truth: Any, detail: str) -> None:
    """Fail with a sentence unless something holds."""
    if not truth:
        raise Failed(detail)


def skip_unless(truth: Any, reason: str) -> None:
    """Give up on a clause that this host cannot show."""
    if not truth:
        raise Skipped(reason)


@attrs.frozen
class Mount:
    """One line of mountinfo, as proc_pid_mountinfo(5) names its fields."""

    point: str
    root: str
    options: frozenset[str]
    tags: frozenset[str]
    kind: str
    source: str
    super_options: frozenset[str]

    @classmethod
    def parse(cls, line: str) -> Mount:
        """From one line."""
        left, _, right = line.partition(" - ")
        fields = left.split()
        kind, source, supers = [*right.split(), "", ""][:3]
        tags = frozenset(tag.partition(":")[0] for tag in fields[6:])
        options = frozenset(fields[5].split(","))
        return cls(fields[4], fields[3], options, tags, kind, source, frozenset(supers.split(",")))


@attrs.frozen
class Seen:
    """The probe's report."""

    facts: Mapping[str, Any]
    code: int | None = None

    def __getitem__(self, key: str) -> Any:
        return self.facts[key]

    @property
    def deeds(self) -> list[dict[str, Any]]:
        """Results of the deeds, in order."""
        return list(self.facts["deeds"])

    @property
    def deed(self) -> dict[str, Any]:
        """The only deed's result."""
        return self.deeds[0]

    def mounts(self) -> list[Mount]:
        """The mount table inside."""
        return [Mount.parse(line) for line in self.facts["mounts"] or ()]

    def mount(self, point: str) -> Mount:
        """The topmost mount at ``point``; fails if there is none."""
        found = [one for one in self.mounts() if one.point == point]
        if not found:
            raise Failed(f"nothing is mounted at {point}")
        return found[-1]

    def status(self, key: str) -> str:
        """A line of /proc/self/status."""
        for line in self.facts["status"] or ():
            name, _, value = line.partition(":")
            if name == key:
                return str(value).strip()
        raise Failed(f"no {key} in /proc/self/status")


@attrs.define
class Container:
    """A container somebody asked the runtime to create, whether or not it did."""

    trial: Trial
    id: str
    bundle: Bundle
    output: int
    created: Outcome
    pid: int = 0
    _heard: bytes = b""

    def demand_created(self) -> Container:
        """Fail unless ``create`` succeeded."""
        self.trial.demand(self.created, "create")
        state = self.state()
        self.pid = int(state.get("pid", 0))
        return self

    def call(self, verb: str, *args: str, **how: Any) -> Outcome:
        """Run one operation on this container."""
        return self.trial.runtime.call(verb, *args, **how)

    def start(self) -> Outcome:
        """``start``, which has to work."""
        return self.trial.demand(self.call("start", self.id), "start")

    def state(self) -> dict[str, Any]:
        """``state``, which has to work."""
        return self.trial.document(self.call("state", self.id), "state")

    def status(self) -> str:
        """``status`` of the state."""
        return str(self.state().get("status"))

    def exists(self) -> bool:
        """Whether the runtime still knows this id."""
        return self.call("state", self.id).ok

    def kill(self, signal: str = "KILL") -> Outcome:
        """``kill``, which has to work."""
        return self.trial.demand(self.call("kill", self.id, signal), "kill")

    def delete(self) -> Outcome:
        """``delete``, which has to work."""
        return self.trial.demand(self.call("delete", self.id), "delete")

    def stop(self) -> None:
        """Kill it and wait for its end."""
        self.kill()
        self.wait()

    def exec(self, *argv: str, **how: Any) -> Outcome:
        """``exec``: outside of the spec, inside of every runtime."""
        return self.call("exec", self.id, *argv, **how)

    def wait(self) -> int | None:
        """Wait for the container process to exit; its exit code if it was our child."""
        if not spawn.exited(self.pid, PATIENCE):
            raise Failed(f"the container process {self.pid} did not exit within {PATIENCE:.0f} s")
        code = spawn.reap(self.pid)
        # a pid namespace dies with its init a moment before the last state change is visible outside
        return code

    def line(self) -> str:
        """The next line the container prints."""
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self._heard:
            ready, _, _ = select.select([self.output], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(self.output, 1 << 16) if ready else b""
            if not chunk:
                raise Failed(f"the container printed no line; so far: {self._heard[-300:]!r}")
            self._heard += chunk
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode("utf-8", "replace")

    def rest(self) -> str:
        """All that was printed and not yet read, for a container that has ended."""
        os.set_blocking(self.output, False)
        with suppress(BlockingIOError):
            while chunk := os.read(self.output, 1 << 16):
                self._heard += chunk
        os.set_blocking(self.output, True)
        text, self._heard = self._heard.decode("utf-8", "replace"), b""
        return text

    def report(self, code: int | None = None) -> Seen:
        """The probe's report, once printed."""
        return Seen(json.loads(self.line()), code)


@attrs.define
class Trial:
    """One check against one runtime. Everything it makes lives in ``home`` and below the cgroup ``group``."""

    runtime: Runtime
    home: Path
    probe: Path
    group: str
    name: str
    containers: list[Container] = attrs.Factory(list)
    undo: list[Callable[[], object]] = attrs.Factory(list)
    tolerated: set[str] = attrs.Factory(set)  # cgroups above a container's own, which may outlive it
    serial: int = 0

    # ---- making bundles

    @property
    def shared(self) -> Path:
        """A host directory for what container and host both look at; see `share`."""
        path = self.home / "shared"
        if not path.is_dir():
            path.mkdir()
            path.chmod(0o777)
        return path

    def config(self, *deeds: str, **process: Any) -> Config:
        """A plain configuration whose program reports and does ``deeds``; keywords go into ``process``."""
        config = parts.minimal("report", *deeds)
        config["mounts"] = [dict(one) for one in (parts.PROC, parts.DEV, parts.DEVPTS, parts.SHM, parts.SYS)]
        config["root"]["readonly"] = False
        config["linux"] = {"namespaces": config["linux"]["namespaces"][:5]}
        config["process"].pop("rlimits")
        config["process"]["noNewPrivileges"] = False
        kinds = ("bounding", "effective", "permitted")
        config["process"]["capabilities"] = {kind: list(parts.CAPABILITIES) for kind in kinds}
        config["process"].update(process)
        return config

    def grant(self, config: Config, *capabilities: str) -> Config:
        """Add capabilities to the three sets of a configuration."""
        for names in config["process"]["capabilities"].values():
            names += [name for name in capabilities if name not in names]
        return config

    def share(self, config: Config) -> Config:
        """Bind `shared` into the container at /shared."""
        config["mounts"].append(parts.mount("/shared", "none", str(self.shared), "rbind", "rw"))
        (self.shared / "x").parent.mkdir(exist_ok=True)
        return config

    def program(self, config: Config, *args: str) -> Config:
        """Run the probe with other arguments."""
        config["process"]["args"] = ["/probe", *args]
        return config

    def own_user_namespace(self, config: Config, host: int = 100000, size: int = 65536) -> Config:
        """Put the container into a new user namespace; its root file system must then be readable to that user."""
        config["linux"]["namespaces"].append({"type": "user"})
        mapping = [{"containerID": 0, "hostID": host, "size": size}]
        config["linux"] |= {"uidMappings": mapping, "gidMappings": mapping}
        return config

    def hook(self, tag: str, code: int = 0, *, inside: bool = False, **extra: Any) -> Config:
        """A hook that records what it sees; read with `records`. ``inside``: its path is the container's."""
        program = "/probe" if inside else str(self.probe)
        log = "/shared/hooks" if inside else str(self.shared / "hooks")
        return {"path": program, "args": ["probe", "hook", log, tag, str(code)], **extra}

    def records(self) -> list[dict[str, Any]]:
        """What hooks and notes recorded so far, in order."""
        log = self.shared / "hooks"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def tags(self) -> list[str]:
        """The tags of the records."""
        return [str(record["tag"]) for record in self.records()]

    def bundle(self) -> Bundle:
        """A fresh bundle directory without config.json."""
        self.serial += 1
        return Bundle.make(self.home / f"bundle{self.serial}", self.probe)

    # ---- running containers

    def demand(self, outcome: Outcome, verb: str) -> Outcome:
        """Fail unless the operation succeeded."""
        if not outcome.ok:
            raise Failed(f"{verb} failed: {outcome.tell()}", outcome)
        return outcome

    def document(self, outcome: Outcome, verb: str) -> dict[str, Any]:
        """The JSON object an operation printed."""
        self.demand(outcome, verb)
        try:
            answer = json.loads(outcome.stdout)
        except ValueError:
            raise Failed(f"{verb} printed no JSON: {outcome.stdout[:200]!r}", outcome) from None
        require(isinstance(answer, dict), f"{verb} printed JSON that is no object")
        return dict(answer)

    def new_id(self) -> str:
        """A container id nobody used before."""
        self.serial += 1
        return f"{self.group}-{self.serial}"

    def create(
        self,
        config: Config | str | bytes,
        *options: str,
        bundle: Bundle | None = None,
        id: str | None = None,
        **how: Any,
    ) -> Container:
        """Ask for a container; whether it came to be is in ``created``."""
        bundle = bundle or self.bundle()
        id = id or self.new_id()
        if isinstance(config, dict) and isinstance(config.get("linux"), dict):
            path = config["linux"].setdefault("cgroupsPath", f"/{self.group}/{id}") or ""
            self.tolerated.update(str(parent) for parent in Path(path.lstrip("/")).parents)
        bundle.write(config)
        reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            outcome = self.runtime.call("create", *options, "--bundle", str(bundle.path), id, stdout=writer, **how)
        finally:
            os.close(writer)
        container = Container(self, id, bundle, reader, outcome)
        self.containers.append(container)
        return container

    def created(self, config: Config, *options: str, **how: Any) -> Container:
        """A container that has to come to be."""
        return self.create(config, *options, **how).demand_created()

    def started(self, config: Config, *options: str, **how: Any) -> Container:
        """A container that has to run."""
        container = self.created(config, *options, **how)
        container.start()
        return container

    def paused(self, config: Config | None = None) -> Container:
        """A running container that waits for ever."""
        return self.started(self.program(config or self.config(), "pause"))

    def run(self, config: Config, *options: str, **how: Any) -> Seen:
        """create, start, the probe's report, its end, delete; all have to work."""
        container = self.started(config, *options, **how)
        seen = container.report()
        code = container.wait()
        container.delete()
        return attrs.evolve(seen, code=code)

    def refused(self, config: Config | str | bytes, what: str, *options: str, at_start: bool = False) -> Outcome:
        """The runtime has to refuse ``config`` at create, or, with ``at_start``, at the latest at start."""
        container = self.create(config, *options)
        outcome = container.created
        if outcome.ok and at_start:
            outcome = container.call("start", container.id)
        self.no_hang(outcome)
        require(not outcome.ok, f"{what} was accepted: `create`{' and `start`' * at_start} exited 0")
        return outcome

    def no_hang(self, outcome: Outcome) -> None:
        """A refusal has to be an answer."""
        if outcome.timed_out or outcome.crashed:
            raise Failed(outcome.tell(), outcome)

    def until(self, truth: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
        """Poll for something that comes by itself; fail when it does not."""
        deadline = time.monotonic() + seconds
        while not (found := truth()):
            if time.monotonic() > deadline:
                raise Failed(f"{what}: not within {seconds:.0f} s")
            select.select([], [], [], 0.005)
        return found

    # ---- the host's side

    def cgroup_file(self, container: Container, controller: str, name: str) -> str:
        """The text of a control file of the container's cgroup, stripped; skips without that controller."""
        hierarchies = Hierarchies.read()
        skip_unless(hierarchies.has(controller), f"this host has no cgroup controller {controller}")
        path = self.cgroup(container.pid, controller) / name
        if not path.exists():
            raise Failed(f"no {path}")
        return path.read_text().strip()

    def cgroup(self, pid: int, controller: str) -> Path:
        """The directory of a process's cgroup in the hierarchy of a controller."""
        hierarchies = Hierarchies.read()
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, names, path = line.split(":", 2)
            if hierarchies.version == 2 and names == "":
                return hierarchies.roots[""] / path.lstrip("/")
            if controller in names.split(","):
                return hierarchies.roots[controller] / path.lstrip("/")
        raise Skipped(f"process {pid} is in no cgroup of {controller}")

    @contextmanager
    def console(self) -> Iterator[tuple[Path, socket.socket]]:
        """A listening socket for ``--console-socket``."""
        path = self.home / "console.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(path))
            listener.listen(1)
            listener.settimeout(PATIENCE / 2)
            yield path, listener

    def tool(self, *argv: str) -> None:
        """Run a host program (mount, ip) that has to work for the check to mean anything."""
        try:
            outcome = spawn.call((spawn.find(argv[0]), *argv[1:]))
        except FileNotFoundError as failure:
            raise Skipped(str(failure)) from None
        if not outcome.ok:
            raise Skipped(f"the host refuses {outcome.tell()}")

    def later(self, *argv: str) -> None:
        """Undo something on the host at the end of the trial, whatever its outcome."""
        self.undo.append(lambda: void(spawn.call((spawn.find(argv[0]), *argv[1:]))))

    # ---- the end

    def close(self) -> None:
        """Delete every container that is left, and close what was opened."""
        for container in self.containers:
            if container.created.ok or (self.runtime.root / container.id).exists():
                self.runtime.call("delete", "--force", container.id)
            os.close(container.output)
        for undo in reversed(self.undo):
            with suppress(OSError):
                undo()

    def remove(self) -> None:
        """Remove the files of the trial."""
        shutil.rmtree(self.home, ignore_errors=True)


def void(_: object) -> None:
    """Drop a value."""


def first(records: Sequence[dict[str, Any]], tag: str) -> dict[str, Any]:
    """The first record with a tag; fails if there is none."""
    for record in records:
        if record["tag"] == tag:
            return record
    raise Failed(f"no record '{tag}': it did not run")
