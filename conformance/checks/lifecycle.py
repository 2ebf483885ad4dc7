"""runtime.md, scope and lifecycle: what happens when, and what a failure leaves behind."""

from __future__ import annotations

import json

from conformance import host
from conformance.registry import MUST, SHOULD, also, clause, each, unobservable
from conformance.saboteur import after, drop, fail, put, skip, succeed
from conformance.trial import Failed, Trial, expect, require

LIFECYCLE = "runtime.md#lifecycle"
ERRORS = "runtime.md#errors"
BROKEN = {"destination": "/broken", "type": "nosuchfs", "source": "none"}


@clause(
    "runtime.scope.operations",
    MUST,
    "runtime.md#scope-of-a-container",
    "whoever created a container can use every operation on it",
    broken_by=fail("kill"),
)
def every_operation(t: Trial) -> None:
    box = t.created(t.program(t.config(), "pause"))
    box.state()
    box.start()
    box.kill("KILL")
    box.wait()
    box.delete()


@clause(
    "runtime.lifecycle.environment",
    MUST,
    LIFECYCLE,
    "create makes the environment that config.json describes",
    broken_by=drop("/linux/namespaces"),
)
def environment_at_create(t: Trial) -> None:
    box = t.created(t.config())
    ours, theirs = _namespaces("self"), _namespaces(str(box.pid))
    same = [kind for kind in ("pid_for_children", "net", "ipc", "uts", "mnt") if ours[kind] == theirs[kind]]
    require(not same, f"after create the container shares our {', '.join(same)} namespace")


def _namespaces(pid: str) -> dict[str, str]:
    import os

    return {name: os.readlink(f"/proc/{pid}/ns/{name}") for name in os.listdir("/proc/self/ns")}


@clause(
    "runtime.lifecycle.environment.error",
    MUST,
    LIFECYCLE,
    "an environment that cannot be created is an error",
    broken_by=drop("/mounts/-1"),
)
def impossible_environment(t: Trial) -> None:
    config = t.config()
    config["mounts"].append(dict(BROKEN))
    t.refused(config, "a mount of a file system type that does not exist")


@clause(
    "runtime.lifecycle.program-waits",
    MUST,
    LIFECYCLE,
    "the user's program does not run before start",
    broken_by=after("create", "start", "{id}"),
)
def program_waits(t: Trial) -> None:
    config = t.share(t.config("note:/shared/hooks,program"))
    box = t.created(config)
    for _ in range(3):
        expect(box.status(), "created", "status after create")
    expect(t.tags(), [], "what ran before start")
    box.start()
    box.report()
    expect(t.tags(), ["program"], "what ran after start")


@clause(
    "runtime.lifecycle.config-frozen",
    MUST,
    LIFECYCLE,
    "changes to config.json after create have no effect on the container",
    broken_by=put("/process/args", ["/probe", "report", "stat:/edited"]),
)
def config_frozen(t: Trial) -> None:
    config = t.config("stat:/original")
    box = t.created(config)
    t.program(config, "report", "stat:/edited")
    config["process"] |= {"cwd": "/tmp", "env": ["EDITED=1"], "user": {"uid": 7, "gid": 7}}
    box.bundle.write(config)
    box.start()
    seen = box.report()
    expect(seen.deed["deed"], "stat:/original", "the program's argument")
    expect((seen["cwd"], seen["uid"]), ("/", 0), "cwd and uid")
    require("EDITED=1" not in seen["env"], "the edited environment was used")


@clause(
    "runtime.lifecycle.program-runs",
    MUST,
    LIFECYCLE,
    "start runs the user's program as process says",
    broken_by=skip("start"),
)
def program_runs(t: Trial) -> None:
    seen = t.run(t.config())
    expect(seen["argv"], ["/probe", "report"], "argv")


@clause(
    "runtime.lifecycle.exit",
    MUST,
    LIFECYCLE,
    "when the container process has exited the container is stopped",
    broken_by=put("/process/args", ["/probe", "pause"]),
)
def stops_by_itself(t: Trial) -> None:
    box = t.started(t.program(t.config(), "true"))
    box.wait()
    t.until(lambda: box.status() == "stopped", "status stopped after the program's end")


