"""Print a C header about the interpreter that runs this, not the virtual environment that it may be in."""

import json
import os
import sys
from pathlib import Path


def main() -> None:
    base = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    # Executed through a mount of itself alone, a program that looks for its libraries from where it lies
    # (ld.so(8), $ORIGIN) finds none. What is no program of its own but a script says so likewise.
    image = Path(base).read_bytes()
    movable = image.startswith(b"\x7fELF") and b"$ORIGIN" not in image
    print("#define PYTHON_VERSION", json.dumps("{}.{}".format(*sys.version_info)))
    print("#define BASE_PYTHON", json.dumps(base))
    print("#define BASE_PYTHON_MOVABLE", int(movable))


if __name__ == "__main__":
    main()
