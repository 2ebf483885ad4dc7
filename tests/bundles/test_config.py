"""The default config, the patches over it, and the seccomp profile."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest

from bundles import config, seccomp
from bundles.build import Request, catalogue
from bundles.errors import BundleError

# RFC 7386, appendix A.
RFC_7386 = [
    ('{"a":"b"}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'),
    ('{"a":"b"}', '{"a":null}', "{}"),
    ('{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'),
    ('{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'),
    ('{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'),
    ('{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'),
    ('["a","b"]', '["c","d"]', '["c","d"]'),
    ('{"a":"b"}', '["c"]', '["c"]'),
    ('{"a":"foo"}', "null", "null"),
    ('{"a":"foo"}', '"bar"', '"bar"'),
    ('{"e":null}', '{"a":1}', '{"e":null,"a":1}'),
    ("[1,2]", '{"a":"b","c":null}', '{"a":"b"}'),
    ("{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'),
]


@pytest.mark.parametrize(("document", "patch", "result"), RFC_7386)
def test_merge_patch_as_in_the_rfc(document: str, patch: str, result: str) -> None:
    assert config.merge(json.loads(document), json.loads(patch)) == json.loads(result)


def test_no_sample_changes_the_default(tmp_path: Path) -> None:
    before = copy.deepcopy(config.DEFAULT)
    for sample in catalogue().values():
        for container in sample.make(Request(tmp_path / "out", rootfs=tmp_path)):
            made = config.config(container.config)
            assert made["process"]["args"], sample.name
            assert made["root"]["path"] == "rootfs"
            json.dumps(made)
    assert before == config.DEFAULT


def test_every_name_of_the_profile_is_a_system_call() -> None:
    """A name with a typing error would be skipped in silence by every runtime."""
    headers = [Path("/usr/include/asm-generic/unistd.h"), *Path("/usr/include").glob("*/asm/unistd_*.h")]
    known = {name for path in headers if path.is_file() for name in re.findall(r"__NR\w*?_(\w+)", path.read_text())}
    if not known:
        pytest.skip("linux-libc-dev: no kernel headers on this host to compare with")
    names = " ".join([*seccomp.ALLOWED.values(), seccomp.REFUSED, "clone"]).split()
    # Younger than the headers of Debian 12 (Linux 6.1), or of 32-bit ARM alone.
    younger = {"cachestat", "fchmodat2", "futex_wait", "futex_wake", "futex_requeue", "mseal"}
    assert {name for name in names if name not in known} <= younger | {"send", "recv", "ugetrlimit"}
    assert len(names) == len(set(names))


def test_profile_of_an_unknown_machine_is_refused() -> None:
    with pytest.raises(BundleError, match="pdp11: no seccomp profile"):
        seccomp.profile("pdp11")
