"""runtime.md, state: the document that tells what a container is."""

from __future__ import annotations

import os
from pathlib import Path

from jsonschema import Draft202012Validator

from conformance.registry import MAY, MUST, clause, unobservable
from conformance.saboteur import say, skip
from conformance.trial import Trial, expect, require

STATE = "runtime.md#state"

SCHEMA = {
    "type": "object",
    "required": ["ociVersion", "id", "status", "bundle"],
    "properties": {
        "ociVersion": {"type": "string", "pattern": r"^\d+\.\d+\.\d+"},
        "id": {"type": "string", "minLength": 1},
        "status": {"type": "string", "minLength": 1},
        "pid": {"type": "integer", "minimum": 0},
        "bundle": {"type": "string", "pattern": "^/"},
        "annotations": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
    },
    "if": {"properties": {"status": {"enum": ["created", "running"]}}},
    "then": {"required": ["pid"]},
}


@clause(
    "runtime.state.schema",
    MUST,
    STATE,
    "the state, as JSON, fits the state schema, in every phase of a container's life",
    broken_by=say("state", "bundle", 7),
)
def fits_the_schema(t: Trial) -> None:
    validator = Draft202012Validator(SCHEMA)
    box = t.created(t.program(t.config(), "pause"))
    for phase in ("created", "running", "stopped"):
        state = box.state()
        problems = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(state)]
        expect(problems, [], f"schema problems of the {phase} state")
        if phase == "created":
            box.start()
        elif phase == "running":
            box.stop()


@clause(
    "runtime.state.ociVersion",
    MUST,
    STATE,
    "the state names the version of the spec it complies with",
    broken_by=say("state", "ociVersion"),
)
def oci_version(t: Trial) -> None:
    version = t.created(t.config()).state().get("ociVersion")
    require(
        isinstance(version, str) and version[:1].isdigit() and version.count(".") >= 2, f"ociVersion is {version!r}"
    )


@clause("runtime.state.id", MUST, STATE, "the state carries the container's id", broken_by=say("state", "id", "other"))
def container_id(t: Trial) -> None:
    box = t.created(t.config())
    expect(box.state().get("id"), box.id, "id")


@clause(
    "runtime.state.id.unique",
    MUST,
    STATE,
    "an id is unique among the containers of the host",
    broken_by=skip("create"),
)
def unique_id(t: Trial) -> None:
    box = t.paused()
    second = t.create(t.config(), id=box.id)
    t.no_hang(second.created)
    require(not second.created.ok, "a second container took an id in use")
    expect(box.state()["pid"], box.pid, "pid of the first container")


@clause(
    "runtime.state.status.created",
    MUST,
    STATE,
    "after create and before start the status is created",
    broken_by=say("state", "status", "running"),
)
def status_created(t: Trial) -> None:
    expect(t.created(t.config()).status(), "created", "status")


@clause(
    "runtime.state.status.running",
    MUST,
    STATE,
    "while the user's program runs the status is running",
    broken_by=say("state", "status", "created"),
)
def status_running(t: Trial) -> None:
    expect(t.paused().status(), "running", "status")


@clause(
    "runtime.state.status.stopped",
    MUST,
    STATE,
    "after the container process has exited the status is stopped",
    broken_by=say("state", "status", "running"),
)
def status_stopped(t: Trial) -> None:
    box = t.paused()
    box.stop()
    expect(box.status(), "stopped", "status")


@clause(
    "runtime.state.status.creating",
    MAY,
    STATE,
    "while it is being created a container may be seen as creating",
    broken_by=skip("state"),
)
def status_creating(t: Trial) -> None:
    config = t.share(t.config())
    config["hooks"] = {"createRuntime": [t.hook("early")]}
    t.created(config)
    import json

    expect(json.loads(t.records()[0]["state"]).get("status"), "creating", "status told to a createRuntime hook")


@clause(
    "runtime.state.status.other",
    MUST,
    STATE,
    "a status of the runtime's own stands for a state the spec does not name",
    broken_by=say("state", "status", "napping"),
)
def no_invented_status(t: Trial) -> None:
    box = t.created(t.program(t.config(), "pause"))
    expect(box.status(), "created", "status after create")
    box.start()
    expect(box.status(), "running", "status after start")
    box.stop()
    expect(box.status(), "stopped", "status after the end")


@clause(
    "runtime.state.pid",
    MUST,
    STATE,
    "a created or running container's state has the pid of its process, as the runtime's namespace counts",
    broken_by=say("state", "pid"),
)
def pid(t: Trial) -> None:
    box = t.created(t.program(t.config(), "pause"))
    before = box.state().get("pid")
    require(isinstance(before, int) and Path(f"/proc/{before}").exists(), f"no process has the created pid {before!r}")
    box.start()
    expect(box.state().get("pid"), before, "pid after start")
    t.until(lambda: Path(f"/proc/{before}/cmdline").read_bytes() == b"/probe\0pause\0", "the pid to be the program")


@clause(
    "runtime.state.bundle",
    MUST,
    STATE,
    "the state has the absolute path of the bundle",
    broken_by=say("state", "bundle", "elsewhere"),
)
def bundle(t: Trial) -> None:
    box = t.created(t.config())
    told = str(box.state().get("bundle"))
    require(os.path.isabs(told), f"bundle is no absolute path: {told!r}")
    require(os.path.samefile(told, box.bundle.path), f"bundle is {told!r}, not {box.bundle.path}")


@clause(
    "runtime.state.annotations",
    MUST,
    STATE,
    "the state repeats the annotations of the container",
    broken_by=say("state", "annotations", {}),
)
def annotations_told(t: Trial) -> None:
    given = {"com.example.key": "value", "com.example.empty": ""}
    config = t.config()
    config["annotations"] = dict(given)
    told = t.created(config).state().get("annotations") or {}
    expect({key: told.get(key) for key in given}, given, "annotations")


@clause(
    "runtime.state.annotations.none",
    MAY,
    STATE,
    "without annotations the property may be absent or an empty map",
    broken_by=say("state", "annotations", ["no", "map"]),
)
def annotations_none(t: Trial) -> None:
    told = t.created(t.config()).state().get("annotations", {})
    require(told is None or isinstance(told, dict), f"annotations are {told!r}")


unobservable(
    "runtime.state.additional",
    MAY,
    STATE,
    "the state may have further properties",
    "a permission to the runtime: both answers conform",
)
unobservable(
    "runtime.state.id.hosts",
    MAY,
    STATE,
    "ids need not be unique across hosts",
    "one host cannot show it",
)
