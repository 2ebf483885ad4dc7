"""About the interpreter that runs this, not the virtual environment that it may be in: a C header on standard output.

With --library: what a program is linked with to be that interpreter itself, a word a line; nothing where the
library is not there as an archive (a shared one would be at another address in every process, see image.h).
"""

import json
import os
import sys
import sysconfig
from pathlib import Path

OF_THE_C_LIBRARY = ("-lm", "-ldl", "-lutil", "-lpthread", "-lc")


def describe() -> None:
    base = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    # Executed through a mount of itself alone, a program that looks for its libraries from where it lies
    # (ld.so(8), $ORIGIN) finds none. What is no program of its own but a script says so likewise.
    image = Path(base).read_bytes()
    movable = image.startswith(b"\x7fELF") and b"$ORIGIN" not in image
    print("#define PYTHON_VERSION", json.dumps("{}.{}".format(*sys.version_info)))
    print("#define BASE_PYTHON", json.dumps(base))
    print("#define BASE_PYTHON_MOVABLE", int(movable))


def describe_library() -> None:
    libpl, library, *lists, libdir = (
        str(sysconfig.get_config_var(name) or "")
        for name in ("LIBPL", "LIBRARY", "MODLIBS", "LIBS", "SYSLIBS", "LIBDIR")
    )
    archive = Path(libpl, library)
    if archive.suffix == ".a" and archive.is_file():
        # MODLIBS: of the modules in C that are in the archive. What is none of the C library's is linked in where it
        # can be: each further library to load costs 0.1 ms.
        words = {word: word for word in " ".join(lists).split()}
        for word in words:
            own = Path(libdir, f"lib{word.removeprefix('-l')}.a")
            words[word] = str(own) if word not in OF_THE_C_LIBRARY and own.is_file() else word
        print(archive, *words.values(), sep="\n")


if __name__ == "__main__":
    describe_library() if "--library" in sys.argv else describe()
