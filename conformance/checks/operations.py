"""runtime.md, operations: state, create, start, kill, delete, and what each refuses."""

from __future__ import annotations

import json
from pathlib import Path

from conformance import host
from conformance.registry import MAY, MUST, also, clause, each, unobservable
from conformance.saboteur import after, before, drop, fail, instead, put, say, skip, succeed
from conformance.trial import Trial, expect, require

QUERY = "runtime.md#query-state"
CREATE = "runtime.md#create"
START = "runtime.md#start"
KILL = "runtime.md#kill"
DELETE = "runtime.md#delete"


def _refuses(t: Trial, verb: str, *args: str) -> None:
    outcome = t.runtime.call(verb, *args)
    t.no_hang(outcome)
    require(not outcome.ok, f"`{' '.join((verb, *args))}` exited 0")


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


# ---- query state


@clause("runtime.query.no-id", MUST, QUERY, "state without an id is an error", broken_by=succeed("state"))
def state_without_id(t: Trial) -> None:
    _refuses(t, "state")


@clause(
    "runtime.query.unknown",
    MUST,
    QUERY,
    "state of a container that does not exist is an error",
    broken_by=succeed("state"),
)
def state_of_nobody(t: Trial) -> None:
    _refuses(t, "state", t.new_id())


@clause(
    "runtime.query.answer",
    MUST,
    QUERY,
    "state returns the state of the container asked for",
    broken_by=say("state", "status"),
)
def state_answers(t: Trial) -> None:
    one, other = t.created(t.config()), t.paused()
    for box, status in ((one, "created"), (other, "running")):
        state = box.state()
        expect((state.get("id"), state.get("status")), (box.id, status), "id and status")


# ---- create


@clause("runtime.create.no-id", MUST, CREATE, "create without an id is an error", broken_by=succeed("create"))
def create_without_id(t: Trial) -> None:
    bundle = t.bundle()
    bundle.write(t.config())
    _refuses(t, "create", "--bundle", str(bundle.path))


@clause("runtime.create.no-bundle", MUST, CREATE, "create without a bundle is an error", broken_by=succeed("create"))
def create_without_bundle(t: Trial) -> None:
    _refuses(t, "create", "--bundle", str(t.home / "nowhere"), t.new_id())


@clause(
    "runtime.create.id-taken",
    MUST,
    CREATE,
    "an id in use is an error, no container is made and the first is left alone",
    broken_by=succeed("create"),
)
def id_taken(t: Trial) -> None:
    box = t.created(t.config())
    second = t.create(t.config(), id=box.id)
    t.no_hang(second.created)
    require(not second.created.ok, "create accepted an id in use")
    expect((box.status(), box.state()["pid"]), ("created", box.pid), "the first container afterwards")


@each(
    "runtime.create.id-invalid",
    MUST,
    CREATE,
    "an id that is not valid (it would leave the state directory) is an error and no container is made",
    {name: (id, succeed("create")) for name, id in {"slash": "a/b", "dots": "..", "empty": ""}.items()},
)
def bad_id(t: Trial, id: str) -> None:
    bundle = t.bundle()
    bundle.write(t.config())
    beside = {path.name for path in t.runtime.root.parent.iterdir()}
    outcome = t.runtime.call("create", "--bundle", str(bundle.path), id)
    t.no_hang(outcome)
    if outcome.ok:
        t.runtime.call("delete", "--force", id)
    require(not outcome.ok, f"create accepted the id {id!r}")
    expect({path.name for path in t.runtime.root.parent.iterdir()}, beside, "files beside the state directory")


@clause("runtime.create.new", MUST, CREATE, "create makes a new container", broken_by=skip("create"))
def creates(t: Trial) -> None:
    box = t.create(t.config())
    t.demand(box.created, "create")
    require(box.exists(), "state does not know the container after create")


@clause(
    "runtime.create.applies",
    MUST,
    CREATE,
    "create applies every property but process: namespaces, mounts and cgroups exist before start",
    broken_by=drop("/mounts/-1"),
)
def applies_at_create(t: Trial) -> None:
    config = t.share(t.config())
    box = t.created(config)
    text = t.until(
        lambda: "/shared" in (seen := Path(f"/proc/{box.pid}/mountinfo").read_text()) and seen, "the mount to be there"
    )
    require(text, "no mounts")
    require(
        any(box.id in str(path) for path in host.groups_under(t.group)) or not host.Hierarchies.read().version,
        "no cgroup",
    )


