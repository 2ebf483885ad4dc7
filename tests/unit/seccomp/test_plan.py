"""linux.seccomp to the calls of the player."""

from __future__ import annotations

from typing import Any

import pytest

from ociruntime.core.errors import ConfigError
from ociruntime.core.plan.seccomp import NEW_LISTENER, SPEC_ALLOW, plan_filter

TSYNC, LOG, KILLABLE = 1, 2, 32


def profile(*actions: str, **more: Any) -> dict[str, Any]:
    rules = [{"names": ["mkdir"], "action": action} for action in actions]
    return {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules, **more}


def flags(wanted: dict[str, Any]) -> Any:
    return plan_filter(wanted)[1].args[1]


def refusal(wanted: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        plan_filter(wanted)
    return caught.value.origin


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, SPEC_ALLOW),
        ({"flags": []}, 0),
        ({"flags": ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG"]}, TSYNC | LOG),
        ({"flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}, 0),
    ],
)
def test_flags(given: dict[str, Any], expected: int) -> None:
    assert flags(profile(**given)) == expected


def test_flags_with_a_listener() -> None:
    wanted = profile(
        "SCMP_ACT_NOTIFY",
        listenerPath="/l",
        flags=["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
    )
    assert flags(wanted) == NEW_LISTENER | KILLABLE


def test_the_listener_is_handed_over_before_the_program_runs() -> None:
    _step, _call, after = plan_filter(profile("SCMP_ACT_NOTIFY", listenerPath="/l"))
    assert [call.name for call in after] == ["write", "read", "close"]
    assert after[1].nonzero, "a runtime that died must not let the program run"


def test_a_listener_path_without_notify_is_ignored() -> None:
    _step, call, after = plan_filter(profile("SCMP_ACT_LOG", listenerPath="/l"))
    assert not after and call.args[1] == SPEC_ALLOW


@pytest.mark.parametrize(
    ("wanted", "origin"),
    [
        ({"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/l"}, "/linux/seccomp/defaultAction"),
        (profile("SCMP_ACT_NOTIFY"), "/linux/seccomp"),
        (profile(listenerMetadata="x"), "/linux/seccomp/listenerMetadata"),
        (profile(flags=["X"]), "/linux/seccomp/flags/0"),
        (
            {
                "defaultAction": "SCMP_ACT_ALLOW",
                "listenerPath": "/l",
                "syscalls": [{"names": ["read", "write"], "action": "SCMP_ACT_NOTIFY"}],
            },
            "/linux/seccomp/syscalls/0/names",
        ),
    ],
)
def test_what_could_only_hang_or_fail(wanted: dict[str, Any], origin: str) -> None:
    assert refusal(wanted) == origin
