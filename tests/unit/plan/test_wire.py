"""What parent and child say to each other (launch/wire.py), and how steps fail (launch/act.py)."""

from __future__ import annotations

import os
import socket

import pytest

from ociruntime.core.errors import ConfigError, HookError, StepError
from ociruntime.core.kernel import Kernel
from ociruntime.core.launch import wire
from ociruntime.core.launch.act import act, undo
from ociruntime.core.launch.parent import describe_tape
from ociruntime.core.lifecycle.begin import begin, hear_beginning
from ociruntime.core.plan.draft import LastCall
from ociruntime.core.steps.base import Scene, Step
from tests.unit.recorder import Recorder


def test_a_failure_of_the_child_is_raised_in_the_parent() -> None:
    ours, theirs = wire.pair()
    failure = HookError("hook failed", code="hook-failed", origin="/hooks/prestart/0", errno=2, hint="look")
    theirs.say(wire.FAILED, *wire.encode_failure(failure))
    with pytest.raises(HookError) as caught:
        ours.expect()
    assert vars(caught.value) == vars(failure)
    ours.close()
    theirs.close()


def test_an_unknown_class_of_failure_is_still_one() -> None:
    with pytest.raises(StepError, match="x"):
        raise wire.decode_failure([b"Nonsense", b"code", b"x", b"", b"0", b"", b"mount"])


@pytest.mark.parametrize("said", [[wire.MOUNTED, wire.MOUNTED], [wire.READY, wire.READY], [wire.READY, wire.CONSOLE]])
def test_an_order_that_is_not_legal(said: list[bytes]) -> None:
    ours, theirs = wire.pair()
    for kind in said:
        theirs.say(kind)
    ours.expect()
    with pytest.raises(StepError):
        ours.expect()
    ours.close()
    theirs.close()


def test_the_end_of_the_child_is_an_error_until_it_was_ready() -> None:
    ours, theirs = wire.pair()
    theirs.close()
    with pytest.raises(StepError, match="killed"):
        ours.expect()
    ours.close()


def test_a_descriptor_travels() -> None:
    ours, theirs = wire.pair()
    reader, writer = os.pipe()
    theirs.say(wire.CONSOLE, fd=writer)
    _, _, received = ours.expect()
    os.write(received, b"x")
    assert os.read(reader, 1) == b"x" and not os.get_inheritable(received)
    for fd in (reader, writer, received):
        os.close(fd)
    ours.close()
    theirs.close()


class Deed(Step):
    name: str = ""
    error: Exception | None = None

    def describe(self) -> str:
        return f"do {self.name}"

    def apply(self, kernel: object, scene: Scene) -> None:
        if self.error:
            raise self.error

    def undo(self, kernel: object, scene: Scene) -> None:
        scene.found[self.name] = b"undone %d" % len(scene.found)


def test_a_refusal_carries_the_step_and_its_origin() -> None:
    done: list[Step] = []
    deeds = [Deed(name="a"), Deed(name="b", error=OSError(13, "Permission denied"), origin="/x/1"), Deed(name="c")]
    with pytest.raises(StepError, match="do b: permission denied") as caught:
        act(Recorder(), Scene(), deeds, done)
    assert (caught.value.origin, caught.value.errno) == ("/x/1", 13)
    assert done == deeds[:2]


def test_a_failure_keeps_its_own_origin() -> None:
    with pytest.raises(ConfigError) as caught:
        act(Recorder(), Scene(), [Deed(error=ConfigError("x", origin="/own"), origin="/step")])
    assert caught.value.origin == "/own"


def test_undo_goes_backwards() -> None:
    scene = Scene()
    undo(Recorder(), scene, [Deed(name="a"), Deed(name="b")])
    assert scene.found == {"b": b"undone 0", "a": b"undone 1"}


def test_the_tape_is_told_by_its_deeds() -> None:
    calls = [
        LastCall(name="prctl", shown="drop", origin="/c"),
        LastCall(name="prctl"),
        LastCall(name="execve", shown="exec x"),
    ]
    assert describe_tape(calls, b"-1,0,1,2") == [[1, "drop", "/c"], [3, "exec x", ""]]


def test_a_program_that_nobody_can_begin_any_more_is_no_failure() -> None:
    """Init was killed: its status tells, as it does when that happens a moment later."""
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours:
        begin(Kernel(), ours.fileno())
    ours, theirs = socket.socketpair()
    with theirs:
        begin(Kernel(), theirs.fileno())
        assert ours.recv(10) == b"\n"
    hear_beginning(Kernel(), ours.detach(), {})


def test_who_ends_with_something_unread_is_heard_nevertheless() -> None:
    """A child may fail while the next word is on its way: its socket then ends by ECONNRESET (unix(7))."""
    ours, theirs = wire.pair()
    ours.say(wire.GO)
    theirs.say(wire.FAILED, *wire.encode_failure(StepError("no", code="x")))
    theirs.close()
    with pytest.raises(StepError) as failed:
        ours.expect()
    assert failed.value.what == "no"
    ours.close()
