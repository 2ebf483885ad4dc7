"""The five sets: what is asked for, what can be granted, what is said about the rest."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ociruntime.core.plan.capabilities import ALL, NAMES, NUMBERS, CapabilitySets, capability_sets, capset_data, names

EVERY = {kind: ["CAP_KILL"] for kind in ("bounding", "effective", "permitted", "inheritable", "ambient")}
KILL = 1 << 5


def sets(wanted: dict[str, list[str]] | None, grantable: int = ALL) -> CapabilitySets:
    return capability_sets(wanted, grantable)


def test_the_table_is_the_kernels() -> None:
    header = Path("/usr/include/linux/capability.h")
    if not header.exists():
        pytest.skip("no kernel headers")
    numbers = {
        name: int(number) for name, number in re.findall(r"^#define (CAP_[A-Z_]+)\s+(\d+)$", header.read_text(), re.M)
    }
    assert len(NAMES) == 41
    assert {name: NUMBERS[name] for name in numbers} == numbers


def test_all_five_sets() -> None:
    everything = CapabilitySets(bounding=KILL, effective=KILL, permitted=KILL, inheritable=KILL, ambient=KILL)
    assert sets(EVERY) == everything


@pytest.mark.parametrize("wanted", [None, {}])
def test_no_capabilities_object_means_none(wanted: dict[str, list[str]] | None) -> None:
    assert sets(wanted) == CapabilitySets()


def test_inheritable_comes_from_the_document_alone() -> None:
    """CVE-2022-29162: what is permitted must not become inheritable by itself."""
    found = sets({"bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"]})
    assert found.inheritable == 0 and found.ambient == 0


def test_an_unknown_name_is_a_warning_once() -> None:
    found = sets({kind: ["CAP_KILL", "CAP_NONSENSE"] for kind in EVERY})
    assert found.bounding == KILL
    assert found.warnings == ("capability 'CAP_NONSENSE' is unknown, ignored",)


def test_what_the_runtime_has_not_got_is_a_warning() -> None:
    found = sets(EVERY, grantable=ALL & ~KILL)
    assert [getattr(found, kind) for kind in EVERY] == [0] * 5
    (warning,) = found.warnings
    assert warning.startswith("CAP_KILL cannot be granted") and not found.remarks


@pytest.mark.parametrize(
    ("without", "loses"), [("permitted", "effective"), ("bounding", "inheritable"), ("inheritable", "ambient")]
)
def test_sets_depend_on_each_other_as_capset_demands(without: str, loses: str) -> None:
    found = sets({**EVERY, without: []})
    assert getattr(found, loses) == 0
    assert any(f"in the {loses} set" in remark for remark in found.remarks) and not found.warnings


def test_data_of_capset() -> None:
    high = 1 << NUMBERS["CAP_CHECKPOINT_RESTORE"]
    data = capset_data(effective=1, permitted=2 | high, inheritable=high)
    words = [int.from_bytes(data[at : at + 4], "little") for at in range(0, 24, 4)]
    assert words == [1, 2, 0, 0, 1 << 8, 1 << 8]


def test_names() -> None:
    assert names(KILL | 1) == ["CAP_CHOWN", "CAP_KILL"]
