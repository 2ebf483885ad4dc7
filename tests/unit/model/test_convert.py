"""Classes from JSON and back."""

from __future__ import annotations

import pytest

from ociruntime.model import Mount, Namespace, Process, Spec, from_json, to_json

DOCUMENT = {
    "ociVersion": "1.3.0",
    "process": {"cwd": "/", "args": ["sh"], "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 3}},
    "mounts": [{"destination": "/proc", "type": "proc", "source": "proc", "x-mine": [1]}],
    "linux": {
        "namespaces": [{"type": "pid"}, {"type": "network", "path": "/run/netns/a"}],
        "netDevices": {"eth0": {"name": "eth1"}},
        "resources": {"memory": {"kernelTCP": 5}, "unified": {"memory.high": "max"}},
    },
    "windows": {"anything": 1},
    "future": {"kept": True},
}


def test_there_and_back() -> None:
    spec = from_json(Spec, DOCUMENT)
    assert to_json(spec) == DOCUMENT
    assert spec.linux is not None and spec.linux.namespaces == [
        Namespace(type="pid"),
        Namespace(type="network", path="/run/netns/a"),
    ]


def test_build_and_edit() -> None:
    spec = Spec(oci_version="1.3.0", process=Process(cwd="/", args=["sh"]))
    spec.mounts = [Mount(destination="/tmp", type="tmpfs")]
    assert to_json(spec) == {
        "ociVersion": "1.3.0",
        "mounts": [{"destination": "/tmp", "type": "tmpfs"}],
        "process": {"cwd": "/", "args": ["sh"]},
    }


def test_what_is_required_must_be_there() -> None:
    with pytest.raises(TypeError, match="oci_version"):
        from_json(Spec, {})