@clause(
    "runtime.create.args-later",
    MUST,
    CREATE,
    "process.args are not applied before start",
    broken_by=after("create", "start", "{id}"),
)
def args_later(t: Trial) -> None:
    box = t.created(t.program(t.config(), "pause"))
    words = _command(box.pid)
    require(b"/probe\0pause" not in words, "the container process is the program already before start")
    box.start()
    t.until(lambda: _command(box.pid) == b"/probe\0pause\0", "the program after start")


@clause(
    "runtime.create.property-error",
    MUST,
    CREATE,
    "a property that cannot be applied is an error and no container is made",
    broken_by=drop("/linux/sysctl"),
)
def property_error(t: Trial) -> None:
    config = t.config()
    config["linux"]["sysctl"] = {"net.no.such.sysctl": "1"}
    box = t.create(config)
    t.no_hang(box.created)
    require(not box.created.ok, "a sysctl that does not exist was accepted")
    require(not box.exists(), "a container exists after the error")


@clause(
    "runtime.create.validates",
    MAY,
    CREATE,
    "config.json may be validated before anything is created",
    broken_by=put("/process/cwd", "/"),
)
def validates(t: Trial) -> None:
    config = t.config()
    config["process"]["cwd"] = 5
    t.refused(config, "a cwd that is a number")


unobservable(
    "runtime.create.process-later",
    MAY,
    CREATE,
    "the properties of process other than args may be applied by create already",
    "a permission to the runtime: both answers conform",
)


# ---- start


@clause("runtime.start.no-id", MUST, START, "start without an id is an error", broken_by=succeed("start"))
def start_without_id(t: Trial) -> None:
    _refuses(t, "start")


@clause("runtime.start.unknown", MUST, START, "start of no container is an error", broken_by=succeed("start"))
def start_nobody(t: Trial) -> None:
    _refuses(t, "start", t.new_id())


@clause(
    "runtime.start.not-created",
    MUST,
    START,
    "start of a container that is not created is an error",
    variant="running",
    broken_by=succeed("start"),
)
def start_running(t: Trial) -> None:
    box = t.paused()
    _refuses(t, "start", box.id)


@also("runtime.start.not-created", variant="stopped", broken_by=succeed("start"))
def start_stopped(t: Trial) -> None:
    box = t.paused()
    box.stop()
    _refuses(t, "start", box.id)


@clause(
    "runtime.start.not-created.effect",
    MUST,
    START,
    "start of a container that is not created has no effect on it",
    broken_by=after("start", "kill", "{id}", "KILL"),
)
def start_running_no_effect(t: Trial) -> None:
    box = t.paused()
    box.call("start", box.id)
    expect((box.status(), box.state()["pid"]), ("running", box.pid), "status and pid after a refused start")


@clause("runtime.start.runs", MUST, START, "start runs the program of process", broken_by=skip("start"))
def start_runs(t: Trial) -> None:
    box = t.created(t.config())
    box.start()
    expect(box.report()["argv"], ["/probe", "report"], "argv")


@clause(
    "runtime.start.no-process",
    MUST,
    START,
    "start is an error when process was not set",
    broken_by=put("/process", {"cwd": "/", "args": ["/probe"], "user": {"uid": 0, "gid": 0}}),
)
def start_without_process(t: Trial) -> None:
    config = t.config()
    del config["process"]
    t.refused(config, "a container without process", at_start=True)


@clause(
    "runtime.create.no-process",
    MAY,
    "config.md#process",
    "process is optional for create: a container without it can be created",
    broken_by=fail("create"),
)
def create_without_process(t: Trial) -> None:
    config = t.config()
    del config["process"]
    t.demand(t.create(config).created, "create without process")


# ---- kill


@clause("runtime.kill.no-id", MUST, KILL, "kill without an id is an error", broken_by=succeed("kill"))
def kill_without_id(t: Trial) -> None:
    _refuses(t, "kill")


@clause("runtime.kill.unknown", MUST, KILL, "kill of no container is an error", broken_by=succeed("kill"))
def kill_nobody(t: Trial) -> None:
    _refuses(t, "kill", t.new_id(), "KILL")


@clause(
    "runtime.kill.stopped",
    MUST,
    KILL,
    "kill of a container neither created nor running is an error without effect",
    broken_by=succeed("kill"),
)
def kill_stopped(t: Trial) -> None:
    box = t.paused()
    box.stop()
    _refuses(t, "kill", box.id, "KILL")
    expect(box.status(), "stopped", "status after a refused kill")


