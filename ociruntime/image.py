"""What is in the interpreter's image (native/image.h): every module that a command of an engine may need.

Called once after an installation, by native/interpreter.c, in a process of its own that is written to a file when
this is done. A module in C that is a file of its own cannot be in it, nor a module that begins by importing one: they
are imported when they are needed, without a search.
"""

import gc
import posix
import sys
from _frozen_importlib_external import ExtensionFileLoader, PathFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

HOME = __file__.rpartition("/")[0]
# Of the hot tier, and never loaded: what type checkers read.
FOR_CHECKERS = "ociruntime.core.spec.types"
# Modules in C that commands import while they run.
LATE = ("_json", "_prctl", "termios")


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


def prepare() -> bytes:
    """Load what the image is to hold. Returns the files that it depends on, as image.h has them."""
    modules_in_c = _ModulesInC()
    sys.meta_path.insert(-1, modules_in_c)  # before the PathFinder, behind what is built in
    for name in (*LATE, "ociruntime.__main__", *_names(f"{HOME}/core"), *_names(f"{HOME}/commands")):
        try:
            __import__(name)
        except ImportError:
            continue
    modules_in_c.closed = False
    gc.collect()
    gc.freeze()
    ours = [module for name, module in sys.modules.items() if name.partition(".")[0] == "ociruntime"]
    files = [getattr(module, "__file__", None) for module in ours]  # the door has none, being built in
    files += [spec.origin for spec in modules_in_c.known.values()]
    return b"".join([_stamp(file) for file in files if file])


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
