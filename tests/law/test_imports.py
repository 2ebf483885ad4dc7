"""Who may import whom (design: two tiers, one door)."""

from __future__ import annotations

import pytest

from tests.law.source import CHECKOUT, HOT, Import, files, hot_files, imports

# What the hot tier may load besides itself: built into the interpreter, or a small C extension. Everything
# else costs more than a system call of the container's, `os` included: core/paths.py stands in for it.
CHEAP = {"__future__", "_stat", "sys", "time", "errno", "fcntl", "math", "select", "resource", "termios", "pwd"}
CHEAP |= {"_signal", "_socket", "_struct", "_blake2", "binascii"}
# Within every interpreter before it runs anything.
CHEAP |= {"posix"}

# Never loaded at run time: what type checkers read.
FOR_CHECKERS = "ociruntime/core/spec/types.py"

# The comfortable tier from the hot one, inside functions that a success never calls (test_cost.py
# sees whether that is so). Explanations may be asked for anywhere.
EXPLANATIONS = "ociruntime.explain"
ON_FAILURE = {
    ("ociruntime/__main__.py", "ociruntime.docsgen.help"),
    ("ociruntime/__main__.py", "ociruntime.version"),
    ("ociruntime/__main__.py", "traceback"),
    ("ociruntime/commands/features.py", "ociruntime.seccomp.compile"),
    ("ociruntime/commands/features.py", "ociruntime.version"),
    ("ociruntime/core/lifecycle/begin.py", "ociruntime.explain.program"),  # it could not be executed
    ("ociruntime/core/seccomp/cache.py", "ociruntime.seccomp.compile"),  # a filter that is not in the cache yet
}
# Foreign modules that one option needs, inside the function that serves it.
# The package as a library is loaded by name, and never by a command.
ON_REQUEST = {("ociruntime/commands/selection.py", "re"), ("ociruntime/__init__.py", "importlib")}


def is_hot(target: str) -> bool:
    path = target.replace(".", "/")
    return target == "ociruntime" or (path + "/").startswith(HOT) or path + ".py" in HOT


def offences(found: list[Import]) -> str:
    return "\n".join(f"{one.file}:{one.line} imports {one.target}" for one in found)


@pytest.mark.parametrize("name", [name for name in hot_files() if name != FOR_CHECKERS])
def test_the_hot_tier_imports_itself_and_what_is_cheap(name: str) -> None:
    wrong = [
        one
        for one in imports(name)
        if not is_hot(one.target)
        and one.target not in CHEAP
        and not (one.lazy and one.target.startswith(EXPLANATIONS))
        and not (one.lazy and (one.file, one.target) in ON_FAILURE | ON_REQUEST)
    ]
    assert not wrong, offences(wrong)


def test_every_exception_is_in_use() -> None:
    seen = {(one.file, one.target) for name in hot_files() for one in imports(name)}
    assert seen >= ON_FAILURE | ON_REQUEST


def test_what_is_for_type_checkers_is_not_loaded() -> None:
    wrong = [one for name in hot_files() for one in imports(name) if one.target == "ociruntime.core.spec.types"]
    assert not wrong, offences(wrong)


def test_only_the_kernel_opens_the_door() -> None:
    wrong = [
        one
        for name in files("ociruntime")
        for one in imports(name)
        if one.target.endswith("._door") and not name.startswith("ociruntime/core/kernel/")
    ]
    assert not wrong, offences(wrong)


@pytest.mark.parametrize("tree", ["bundles", "conformance"])
def test_test_material_knows_nothing_of_the_runtime(tree: str) -> None:
    names = files(tree)
    assert names
    wrong = [one for name in names for one in imports(name) if one.target.partition(".")[0] == "ociruntime"]
    assert not wrong, offences(wrong)


def test_the_comfortable_tier_does_not_run_containers() -> None:
    practising = "ociruntime/image.py"  # it plans, in a process of its own that ends there
    comfortable = [name for name in files("ociruntime") if not name.startswith(HOT) and name != practising]
    acting = ("ociruntime.core.lifecycle", "ociruntime.core.launch", "ociruntime.core.kernel")
    wrong = [one for name in comfortable for one in imports(name) if one.target.startswith(acting)]
    assert not wrong, offences(wrong)


def test_the_walk_sees_imports() -> None:
    """The laws above would pass on an empty list."""
    found = {one.target: one.lazy for one in imports("ociruntime/__main__.py")}
    assert found["ociruntime.cli"] is False and found["ociruntime.docsgen.help"] is True
    assert "typing" not in found
    assert (CHECKOUT / FOR_CHECKERS).is_file()
