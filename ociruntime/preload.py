"""The modules of a command from one file, where that file is known to be true.

To find, open and read eighty small files takes longer than to run what is in them. So the code of all modules
that a command usually needs is kept together as well, beside the .pyc files of the interpreter, and is trusted
no more than those: every source file must have the size and the time that it had, in the place where it was,
and the interpreter must be of the same make. Anything else, or no such file, means an ordinary import.

The file is written by preload_write.py at the end of the first successful start after an installation, where
the user may write in __pycache__ at all. Line numbers are not kept; --debug does without the file to have them.
"""

import _imp
import marshal
import posix
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

    Stamp = tuple[str, int, int]  # path, time (ns) and size of a source
    Native = tuple[str, str]  # name and path of a module in C, no path for one within the interpreter
    Module = tuple[str, str, bool, CodeType]  # name, path, whether it is a package, and what it runs
    Content = tuple[str, list[Stamp], list[Native], list[Module]]  # the first is where our package lies

HOME = __file__.rpartition("/")[0]
HEADER = b"ociruntime preload 1\n" + MAGIC_NUMBER

# What was loaded before us, where no file served; so the next start should have one.
bare: "frozenset[str]" = frozenset()


def preload(words: "list[str]") -> None:
    """Load what the command in `words` usually needs. A wrong guess of the command costs time, nothing else."""
    global bare
    if "--debug" in words:
        return
    for word in words:
        content = _read(word) if word.isalpha() else None
        if content is not None and _true(content):
            _load(content)
            return
    bare = frozenset(sys.modules)


def path_of(command: str) -> str:
    """Where the modules of a command are kept."""
    return f"{HOME}/__pycache__/{command}.{sys.implementation.cache_tag}.preload"


def _read(command: str) -> "Content | None":
    try:
        fd = posix.open(path_of(command), posix.O_RDONLY | posix.O_CLOEXEC)
        raw = posix.read(fd, posix.fstat(fd).st_size)
        posix.close(fd)
    except OSError:
        return None
    start = len(HEADER) + 8
    # A file that was cut short by a crash is none.
    if raw[:start] != HEADER + len(raw).to_bytes(8, "little"):
        return None
    content: Content = marshal.loads(memoryview(raw)[start:])
    return content


def _true(content: "Content") -> bool:
    home, stamps = content[:2]
    if home != HOME:
        return False
    try:
        for path, time, size in stamps:
            now = posix.stat(path)
            if now.st_mtime_ns != time or now.st_size != size:
                return False
    except OSError:
        return False
    return True


def _load(content: "Content") -> None:
    """Run the modules in the order in which they were complete when each imported the next."""
    known, Module = sys.modules, type(sys)
    for native in content[2]:
        _load_native(*native)
    ready = []
    # All names first: a package imports its modules before it is complete itself.
    for name, path, is_package, code in content[3]:
        if name in known:
            continue
        module = known[name] = Module(name)
        spec = ModuleSpec(name, None, origin=path, is_package=is_package)
        parent, _, child = name.rpartition(".")
        names = module.__dict__
        names["__file__"], names["__spec__"], names["__package__"] = path, spec, name if is_package else parent
        if is_package:
            names["__path__"] = spec.submodule_search_locations = [path.rpartition("/")[0]]
        ready.append((code, names, parent, child, module))
    for code, names, parent, child, module in ready:
        exec(code, names)
        if parent:
            setattr(known[parent], child, module)


def _load_native(name: str, path: str) -> None:
    """As importlib does, without its search."""
    if name in sys.modules:
        return
    spec = ModuleSpec(name, None, origin=path or "built-in")
    try:
        module = _imp.create_dynamic(spec) if path else _imp.create_builtin(spec)
        (_imp.exec_dynamic if path else _imp.exec_builtin)(module)
    except ImportError:
        return  # the ordinary import knows what to say
    module.__spec__ = spec
    sys.modules[name] = module
