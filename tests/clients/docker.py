"""dockerd with its own root, state and socket, and the command `docker`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.clients import host
from tests.clients.home import Home
from tests.clients.host import Done, Terminal
from tests.clients.notes import block

CLIENT = "/usr/bin/docker"
"""Debian's: another one on PATH may be too new for Debian's daemon."""


class Dockerd:
    """A dockerd that answers.

    Its containers may choose ociruntime. A `builder` takes `default` for everything, RUN steps included, for
    which the client has no option: as default runtime for the classic builder, and as `buildkit-runc`, which
    BuildKit looks for on PATH.
    """

    def __init__(self, home: Home, name: str, builder: bool = False, default: Path | None = None) -> None:
        self.home, self.folder = home, home.folder / name
        self.socket = self.folder / "sock"
        self._builder, self._default = builder, default

    def _configure(self) -> Path:
        self.folder.mkdir()
        config: dict[str, object] = json.loads(block("Docker", "json"))
        if self._builder:
            config["bridge"] = "none"
        if self._default:
            config["default-runtime"] = "ociruntime"
            (self.folder / "bin").mkdir()
            (self.folder / "bin/buildkit-runc").symlink_to(self._default)
        file = self.folder / "daemon.json"
        file.write_text(json.dumps(config))
        return file

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        config = self._configure()
        # A dockerd without a bridge removes docker0, which the other one needs: it gets a network namespace for itself.
        prefix = ("unshare", "--net") if self._builder else self.home.prefix
        line: list[str | Path] = [*prefix, "/usr/sbin/dockerd", "--config-file", config]
        line += ["--data-root", self.folder / "data", "--exec-root", self.folder / "exec"]
        line += ["--pidfile", self.folder / "pid", "--host", f"unix://{self.socket}"]
        path = f"{self.folder}/bin:"
        with host.daemon(line, self.folder / "log", lambda: self.docker("version").status == 0, path):
            done = self.docker("load", "-i", self.home.archive)
            assert done.status == 0, done
            yield
        host.remove_cgroups("docker")

    def line(self, *args: str | Path) -> list[str | Path]:
        return [CLIENT, "--host", f"unix://{self.socket}", *args]

    def docker(self, *args: str | Path, stdin: str | None = None, buildkit: bool = False) -> Done:
        env = {"DOCKER_BUILDKIT": str(int(buildkit)), "HOME": str(self.folder)}
        return host.run(self.line(*args), env=env, stdin=stdin)


class Docker:
    """The command `docker`, with one runtime for the containers that it makes."""

    def __init__(self, dockerd: Dockerd, runtime: Path | None) -> None:
        self.daemon = dockerd
        self._runtime = ["--runtime", "ociruntime"] if runtime else []

    def __call__(self, *args: str | Path, stdin: str | None = None) -> Done:
        return self.daemon.docker(*args, stdin=stdin)

    def ok(self, *args: str | Path) -> str:
        done = self(*args)
        assert done.status == 0, f"docker {args}: {done}"
        return done.text

    def run(self, *args: str, stdin: str | None = None) -> Done:
        return self("run", *self._runtime, *args, stdin=stdin)

    def start(self, name: str, *args: str) -> None:
        """docker run -d --name NAME ARGS."""
        done = self.run("-d", "--name", name, *args)
        assert done.status == 0, done

    def terminal(self, *args: str, rows: int, columns: int) -> Terminal:
        line = self.daemon.line(args[0], *(self._runtime if args[0] == "run" else []), *args[1:])
        return Terminal(line, rows=rows, columns=columns, env={"HOME": str(self.daemon.folder)})

    def inspect(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ok("container", "inspect", name))[0]
        return found

    def state(self, name: str) -> dict[str, Any]:
        """The part of the state that does not differ from run to run."""
        found = self.inspect(name)["State"]
        return {key: found[key] for key in ("Status", "Running", "Paused", "OOMKilled", "Dead", "ExitCode")}

    def pid(self, name: str) -> int:
        number: int = self.inspect(name)["State"]["Pid"]
        return number

    def remove_all(self) -> None:
        if names := self.ok("ps", "-aq").split():
            self.ok("rm", "-f", "-v", *names)
        self.ok("network", "prune", "-f")
