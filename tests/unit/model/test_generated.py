"""What is generated from the declaration is current."""

from __future__ import annotations

from pathlib import Path

import pytest

from ociruntime.model.generate import DOCUMENTS, generated
from ociruntime.model.reflect import classes, json_name, properties


@pytest.mark.parametrize("path", generated(), ids=lambda path: path.name)
def test_the_file_is_what_the_generator_writes(path: Path) -> None:
    assert path.read_text() == generated()[path], "run python -m ociruntime.model.generate"


@pytest.mark.parametrize("root", DOCUMENTS.values(), ids=DOCUMENTS)
def test_every_property_says_what_it_means(root: type) -> None:
    for cls in classes(root):
        assert cls.__doc__
        for item in properties(cls):
            assert item.doc.endswith("."), (cls, item.name)


def test_json_names() -> None:
    names = {
        "oci_version": "ociVersion",
        "host_id": "hostID",
        "oom_score_adj": "oomScoreAdj",
        "disable_oom_killer": "disableOOMKiller",
        "throttle_read_iops_device": "throttleReadIOPSDevice",
        "exec_cpu_affinity": "execCPUAffinity",
        "io_priority": "ioPriority",
        "block_io": "blockIO",
        "kernel_tcp": "kernelTCP",
        "class_": "class",
    }
    assert {attribute: json_name(attribute) for attribute in names} == names
