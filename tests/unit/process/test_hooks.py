"""Hooks, run for real: small shell programs."""

from __future__ import annotations

import os
import select
import time
from pathlib import Path
from typing import Any

import pytest

from ociruntime.core.errors import ConfigError, HookError
from ociruntime.core.kernel import Kernel
from ociruntime.core.launch.hooks import Program, run_hooks
from ociruntime.core.options import CreateOptions, Globals
from ociruntime.core.plan import hooks as planner
from ociruntime.core.plan.draft import Draft, Host

STATE = b'{"ociVersion":"1.3.0","id":"c"}'


def shell(script: str, **more: Any) -> Any:
    return {"path": "/bin/sh", "args": ["sh", "-c", script], **more}


def run(*hooks: Any, state: bytes = STATE, kind: str = "createRuntime", **more: Any) -> None:
    run_hooks(Kernel(), hooks, state, kind, f"/hooks/{kind}", **more)


def failure(*hooks: Any, **more: Any) -> HookError:
    with pytest.raises(HookError) as caught:
        run(*hooks, **more)
    return caught.value


def test_hooks_run_in_order_with_the_state_on_standard_input(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(shell(f"echo first >> {out}"), shell(f"cat >> {out}"), shell(f"echo; echo third >> {out}"))
    assert out.read_bytes() == b"first\n" + STATE + b"third\n"


def test_args_include_argv0(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run({"path": "/bin/sh", "args": ["my-name", "-c", f'echo "$0 $1" > {out}', "zero", "one"]})
    assert out.read_text() == "zero one\n"


def test_without_args_argv_is_the_path(tmp_path: Path) -> None:
    script = tmp_path / "hook"
    script.write_text(f'#!/bin/sh\necho "$0 $#" > {tmp_path}/out\n')
    script.chmod(0o755)
    run({"path": str(script)})
    assert (tmp_path / "out").read_text() == f"{script} 0\n"


def test_the_first_failure_stops_the_row_and_says_what_the_hook_said(tmp_path: Path) -> None:
    caught = failure(shell("exit 0"), shell("echo out; echo err >&2; exit 3"), shell(f"touch {tmp_path}/third"))
    assert 'createRuntime hook 1 "/bin/sh" failed after ' in caught.what
    assert "exit status 3; command: /bin/sh -c 'echo out; echo err >&2; exit 3'; output: out\nerr" in caught.what
    assert caught.origin == "/hooks/createRuntime/1"
    assert "\n" not in caught.line()
    assert not (tmp_path / "third").exists()


def test_only_the_end_of_long_output_is_kept() -> None:
    caught = failure(shell("i=0; while [ $i -lt 2000 ]; do echo line $i of many; i=$((i+1)); done; exit 1"))
    assert caught.what.endswith("line 1999 of many")
    assert "line 0 of" not in caught.what and len(caught.what) < 5000


def test_a_signal_is_named() -> None:
    assert "killed by signal 9" in failure(shell("kill -9 $$")).what


@pytest.mark.parametrize(("path", "reason"), [("/nope", "no such file or directory"), ("/etc", "permission denied")])
def test_a_hook_that_cannot_be_executed(path: str, reason: str) -> None:
    assert f'"{path}" failed after 0 ms: {reason}' in failure({"path": path}).what


def test_state_larger_than_a_pipe_is_no_problem_read_or_not() -> None:
    state = b"x" * 1_000_000
    assert "1000000" in failure(shell("wc -c; exit 1"), state=state).what
    run({"path": "/bin/true"}, state=state)
    run(shell("head -c 10 > /dev/null; exec <&-; exit 0"), state=state)


def ends(pid: int) -> bool:
    """Whether a process ends within 10 s. It is not ours to wait for; reaped already counts."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    ready, _, _ = select.select([pidfd], [], [], 10)
    os.close(pidfd)
    return bool(ready)


def test_a_timeout_kills_the_hook_and_its_children(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    began = time.monotonic()
    # A child in the background that blocks for ever holds the reading end once the writer is open
    caught = failure(shell(f"cat {fifo} & cat > /dev/null; echo $! > {tmp_path}/pid; read x < {fifo}", timeout=1))
    assert "did not end within 1 s" in caught.what
    assert 0.9 < time.monotonic() - began < 10
    assert ends(int((tmp_path / "pid").read_text())), "a child of the hook has survived it"


def test_a_daemon_of_a_hook_neither_blocks_nor_dies(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    run(shell(f"(read word < {fifo}; echo $word > {tmp_path}/out; echo done > {fifo}) &"))
    fifo.write_text("alive\n")
    assert fifo.read_text() == "done\n"
    assert (tmp_path / "out").read_text() == "alive\n"


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "poststart", "poststop"])
def test_hooks_of_the_runtime_inherit_its_environment(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESS_TEST", "inherited")
    run(shell('test "$PROCESS_TEST" = inherited'), kind=kind)


@pytest.mark.parametrize("kind", ["createContainer", "startContainer"])
def test_hooks_in_the_container_do_not(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESS_TEST", "inherited")
    run(shell('test -z "$PROCESS_TEST"'), kind=kind)
    run(
        shell('test "$PROCESS_TEST" = given'),
        kind=kind,
        program=Program(environ={b"PROCESS_TEST": b"given"}, confine=lambda: None),
    )


def test_a_hook_with_an_environment_has_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESS_TEST", "inherited")
    run(shell('test "$A$PROCESS_TEST" = 1', env=["A=1"]))
    run(shell('test -z "$PROCESS_TEST"', env=[]))


def test_no_descriptor_of_the_runtime_reaches_a_hook(tmp_path: Path) -> None:
    with (tmp_path / "leak").open("w") as leak:
        os.set_inheritable(leak.fileno(), True)
        run(shell(f'for fd in /proc/self/fd/*; do test "$(readlink $fd)" != {leak.name} || exit 1; done'))


def test_nothing_of_a_hook_is_left_open() -> None:
    before = os.listdir("/proc/self/fd")
    run(shell("exit 0"))
    failure(shell("exit 1"))
    assert os.listdir("/proc/self/fd") == before


def draft(hooks: Any) -> Draft:
    spec: Any = {"ociVersion": "1.3.0", "hooks": hooks}
    return Draft(spec, "c", CreateOptions(bundle="/b"), Globals(root="/r"), Host())


@pytest.mark.parametrize(
    ("hook", "pointer"),
    [
        ({"path": "bin/x"}, "path"),
        ({"path": "/x", "timeout": 0}, "timeout"),
        ({"path": "/x", "timeout": -1}, "timeout"),
    ],
)
def test_what_a_hook_must_be(hook: Any, pointer: str) -> None:
    with pytest.raises(ConfigError) as caught:
        planner.contribute(draft({"poststop": [{"path": "/ok", "timeout": 1}, hook]}))
    assert caught.value.origin == f"/hooks/poststop/1/{pointer}"
