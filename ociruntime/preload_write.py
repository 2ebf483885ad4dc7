"""Write the files that preload.py reads, one for each command that engines wait for."""

from __future__ import annotations

import importlib
import marshal
import os
import sys
from importlib.machinery import ExtensionFileLoader, PathFinder, SourceFileLoader
from opcode import hasconst
from types import CodeType

from ociruntime.preload import HEADER, HOME, bare, path_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

# What engines make a command load, though the first container that it meets may not.
_CREATE = ("plan.seccomp", "steps.seccomp", "seccomp.cache", "plan.cgroup_mount", "steps.cgroup_mount")
USUAL: dict[str, tuple[str, ...]] = {
    "create": _CREATE,
    "run": (*_CREATE, "lifecycle.foreground", "kernel.signals"),
    "exec": ("plan.seccomp", "steps.seccomp", "seccomp.cache", "lifecycle.foreground", "kernel.signals"),
    "start": (),
    "state": (),
    "kill": (),
    "delete": (),
}
CO_NEWLOCALS = 2  # the code of a function (inspect)
HOT = ("ociruntime.__main__.", "ociruntime.cli.", "ociruntime.commands.", "ociruntime.core.")


class _Recorder:
    """Sees every module of ours that is imported, and remembers in which order they were complete."""

    def __init__(self) -> None:
        self.stamps: list[tuple[str, int, int]] = []
        self.modules: list[tuple[str, str, bool, CodeType]] = []

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target)
        if spec and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(name, spec.loader.path, self)
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, recorder: _Recorder) -> None:
        super().__init__(name, path)
        self.recorder = recorder

    def exec_module(self, module: ModuleType) -> None:
        path, name = str(self.path), module.__name__
        before = os.stat(path)
        code = self.get_code(name)
        assert code is not None  # it is a source file
        super().exec_module(module)
        self.recorder.stamps.append((path, before.st_mtime_ns, before.st_size))
        self.recorder.modules.append((name, path, bool(self.is_package(name)), _lean(code)))


def _lean(code: CodeType) -> CodeType:
    """Without the lines and the docstrings of functions: a third of what is to be read, and a success needs neither."""
    constants = [_lean(item) if isinstance(item, CodeType) else item for item in code.co_consts]
    if code.co_flags & CO_NEWLOCALS and constants and isinstance(constants[0], str) and not _uses_first_constant(code):
        constants[0] = None
    return code.replace(co_linetable=b"", co_consts=tuple(constants))


def _uses_first_constant(code: CodeType) -> bool:
    """A docstring is the first constant, and so is any equal string in the function's code."""
    pairs = zip(code.co_code[::2], code.co_code[1::2], strict=True)
    return any(operation in hasconst and not argument for operation, argument in pairs)


def keep(words: list[str]) -> None:
    """Write the file that preload.preload would look for on this command line."""
    command = next((word for word in words if word in USUAL), "")
    if command and not sys.dont_write_bytecode:
        write(command)


def write(command: str) -> None:
    """Keep what this process has loaded, and what is usual. For its end: all is imported once more, in some 50 ms."""
    late = [f"ociruntime.core.{name}" for name in USUAL[command]]
    sources = [name for name in sys.modules if f"{name}.".startswith(HOT) and not _is_native(name)] + late
    saved = {name: sys.modules.pop(name) for name in ["__future__", *sources] if name in sys.modules}
    recorder = _Recorder()
    sys.meta_path.insert(0, recorder)
    try:
        for name in sources:
            importlib.import_module(name)
    finally:
        sys.meta_path.remove(recorder)
        sys.modules.update(saved)
    natives = [
        (name, getattr(module, "__file__", ""))
        for name, module in sys.modules.items()
        if name not in bare and _is_native(name)
    ]
    content = marshal.dumps((HOME, recorder.stamps, natives, recorder.modules))
    total = len(HEADER) + 8 + len(content)
    _replace(path_of(command), HEADER + total.to_bytes(8, "little") + content)


def _is_native(name: str) -> bool:
    spec = sys.modules[name].__spec__
    return spec is not None and (spec.origin == "built-in" or isinstance(spec.loader, ExtensionFileLoader))


def _replace(path: str, content: bytes) -> None:
    """As the interpreter writes its .pyc files: complete or not at all, and it does not matter if not."""
    mine = f"{path}.{os.getpid()}"
    try:
        fd = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            with open(fd, "wb") as file:
                file.write(content)
            os.rename(mine, path)
        except OSError:
            os.unlink(mine)
    except OSError:
        return
