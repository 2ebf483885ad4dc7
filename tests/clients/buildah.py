"""buildah with podman's storage, in OCI isolation."""

from __future__ import annotations

from pathlib import Path

from tests.clients import host
from tests.clients.home import Home
from tests.clients.host import Done, Terminal
from tests.clients.podman import configure, manager


class Buildah:
    """The command `buildah`, always with one runtime."""

    def __init__(self, home: Home, runtime: Path | None) -> None:
        self.home = home
        self._environment = {**configure(home, manager()), "BUILDAH_ISOLATION": "oci"}
        self._line = [*home.prefix, "buildah"]
        self._runtime = ["--runtime", str(runtime)] if runtime else []

    def __call__(self, *args: str | Path) -> Done:
        return host.run([*self._line, *args], env=self._environment)

    def ok(self, *args: str | Path) -> str:
        done = self(*args)
        assert done.status == 0, f"buildah {args}: {done}"
        return done.text

    def run(self, container: str, *args: str) -> Done:
        """buildah run OPTION… -- COMMAND in a working container."""
        options = list(args[: args.index("--")]) if "--" in args else []
        command = args[args.index("--") + 1 :] if "--" in args else args
        return self("run", *self._runtime, *options, container, "--", *command)

    def terminal(self, *args: str) -> Terminal:
        """buildah run ARGS on a terminal."""
        line = [*self._line, "run", *self._runtime, *args]
        return Terminal(line, rows=24, columns=80, env=self._environment)

    def build(self, tag: str, folder: Path, *options: str) -> Done:
        return self("build", *self._runtime, "--pull-never", "--layers=false", "-t", tag, *options, folder)

    def remove_all(self) -> None:
        self.ok("rm", "-a")
