"""Tell the build about the interpreter that runs this (not the virtual environment that it may be in).

``describe_python.py header`` prints a C header, ``describe_python.py link`` the linker arguments that
embed the interpreter, one per line.
"""

import json
import os
import sys
import sysconfig


def header() -> None:
    base = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    status = os.stat(base)
    facts = {
        "PYTHON_VERSION": "{}.{}".format(*sys.version_info),
        "PYTHON_PREFIX": sys.base_prefix,
        "PYTHON_EXEC_PREFIX": sys.base_exec_prefix,
        "PYTHON_STDLIB": sysconfig.get_path("stdlib"),
        "PYTHON_DYNLOAD": sysconfig.get_config_var("DESTSHARED"),
        "BASE_PYTHON": base,
        "BASE_PYTHON_SIZE": status.st_size,
        "BASE_PYTHON_MTIME": int(status.st_mtime),
    }
    for name, value in facts.items():
        print(f"#define {name} {json.dumps(value)}")


def link() -> None:
    config = sysconfig.get_config_vars()
    library = os.path.join(config["LIBPL"], config["LIBRARY"])
    # What the modules built into it are linked with, each once.
    libraries = dict.fromkeys(f"{config['LIBS']} {config['MODLIBS']} {config['SYSLIBS']}".split())
    # All of it, for the extension modules that will look for its symbols. Not position-independent: some
    # distributions (Debian) build the static library that way.
    print("-no-pie", "-Wl,--export-dynamic", "-Wl,--whole-archive", library, "-Wl,--no-whole-archive", sep="\n")
    print(*libraries, sep="\n")


if __name__ == "__main__":
    {"header": header, "link": link}[sys.argv[1]]()
