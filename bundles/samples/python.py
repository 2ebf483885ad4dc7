"""python: the interpreter that runs this builder, with its library, in a box."""

from collections.abc import Iterator

from ..build import Container, Request, sample
from ..recipes import Python

PROGRAM = """
import os, sys, json, ssl, sqlite3
print("Python", sys.version.split()[0], "is process", os.getpid())
print("the root holds:", *sorted(os.listdir("/")))
print("modules from C work:", ssl.OPENSSL_VERSION.split()[0], "and SQLite", json.dumps(sqlite3.sqlite_version_info[0]))
"""


@sample("a Python interpreter with its standard library in a box")
def python(_: Request) -> Iterator[Container]:
    yield Container(
        rootfs=(Python(),),
        config={"hostname": "python", "process": {"args": ["/bin/python3", "-I", "-c", PROGRAM.strip()]}},
    )
