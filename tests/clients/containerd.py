"""containerd with its own root, state and socket, and its command `ctr`."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.clients import host, image
from tests.clients.home import Home
from tests.clients.host import Done, Terminal
from tests.clients.notes import block

NAMESPACE = host.CTR_NAMESPACE
"""Also the cgroup above those of the containers; a runtime that makes it need not remove it."""

CONFIG = """\
version = 2
root = "{folder}/root"
state = "{folder}/state"
[grpc]
address = "{folder}/sock"
[plugins."io.containerd.internal.v1.opt"]
path = "{folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
restrict_oom_score_adj = {restrict}
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{folder}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "{snapshotter}"
default_runtime_name = "runc"
"""

BRIDGE = {
    "cniVersion": "0.4.0",
    "name": "clients",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "cni-clients",
            "isGateway": True,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.99.0.0/16"}]], "dataDir": "{folder}/ipam"},
        },
        {"type": "loopback"},
    ],
}


def runtimes() -> Iterator[str]:
    """What people paste for ociruntime, and the like for runc and for the other cgroup driver."""
    pasted = block("Kubernetes", "toml")
    systemd, cgroupfs = "SystemdCgroup = true", "SystemdCgroup = false"
    assert systemd in pasted
    for text in (pasted, pasted.replace(str(host.OCIRUNTIME), "runc").replace("ociruntime", "runc")):
        yield text.replace(systemd, cgroupfs)
        if host.has_systemd():
            yield re.sub(r"(runtimes\.\w+)", r"\1-systemd", text)


def configure(folder: Path) -> Path:
    """Write containerd's configuration; its file."""
    folder.mkdir()
    (folder / "cni").mkdir()
    network = json.dumps(BRIDGE).replace("{folder}", str(folder))
    (folder / "cni/10-clients.conflist").write_text(network)
    restrict = "false" if host.may_raise_limits() else "true"
    text = CONFIG.format(folder=folder, pause=image.PAUSE, restrict=restrict, snapshotter=snapshotter())
    text += "".join(runtimes())
    config = folder / "config.toml"
    config.write_text(text)
    return config


def snapshotter() -> str:
    return "overlayfs" if host.has_overlay() else "native"


class Containerd:
    """A containerd that answers."""

    def __init__(self, home: Home) -> None:
        self.home, self.folder = home, home.folder / "containerd"
        self.socket = self.folder / "sock"

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        config = configure(self.folder)
        line: list[str | Path] = [*self.home.prefix, "containerd", "--config", config]
        with host.daemon(line, self.folder / "log", lambda: self.ctr("version").status == 0):
            for namespace in (NAMESPACE, "k8s.io"):
                done = self.ctr("-n", namespace, "image", "import", "--snapshotter", snapshotter(), self.home.archive)
                assert done.status == 0, done
            yield
        for name in (NAMESPACE, "k8s.io", "clientscri"):
            host.remove_cgroups(name)

    def ctr(self, *args: str | Path) -> Done:
        return host.run(self.line(*args))

    def line(self, *args: str | Path) -> list[str | Path]:
        return [*self.home.prefix, "ctr", "--address", self.socket, *args]


class Ctr:
    """`ctr` in one namespace of containerd, with one runtime."""

    def __init__(self, containerd: Containerd, runtime: Path | None) -> None:
        self._containerd = containerd
        self.options = ["--snapshotter", snapshotter(), *(["--runc-binary", str(runtime)] if runtime else [])]

    def __call__(self, *args: str | Path) -> Done:
        return self._containerd.ctr("-n", NAMESPACE, *args)

    def ok(self, *args: str | Path) -> str:
        done = self(*args)
        assert done.status == 0, f"ctr {args}: {done}"
        return done.text

    def run(self, name: str, *args: str, options: tuple[str, ...] = ()) -> Done:
        """ctr run OPTIONS IMAGE NAME ARGS."""
        return self("run", *self.options, *options, image.NAME, name, *args)

    def terminal(self, name: str, *args: str) -> Terminal:
        line = self._containerd.line("-n", NAMESPACE, "run", *self.options, "--rm", "-t", image.NAME, name, *args)
        return Terminal(line, rows=33, columns=77, env={})

    def exec_terminal(self, name: str, *args: str) -> Terminal:
        line = self._containerd.line("-n", NAMESPACE, "task", "exec", "--exec-id", "two", "-t", name, *args)
        return Terminal(line, rows=31, columns=71, env={})

    def status(self, name: str) -> str:
        rows = [line.split() for line in self.ok("task", "ls").splitlines()[1:]]
        return next((row[2] for row in rows if row[0] == name), "")

    def pid(self, name: str) -> int:
        rows = [line.split() for line in self.ok("task", "ls").splitlines()[1:]]
        return next(int(row[1]) for row in rows if row[0] == name)

    def info(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ok("container", "info", name))
        return found

    def remove_all(self) -> None:
        for name in self.ok("task", "ls", "-q").split():
            self("task", "kill", "-s", "KILL", "-a", name)
            self("task", "rm", "-f", name)
        for name in self.ok("container", "ls", "-q").split():
            self.ok("container", "rm", name)
