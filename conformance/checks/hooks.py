"""config.md, hooks: when they run, where, in which order, with what on stdin, and what their failure does."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from conformance.registry import MAY, MUST, Level, clause, each, unobservable
from conformance.saboteur import drop, move, put, reverse, swap
from conformance.trial import Container, Failed, Trial, expect, first, require

HOOKS = "config.md#posix-platform-hooks"
ANCHORS = {
    "prestart": "config.md#prestart",
    "createRuntime": "config.md#createruntime-hooks",
    "createContainer": "config.md#createcontainer-hooks",
    "startContainer": "config.md#startcontainer-hooks",
    "poststart": "config.md#poststart",
    "poststop": "config.md#poststop",
}
NAMES = tuple(ANCHORS)
INSIDE = {"startContainer"}
BEFORE_START = ("prestart", "createRuntime", "createContainer")
# runtime.md counts creating as step 2 of the lifecycle, created as what comes after it, and prestart hooks, which the
# specification once ran in start, as step 3: both words can be meant for those
STATUS = {
    "prestart": ("creating", "created"),
    "createRuntime": ("creating",),
    "createContainer": ("creating",),
    "startContainer": ("created",),
    "poststart": ("running",),
    "poststop": ("stopped",),
}


def _config(t: Trial, **hooks: list[dict[str, Any]]) -> dict[str, Any]:
    config = t.share(t.config("note:/shared/hooks,program"))
    config["hooks"] = hooks
    return config


def _life(t: Trial, config: dict[str, Any]) -> Container:
    """create, start, end, delete, with a record of who ran between the operations."""
    box = t.created(config)
    _mark(t, "created")
    box.start()
    box.report()
    box.wait()
    _mark(t, "started")
    box.delete()
    _mark(t, "deleted")
    return box


def _mark(t: Trial, tag: str) -> None:
    with open(t.shared / "hooks", "a") as log:
        log.write(json.dumps({"tag": tag}) + "\n")


def _hook(t: Trial, name: str, tag: str = "", code: int = 0, **extra: Any) -> dict[str, Any]:
    return t.hook(tag or name, code, inside=name in INSIDE, **extra)


def _declare(part: str, name: str, text: str, *, level: Level = MUST, broken_by: Any = ()) -> Any:
    return clause(f"hooks.{name}.{part}", level, ANCHORS[name], text, broken_by=broken_by)


# ---- when


WHEN = {
    "prestart": ("as part of create", lambda tags: tags.index("prestart") < tags.index("created")),
    "createRuntime": ("as part of create", lambda tags: tags.index("createRuntime") < tags.index("created")),
    "createContainer": ("as part of create", lambda tags: tags.index("createContainer") < tags.index("created")),
    "startContainer": (
        "as part of start, before the program",
        lambda tags: tags.index("created") < tags.index("startContainer") < tags.index("program"),
    ),
    "poststart": (
        "after the program was executed and before start returns",
        lambda tags: tags.index("created") < tags.index("poststart") < tags.index("started"),
    ),
    "poststop": (
        "after the container is deleted and before delete returns",
        lambda tags: tags.index("started") < tags.index("poststop") < tags.index("deleted"),
    ),
}

for _name, (_when, _holds) in WHEN.items():

    def _timely(t: Trial, name: str = _name, when: str = _when, holds: Any = _holds) -> None:
        _life(t, _config(t, **{name: [_hook(t, name)]}))
        tags = t.tags()
        require(name in tags, f"the {name} hook did not run; what ran: {tags}")
        require(holds(tags), f"the {name} hook has to run {when}; order: {tags}")

    _declare("when", _name, f"{_name} hooks are called {_when}", broken_by=drop(f"/hooks/{_name}"))(_timely)


# ---- order


@each(
    "hooks.order",
    MUST,
    HOOKS,
    "hooks of one kind are called in the listed order",
    {name: (name, reverse(f"/hooks/{name}")) for name in NAMES},
)
def in_order(t: Trial, name: str) -> None:
    _life(t, _config(t, **{name: [_hook(t, name, f"{name}{i}") for i in range(3)]}))
    ran = [tag for tag in t.tags() if tag.startswith(name)]
    expect(ran, [f"{name}{i}" for i in range(3)], f"order of three {name} hooks")


def _before(t: Trial, early: str, late: str) -> None:
    _life(t, _config(t, **{name: [_hook(t, name)] for name in (late, early)}))
    tags = t.tags()
    require({early, late} <= set(tags), f"both hooks have to run; what ran: {tags}")
    require(tags.index(early) < tags.index(late), f"{early} has to run before {late}: {tags}")


@clause(
    "hooks.prestart.first",
    MUST,
    "config.md#prestart",
    "prestart hooks are called before createRuntime hooks",
    broken_by=swap("/hooks/prestart", "/hooks/createRuntime"),
)
def prestart_first(t: Trial) -> None:
    _before(t, "prestart", "createRuntime")


@clause(
    "hooks.createContainer.after",
    MUST,
    "config.md#createcontainer-hooks",
    "createContainer hooks are called after createRuntime hooks",
    broken_by=swap("/hooks/createRuntime", "/hooks/createContainer"),
)
def create_container_after(t: Trial) -> None:
    _before(t, "createRuntime", "createContainer")


@clause(
    "runtime.lifecycle.hooks",
    MUST,
    "runtime.md#lifecycle",
    "all six kinds run in the order of the lifecycle",
    broken_by=drop("/hooks/poststop"),
)
def whole_order(t: Trial) -> None:
    _life(t, _config(t, **{name: [_hook(t, name)] for name in NAMES}))
    tags = [tag for tag in t.tags() if tag in NAMES]
    # the program and poststart run at the same time: only hooks are compared
    expect(tags, list(NAMES), "order of hooks")


# ---- where


def _namespace_check(t: Trial, name: str, *, inside: bool) -> None:
    _life(t, _config(t, **{name: [_hook(t, name)]}))
    record = first(t.records(), name)
    program_mnt = record["namespaces"]["mnt"]
    host_mnt = os.readlink("/proc/self/ns/mnt")
    host_uts = os.readlink("/proc/self/ns/uts")
    seen_uts = record["namespaces"]["uts"]
    if inside:
        require(program_mnt != host_mnt, f"the {name} hook ran in the host's mount namespace")
        require(seen_uts != host_uts, f"the {name} hook ran in the host's uts namespace")
    else:
        expect((program_mnt, seen_uts), (host_mnt, host_uts), f"mount and uts namespaces of the {name} hook")


for _name in NAMES:
    _inside = _name in ("createContainer", "startContainer")

    def _where(t: Trial, name: str = _name, inside: bool = _inside) -> None:
        _namespace_check(t, name, inside=inside)

    _place = "container" if _inside else "runtime"
    _other = "createRuntime" if _inside else "createContainer"
    _declare(
        "namespace",
        _name,
        f"{_name} hooks are executed in the {_place} namespace",
        broken_by=move(f"/hooks/{_name}", f"/hooks/{_other}"),
    )(_where)


for _name in NAMES:

    def _resolves(t: Trial, name: str = _name) -> None:
        config = _config(t, **{name: [_hook(t, name)]})
        inside = name in INSIDE
        path = "/hook-program" if inside else str(t.home / "hook-program")
        config["hooks"][name][0]["path"] = path
        bundle = t.bundle()
        target = bundle.rootfs / "hook-program" if inside else t.home / "hook-program"
        target.write_bytes(t.probe.read_bytes())
        target.chmod(0o755)
        box = t.created(config, bundle=bundle)
        box.start()
        box.report()
        box.wait()
        box.delete()
        first(t.records(), name)

    _place = "container" if _name in INSIDE else "runtime"
    _declare(
        "path", _name, f"the path of {_name} hooks resolves in the {_place} namespace",
        broken_by=drop(f"/hooks/{_name}"),
    )(_resolves)  # fmt: skip


for _name in BEFORE_START:

    def _before_pivot(t: Trial, name: str = _name) -> None:
        box = _life(t, _config(t, **{name: [_hook(t, name)]}))
        record = first(t.records(), name)
        root = os.stat(box.bundle.rootfs)
        inside = f"{root.st_dev}:{root.st_ino}"
        seen = record["root"] if name == "createContainer" else record["init_root"]
        require(seen is not None, f"the container's process was gone when the {name} hook ran")
        require(seen != inside, f"the container's root was changed already when the {name} hook ran")

    _declare(
        "pivot", _name, f"{_name} hooks are called before the root file system is changed",
        broken_by=move(f"/hooks/{_name}", "/hooks/poststart")
        if _name != "createContainer" else (),
    )(_before_pivot)  # fmt: skip


@clause(
    "hooks.environment-ready",
    MUST,
    "config.md#createruntime-hooks",
    "when createRuntime hooks run the container's namespaces exist",
    broken_by=drop("/linux/namespaces"),
)
def namespaces_exist(t: Trial) -> None:
    config = _config(t)
    script = (
        "pid=$(sed -n 's/.*\"pid\": *\\([0-9]*\\).*/\\1/p'); net=$(readlink /proc/$pid/ns/net); "
        f'printf \'{{"tag":"net","net":"%s"}}\\n\' "$net" >> {t.shared}/hooks'
    )
    config["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}
    t.created(config)
    seen = first(t.records(), "net")["net"]
    require(seen.startswith("net:["), f"the hook found no network namespace of the container: {seen!r}")
    require(seen != os.readlink("/proc/self/ns/net"), "the container still had the host's network namespace")


# ---- what they are given


@each(
    "hooks.state",
    MUST,
    HOOKS,
    "hooks get the container's state on stdin",
    {name: (name, put("/annotations", {})) for name in NAMES},
)
def state_on_stdin(t: Trial, name: str) -> None:
    config = _config(t, **{name: [_hook(t, name)]})
    config["annotations"] = {"com.example.hook": "yes"}
    box = _life(t, config)
    raw = first(t.records(), name)["state"]
    try:
        state = json.loads(raw)
    except ValueError:
        raise Failed(f"the state on stdin is no JSON: {raw[:200]!r}") from None
    expect(state.get("id"), box.id, "id on stdin")
    require(str(state.get("bundle", "")).startswith("/"), f"bundle on stdin: {state.get('bundle')!r}")
    require("ociVersion" in state and "status" in state, f"state on stdin lacks a required property: {sorted(state)}")
    expect((state.get("annotations") or {}).get("com.example.hook"), "yes", "annotation on stdin")


for _name, _status in STATUS.items():

    def _told(t: Trial, name: str = _name, status: tuple[str, ...] = _status) -> None:
        _life(t, _config(t, **{name: [_hook(t, name)]}))
        told = json.loads(first(t.records(), name)["state"]).get("status")
        require(told in status, f"status told to {name} hooks: {told!r} instead of {' or '.join(status)}")

    _wrong = "poststop" if _name != "poststop" else "poststart"
    clause(
        f"hooks.{_name}.status",
        MUST,
        "runtime.md#state",
        f"the state given to {_name} hooks says {' or '.join(_status)}",
        broken_by=move(f"/hooks/{_name}", f"/hooks/{_wrong}"),
    )(_told)


@clause(
    "hooks.pid.runtime",
    MUST,
    "runtime.md#state",
    "hooks in the runtime namespace are told the pid as the runtime sees it",
    broken_by=drop("/hooks/createRuntime"),
)
def pid_outside(t: Trial) -> None:
    box = _life(t, _config(t, createRuntime=[_hook(t, "createRuntime")]))
    expect(json.loads(first(t.records(), "createRuntime")["state"]).get("pid"), box.pid, "pid on stdin")


@clause(
    "hooks.pid.container",
    MUST,
    "runtime.md#state",
    "hooks in the container namespace are told the pid as the container sees it",
    broken_by=drop("/hooks/startContainer"),
)
def pid_inside(t: Trial) -> None:
    _life(t, _config(t, startContainer=[_hook(t, "startContainer")]))
    expect(json.loads(first(t.records(), "startContainer")["state"]).get("pid"), 1, "pid on stdin")


@clause(
    "hooks.args",
    MUST,
    HOOKS,
    "args of a hook are its whole argv, the first included",
    broken_by=drop("/hooks/createRuntime/0/args/0"),
)
def hook_args(t: Trial) -> None:
    config = _config(t, createRuntime=[_hook(t, "createRuntime")])
    config["hooks"]["createRuntime"][0]["args"] = ["other-name", "hook", str(t.shared / "hooks"), "x", "0", "a b", ""]
    t.created(config)
    expect(first(t.records(), "x")["argv"][0::5], ["other-name", "a b"], "argv[0] and argv[5] of the hook")


@clause(
    "hooks.env",
    MUST,
    HOOKS,
    "env of a hook is its whole environment",
    broken_by=drop("/hooks/createRuntime/0/env"),
)
def hook_env(t: Trial) -> None:
    config = _config(t, createRuntime=[_hook(t, "createRuntime", env=["ONE=1", "TWO=a b"])])
    t.created(config)
    seen = [entry for entry in first(t.records(), "createRuntime")["env"] if not entry.startswith(("PATH=", "LISTEN_"))]
    expect(sorted(seen), ["ONE=1", "TWO=a b"], "environment of the hook")


@clause(
    "hooks.path.absolute",
    MUST,
    HOOKS,
    "the path of a hook is absolute; another is an error",
    broken_by=drop("/hooks"),
)
def hook_path_absolute(t: Trial) -> None:
    config = _config(t, createRuntime=[_hook(t, "createRuntime")])
    config["hooks"]["createRuntime"][0]["path"] = "probe"
    t.refused(config, "a hook with a relative path")


@clause(
    "hooks.timeout",
    MUST,
    HOOKS,
    "a hook is aborted after timeout seconds",
    broken_by=drop("/hooks"),
    slow=True,
)
def hook_timeout(t: Trial) -> None:
    config = _config(t, createRuntime=[{"path": str(t.probe), "args": ["probe", "hang"], "timeout": 1}])
    begin = time.monotonic()
    t.refused(config, "a hook that never ends")
    require(time.monotonic() - begin < 8, f"the hook was aborted only after {time.monotonic() - begin:.0f} s")


@each(
    "hooks.timeout.positive",
    MUST,
    HOOKS,
    "the timeout of a hook is greater than zero",
    {"zero": (0, drop("/hooks")), "negative": (-1, drop("/hooks"))},
)
def timeout_positive(t: Trial, value: int) -> None:
    t.refused(_config(t, createRuntime=[_hook(t, "createRuntime", timeout=value)]), f"a hook timeout of {value}")


# ---- when they fail


for _name in BEFORE_START:

    def _fails_create(t: Trial, name: str = _name) -> None:
        box = t.create(_config(t, **{name: [_hook(t, name, code=7)], "poststop": [_hook(t, "poststop")]}))
        t.no_hang(box.created)
        first(t.records(), name)
        require(not box.created.ok, f"create exited 0 although a {name} hook failed")
        require(not box.exists() or box.status() == "stopped", f"the container lives on after a {name} hook failed")

    clause(
        f"hooks.{_name}.failure",
        MUST,
        "runtime.md#lifecycle",
        f"a {_name} hook that fails is an error of create, and the container is destroyed",
        broken_by=put(f"/hooks/{_name}/0/args/4", "0"),
    )(_fails_create)

    def _poststop_after(t: Trial, name: str = _name) -> None:
        box = t.create(_config(t, **{name: [_hook(t, name, code=7)], "poststop": [_hook(t, "poststop")]}))
        t.no_hang(box.created)
        require(not box.created.ok, f"create exited 0 although a {name} hook failed")
        require("poststop" in t.tags(), f"poststop hooks did not run after a {name} hook failed; what ran: {t.tags()}")

    clause(
        f"hooks.{_name}.failure.poststop",
        MUST,
        "runtime.md#lifecycle",
        f"after a {_name} hook failed the container is destroyed and poststop hooks run",
        broken_by=drop("/hooks/poststop"),
    )(_poststop_after)


@clause(
    "hooks.startContainer.failure",
    MUST,
    "runtime.md#lifecycle",
    "a startContainer hook that fails is an error of start; the program does not run",
    broken_by=put("/hooks/startContainer/0/args/4", "0"),
)
def start_container_fails(t: Trial) -> None:
    box = t.created(_config(t, startContainer=[_hook(t, "startContainer", code=7)]))
    outcome = box.call("start", box.id)
    t.no_hang(outcome)
    t.until(lambda: "startContainer" in t.tags(), "the startContainer hook to run")
    require("program" not in t.tags(), "the program ran although a startContainer hook failed")
    t.until(lambda: not box.exists() or box.status() == "stopped", "the container to stop")
    require(not outcome.ok, "start exited 0 although a startContainer hook failed")


@clause(
    "hooks.poststart.failure",
    MUST,
    "runtime.md#lifecycle",
    "a poststart hook that fails is an error of start, and the container is stopped (a warning before 1.3.0)",
    broken_by=put("/hooks/poststart/0/args/4", "0"),
)
def poststart_fails(t: Trial) -> None:
    config = _config(t, poststart=[_hook(t, "poststart", code=7)])
    box = t.create(t.program(config, "pause"))
    outcome = box.call("start", box.id) if box.created.ok else box.created
    t.no_hang(outcome)
    first(t.records(), "poststart")
    require(not outcome.ok, "neither create nor start failed although a poststart hook did")
    t.until(lambda: not box.exists() or box.status() == "stopped", "the container to stop")


@clause(
    "hooks.poststop.failure",
    MUST,
    "runtime.md#lifecycle",
    "a poststop hook that fails is a warning: the hooks after it run and delete succeeds",
    broken_by=drop("/hooks/poststop/1"),
)
def poststop_fails(t: Trial) -> None:
    box = t.started(_config(t, poststop=[_hook(t, "poststop", "one", code=7), _hook(t, "poststop", "two")]))
    box.report()
    box.wait()
    outcome = box.call("delete", box.id)
    t.no_hang(outcome)
    expect([tag for tag in t.tags() if tag in ("one", "two")], ["one", "two"], "poststop hooks that ran")
    require(not box.exists(), "the container exists after delete")
    require(outcome.ok, f"delete failed because a poststop hook did: {outcome.tell()}")


@clause(
    "hooks.poststop.deleted",
    MUST,
    "config.md#poststop",
    "when poststop hooks run the container's process and cgroups are gone",
    broken_by=drop("/hooks/poststop"),
)
def poststop_after_destruction(t: Trial) -> None:
    config = t.share(t.config())
    list_groups = f"find /sys/fs/cgroup -name '{t.group}-*' -type d 2>/dev/null | wc -l"
    script = f'printf \'{{"tag":"left","groups":%d}}\\n\' $({list_groups}) >> {t.shared}/hooks'
    config["hooks"] = {"poststop": [{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"]}]}
    box = t.started(config)
    box.report()
    box.wait()
    box.delete()
    expect(first(t.records(), "left")["groups"], 0, "cgroups of the container when the poststop hook ran")


@clause(
    "hooks.cwd.createContainer",
    MAY,
    "config.md#createcontainer-hooks",
    "createContainer hooks see the mounts of the container",
    broken_by=drop("/hooks"),
)
def create_container_mounts(t: Trial) -> None:
    config = _config(t)
    rootfs = "rootfs"
    bundle = t.bundle()
    script = (
        f'printf \'{{"tag":"m","n":%d}}\\n\' $(grep -c \' {bundle.path}/{rootfs}/dev \' /proc/self/mountinfo) '
        f">> {t.shared}/hooks"
    )
    config["hooks"] = {
        "createContainer": [{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"]}]
    }
    t.created(config, bundle=bundle)
    expect(first(t.records(), "m")["n"], 1, "mounts at the container's /dev")


unobservable(
    "hooks.underspecified",
    MAY,
    "config.md#createruntime-hooks",
    "createRuntime and createContainer hooks may run before cgroups and security labels are set up",
    "a warning to authors of hooks: both orders conform",
)
