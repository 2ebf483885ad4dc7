"""What is in the interpreter's image (native/image.h): every module that a command of an engine may need.

Called once after an installation, by native/interpreter.c, in a process of its own that is written to a file when
this is done. A module in C that is a file of its own cannot be in it, nor a module that begins by importing one: they
are imported when they are needed, without a search.
"""

import gc
import posix
import sys
from _frozen_importlib_external import ExtensionFileLoader, PathFinder, SourceFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
    from typing import Any

HOME = __file__.rpartition("/")[0]
# Of the hot tier, and never loaded: what type checkers read.
FOR_CHECKERS = "ociruntime.core.spec.types"
# Modules in C that commands import while they run.
LATE = ("termios",)
# What engines call all the time, and what these import while they run, for a bundle as engines write it. The
# processes of a create share a page of it until one of them writes there: so what the child uses lies together.
FIRST = ("kernel", "launch.child", "steps.mount", "steps.root", "steps.process", "steps.devices", "steps.masks")
ENGINES = ("create", "run")
ENOUGH = 20  # times that code has to run until it is adapted; CPython 3.11 begins after 8
MET = (
    "spec.rules",
    "spec.rules_namespaces",
    "spec.rules_process",
    "spec.rules_resources",
    "spec.rules_seccomp",
    "plan.cgroup_mount",
    "plan.resources_v1",
    "plan.resources_v2",
    "plan.seccomp",
    "seccomp.cache",
    "steps.cgroup_mount",
    "steps.seccomp",
    "cgroup.device_rules",
    "lifecycle.foreground",
)


class _ModulesInC:
    """Keeps those that are files out of the image, and finds them afterwards."""

    def __init__(self) -> None:
        self.closed = True
        self.known: dict[str, ModuleSpec] = {}

    def find_spec(
        self, name: str, path: "Sequence[str] | None", target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        if not self.closed:
            return self.known.get(name)
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, ExtensionFileLoader):
            self.known[name] = spec
            raise ImportError(f"{name} is a file")
        return spec


_late = _ModulesInC()
compiled: list[str] = []  # sources without bytecode: they leave the memory of the compiler behind
_source_to_code = SourceFileLoader.source_to_code


def _compile(self: SourceFileLoader, data: bytes, path: str, **options: int) -> "CodeType":
    compiled.append(path)
    return _source_to_code(self, data, path, **options)


def prepare() -> None:
    """Load what the commands that engines call again and again need."""
    SourceFileLoader.source_to_code = _compile  # type: ignore[method-assign, assignment]
    sys.meta_path.insert(-1, _late)  # before the PathFinder, behind what is built in
    for name in LATE:
        _load(name)
    for name in FIRST:
        _load(f"ociruntime.core.{name}")
    _load("ociruntime.__main__")
    for command in ENGINES:
        _load(f"ociruntime.commands.{command}")
        _load(f"ociruntime.core.lifecycle.{command}")
    for name in MET:
        _load(f"ociruntime.core.{name}")
    try:
        _practise()
    except Exception:  # noqa: BLE001 -- on a host where nothing can be planned; then there is nothing to be fast at
        pass
    gc.collect()


def _practise() -> None:
    """Plan some container, without making one: the interpreter adapts its code to what it meets (PEP 659)."""
    from ociruntime import cli
    from ociruntime.commands import create
    from ociruntime.commands.spec import example
    from ociruntime.core.jsonio import dumps
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.launch.child import write_tape
    from ociruntime.core.launch.parent import describe_tape
    from ociruntime.core.lifecycle.bring_up import new_document
    from ociruntime.core.lifecycle.probe import probe_host
    from ociruntime.core.plan.build import build
    from ociruntime.core.spec.check import check
    from ociruntime.core.steps.base import Scene

    spec: Any = example(cgroup_namespace=True)
    spec["process"]["terminal"] = False
    spec["root"]["path"] = HOME
    spec["linux"]["resources"]["memory"] = {"limit": 1 << 30}
    scene = Scene()
    scene.handles["wait"], scene.found["program"] = 0, b"/bin/sh"
    for _ in range(ENOUGH):
        words = cli.parse(cli.GLOBALS, ["--root", HOME, "create", "-b", HOME, "practice"], interspersed=False)
        seen = cli.parse(create.OPTIONS, words.operands[1:], interspersed=True)
        options = create.create_options(seen, detach=True)
        check(spec)
        plan = build(spec, "practice", options, cli.globals_from(words), probe_host(Kernel()))
        dumps(new_document(spec, plan, options))
        describe_tape(plan.last, write_tape(plan.last, scene)[1])


def prepare_rare() -> bytes:
    """Load the rest of the hot tier. Returns the files that the image depends on, as image.h has them."""
    for name in (*_names(f"{HOME}/core"), *_names(f"{HOME}/commands")):
        _load(name)
    _late.closed = False
    SourceFileLoader.source_to_code = _source_to_code  # type: ignore[method-assign]
    gc.collect()
    gc.freeze()
    ours = [module for name, module in sys.modules.items() if name.partition(".")[0] == "ociruntime"]
    files = [getattr(module, "__file__", None) for module in ours]  # the door has none, being built in
    files += [spec.origin for spec in _late.known.values()]
    return b"".join([_stamp(file) for file in files if file])


def _load(name: str) -> None:
    try:
        __import__(name)
    except ImportError:
        pass  # a module in C, or one that begins by importing it


def _names(directory: str) -> "Iterator[str]":
    """All modules below a directory of the package."""
    for entry in posix.scandir(directory):
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _names(entry.path)
        elif entry.name.endswith(".py"):
            name = "ociruntime" + entry.path.removeprefix(HOME).removesuffix(".py").replace("/", ".")
            if name != FOR_CHECKERS:
                yield name.removesuffix(".__init__")


def _stamp(file: str) -> bytes:
    known, name = posix.stat(file), file.removeprefix(f"{HOME}/")
    return b"%d %d %s\0" % (known.st_size, known.st_mtime_ns, name.encode("utf-8", "surrogateescape"))