@clause(
    "runtime.kill.created",
    MUST,
    KILL,
    "a created container can be sent a signal",
    broken_by=skip("kill"),
)
def kill_created(t: Trial) -> None:
    box = t.created(t.config())
    box.stop()
    expect(box.status(), "stopped", "status of a created container after KILL")


def _arrives(t: Trial, given: str, number: int) -> None:
    box = t.started(t.program(t.config(), "trap"))
    expect(box.line(), "ready", "the program's first line")
    box.kill(given)
    expect(json.loads(box.line())["signal"], number, f"signal that arrived for {given}")


OTHER_SIGNAL = instead("kill", "kill", "{id}", "USR2")


@each(
    "runtime.kill.signal",
    MUST,
    KILL,
    "kill sends exactly the signal asked for to the container process",
    {name: ((name, n), OTHER_SIGNAL) for name, n in {"TERM": 15, "SIGUSR1": 10, "HUP": 1, "2": 2, "WINCH": 28}.items()},
)
def signal_arrives(t: Trial, case: tuple[str, int]) -> None:
    _arrives(t, *case)


@clause(
    "runtime.kill.signal.realtime",
    MAY,
    KILL,
    "a real-time signal can be named as the shell's kill -l does",
    broken_by=OTHER_SIGNAL,
)
def realtime_signal(t: Trial) -> None:
    _arrives(t, "SIGRTMIN+1", 35)


@clause(
    "runtime.kill.signal.invalid",
    MUST,
    "config.md#valid-values",
    "a signal that does not exist is an error",
    broken_by=skip("kill"),
)
def kill_nonsense(t: Trial) -> None:
    box = t.paused()
    _refuses(t, "kill", box.id, "NOSUCHSIGNAL")
    expect(box.status(), "running", "status after a refused kill")


# ---- delete


@clause("runtime.delete.no-id", MUST, DELETE, "delete without an id is an error", broken_by=succeed("delete"))
def delete_without_id(t: Trial) -> None:
    _refuses(t, "delete")


@clause("runtime.delete.unknown", MUST, DELETE, "delete of no container is an error", broken_by=succeed("delete"))
def delete_nobody(t: Trial) -> None:
    _refuses(t, "delete", t.new_id())


@clause(
    "runtime.delete.running",
    MUST,
    DELETE,
    "delete of a container that is not stopped is an error",
    variant="running",
    broken_by=succeed("delete"),
)
def delete_running(t: Trial) -> None:
    box = t.paused()
    _refuses(t, "delete", box.id)


@also("runtime.delete.running", variant="created", broken_by=())
def delete_created(t: Trial) -> None:
    box = t.created(t.config())
    _refuses(t, "delete", box.id)


@clause(
    "runtime.delete.running.effect",
    MUST,
    DELETE,
    "delete of a container that is not stopped has no effect on it",
    broken_by=before("delete", "kill", "{id}", "KILL"),
)
def delete_running_no_effect(t: Trial) -> None:
    box = t.paused()
    box.call("delete", box.id)
    expect((box.status(), box.state()["pid"]), ("running", box.pid), "status and pid after a refused delete")


@clause(
    "runtime.delete.resources",
    MUST,
    DELETE,
    "delete removes what create made",
    broken_by=skip("delete"),
)
def delete_resources(t: Trial) -> None:
    box = t.paused()
    box.stop()
    box.delete()
    require(not box.exists(), "state still answers after delete")
    expect([str(path) for path in host.groups_under(t.group)], [], "cgroups left after delete")


@clause(
    "runtime.delete.others",
    MUST,
    DELETE,
    "delete leaves alone what belongs to the container but was not made by it",
    broken_by=after("delete", "delete", "--force", "{id}-beside"),
)
def delete_others(t: Trial) -> None:
    config = t.share(t.config())
    (t.shared / "keep").write_text("kept")
    box = t.paused(config)
    beside = t.created(t.config(), id=f"{box.id}-beside")
    box.stop()
    box.delete()
    expect((t.shared / "keep").read_text(), "kept", "a file of a bind mount after delete")
    require(box.bundle.rootfs.is_dir() and (box.bundle.path / "config.json").exists(), "the bundle is gone")
    expect(beside.status(), "created", "another container after delete")


@clause(
    "runtime.delete.id-free",
    MAY,
    DELETE,
    "after delete the id can be used again",
    broken_by=skip("delete"),
)
def id_again(t: Trial) -> None:
    box = t.paused()
    box.stop()
    box.delete()
    again = t.created(t.config(), id=box.id)
    expect(again.status(), "created", "status of the second container of that id")
