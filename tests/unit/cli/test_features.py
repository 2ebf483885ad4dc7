"""The features document: complete by the specification's schema, and as engines read it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

import ociruntime
from ociruntime.commands.features import document
from ociruntime.core.plan.mountoptions import OPTIONS

SCHEMA = json.loads((Path(ociruntime.__file__).parent / "model/schema/features.json").read_text())


def test_fits_the_schema() -> None:
    jsonschema.validate(document(), SCHEMA)


def test_has_every_member_of_the_schema() -> None:
    features = document()
    assert set(features) == set(SCHEMA["properties"])
    linux = SCHEMA["properties"]["linux"]
    definitions = SCHEMA.get("definitions", SCHEMA.get("$defs", {}))
    if "$ref" in linux:
        linux = definitions[linux["$ref"].rpartition("/")[2]]
    assert set(features["linux"]) == set(linux["properties"])


def test_what_engines_look_for() -> None:
    features = document()
    assert (features["ociVersionMin"], features["ociVersionMax"]) == ("1.0.0", "1.3.0")
    assert "rro" in features["mountOptions"]  # dockerd, CRI-O
    assert features["linux"]["mountExtensions"]["idmap"]["enabled"] is True  # containerd, CRI-O


def test_annotations_that_matter_are_named() -> None:
    """Each that changes a container: engines decide by this list which of them a user may set."""
    read = set()
    for path in (Path(ociruntime.__file__).parent / "core").glob("*/*.py"):
        read |= set(re.findall(r'"((?:run\.oci|org)\.[a-z_.]+)"', path.read_text()))
    unsafe = document()["potentiallyUnsafeConfigAnnotations"]
    assert "run.oci.seccomp_bpf_data" in read and "org.systemd.property." in read
    assert [name for name in read if not any(name.startswith(word) for word in unsafe)] == []


def test_mount_options_are_those_of_the_planner() -> None:
    assert set(document()["mountOptions"]) == set(OPTIONS)


def test_capabilities_are_those_of_the_kernel() -> None:
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    names = document()["linux"]["capabilities"]
    assert len(names) == len(set(names)) == 41 and last <= 40  # CAP_CHECKPOINT_RESTORE is 40


@pytest.mark.parametrize(
    ("feature", "word"),
    [
        ("intelRdt", "intelRdt"),
        ("netDevices", "netDevices"),
        ("apparmor", "apparmorProfile"),
        ("selinux", "selinuxLabel"),
        ("seccomp", "seccomp"),
    ],
)
def test_what_is_enabled_is_what_the_planners_read(feature: str, word: str) -> None:
    """Whoever adds or drops a feature has to say so here too."""
    plans = (Path(ociruntime.__file__).parent / "core/plan").glob("*.py")
    planned = any(f'"{word}"' in path.read_text() for path in plans)
    assert document()["linux"][feature]["enabled"] is planned


def test_seccomp_is_what_the_compiler_knows() -> None:
    """And that is all of the specification's."""
    seccomp = document()["linux"]["seccomp"]
    filters = json.loads((Path(ociruntime.__file__).parent / "model/schema/config.json").read_text())
    for feature, word in (("actions", "SCMP_ACT_"), ("operators", "SCMP_CMP_"), ("archs", "SCMP_ARCH_")):
        specified = {text for text in texts(filters) if text.startswith(word)}
        assert set(seccomp[feature]) == specified, feature


def texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value