@clause(
    "runtime.lifecycle.destroy",
    MUST,
    LIFECYCLE,
    "delete undoes what create did",
    broken_by=skip("delete"),
)
def destroyed(t: Trial) -> None:
    box = t.paused()
    groups = host.groups_under(t.group)
    require(groups or host.Hierarchies.read().version == 0, "the container is in no cgroup of its own")
    box.stop()
    box.delete()
    require(not box.exists(), "state still answers after delete")
    left = [str(path) for path in host.groups_under(t.group)]
    expect(left, [], "cgroups left after delete")
    expect(list(t.runtime.root.glob(f"{box.id}*")), [], "state directory left after delete")


@clause(
    "runtime.errors.environment",
    MUST,
    ERRORS,
    "an error leaves everything as if the operation had never been tried",
    broken_by=succeed("create"),
)
def error_leaves_nothing(t: Trial) -> None:
    config = t.config()
    config["mounts"].append(dict(BROKEN))
    box = t.create(config)
    t.no_hang(box.created)
    require(not box.created.ok, "a container that cannot be created was created")
    require(not box.exists(), "state knows the container that could not be created")
    left = [str(path) for path in host.groups_under(t.group)]
    expect(left, [], "cgroups left by a failed create")
    again = t.created(t.config(), id=box.id)
    expect(again.status(), "created", "status of a container that takes the id of a failed one")


@also("runtime.errors.environment", variant="start", broken_by=after("start", "kill", "{id}", "KILL"))
def failed_start_leaves_state(t: Trial) -> None:
    box = t.paused()
    outcome = box.call("start", box.id)
    t.no_hang(outcome)
    require(not outcome.ok, "a second start succeeded")
    expect(box.status(), "running", "status after a refused start")


@clause(
    "runtime.warnings.flow",
    MUST,
    "runtime.md#warnings",
    "a warning does not change the flow of an operation",
    broken_by=put("/process/user/uid", 4294967296),
)
def warning_goes_on(t: Trial) -> None:
    config = t.config()
    config["process"]["capabilities"]["bounding"].append("CAP_NO_SUCH_THING")
    outcome = t.create(config).created
    if not outcome.ok:
        raise Failed(f"a capability the kernel does not know must be a warning: {outcome.tell()}", outcome)


unobservable(
    "runtime.errors.exposure",
    SHOULD,
    ERRORS,
    "how, or whether, an error reaches the caller is left to the implementation",
    "the spec asks nothing; this suite takes an exit status other than 0 as the error",
)

NO_DOCUMENTS: dict[str, str | bytes] = {
    "not-json": "this is no JSON",
    "truncated": '{"ociVersion": "1.0.2", "root": {',
    "empty": "",
    "array": "[]",
    "binary": b"\x00\xff\xfe\x80",
}


@each(
    "bundle.config.json",
    MUST,
    "glossary.md#json",
    "config.json is a JSON object in UTF-8; anything else is an error",
    {name: (raw, succeed("create")) for name, raw in NO_DOCUMENTS.items()},
)
def bad_document(t: Trial, raw: str | bytes) -> None:
    t.refused(raw, "a config.json that is no JSON object")


@clause(
    "bundle.config.duplicates",
    MUST,
    "glossary.md#json",
    "a JSON object does not name a property twice",
    broken_by=succeed("create"),
)
def duplicate_names(t: Trial) -> None:
    text = json.dumps(t.config())
    t.refused(text.replace('"hostname":', '"hostname": "other", "hostname":', 1), "an object with a duplicate name")


@clause(
    "bundle.config.present",
    MUST,
    "bundle.md#container-format",
    "config.json stands in the root of the bundle; without it create fails",
    broken_by=succeed("create"),
)
def missing_config(t: Trial) -> None:
    bundle = t.bundle()
    outcome = t.runtime.call("create", "--bundle", str(bundle.path), t.new_id())
    t.no_hang(outcome)
    require(not outcome.ok, "a bundle without config.json was accepted")
