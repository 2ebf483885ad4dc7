"""A bundle to play with: a busybox root, a config.json that a test bends, and a runtime to run it."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

OCIRUNTIME = os.environ.get("OCIRUNTIME") or str(Path(sys.executable).parent / "ociruntime")
BUSYBOX = "/bin/busybox"
PATIENCE = 10.0


class Outcome(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


DEFAULT: dict[str, Any] = {
    "ociVersion": "1.3.0",
    "process": {
        "user": {"uid": 0, "gid": 0},
        "args": ["true"],
        "env": ["PATH=/bin", "HOME=/"],
        "cwd": "/",
        "capabilities": {kind: ["CAP_KILL", "CAP_AUDIT_WRITE"] for kind in ("bounding", "effective", "permitted")},
        "noNewPrivileges": True,
    },
    "root": {"path": "rootfs"},
    "hostname": "box",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
        },
        {
            "destination": "/dev/pts",
            "type": "devpts",
            "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        },
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
    ],
    "linux": {
        "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
    },
}


class Box:
    """One bundle and one state directory. `spec` is written anew at each use."""

    def __init__(self, place: Path, name: str, runtime: str = OCIRUNTIME) -> None:
        self.place = place
        self.name = name
        self.runtime = runtime
        self.before: list[str] = []  # a program that starts the runtime: setpriv, unshare ...
        self.root = place / "state"
        self.bundle = place / "bundle"
        self.rootfs = self.bundle / "rootfs"
        self.log = place / "log.json"
        self.spec: dict[str, Any] = copy.deepcopy(DEFAULT)
        self.spec["linux"]["cgroupsPath"] = f"/{name}"
        self._fill()

    def _fill(self) -> None:
        for directory in ("bin", "proc", "dev", "sys", "tmp", "etc", "root"):
            (self.rootfs / directory).mkdir(parents=True, exist_ok=True)
        shutil.copy2(BUSYBOX, self.rootfs / "bin/busybox")
        for applet in subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split():
            if applet != "busybox":
                (self.rootfs / "bin" / applet).symlink_to("busybox")
        (self.rootfs / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n")

    @property
    def process(self) -> dict[str, Any]:
        return self.spec["process"]  # type: ignore[no-any-return]

    @property
    def linux(self) -> dict[str, Any]:
        return self.spec["linux"]  # type: ignore[no-any-return]

    def mount(self, destination: str, source: Path | str, fstype: str = "bind", *options: str) -> None:
        """One more entry of /mounts."""
        entry = {"destination": destination, "source": str(source), "type": fstype, "options": list(options)}
        self.spec["mounts"].append(entry)

    def namespaces(self, *kinds: str, **paths: str) -> None:
        """Exactly these namespaces: new ones, and joined ones by path."""
        listed: list[dict[str, str]] = [{"type": kind} for kind in kinds]
        self.linux["namespaces"] = listed + [{"type": kind, "path": path} for kind, path in paths.items()]

    def write(self, text: str | bytes | None = None) -> None:
        """config.json from the spec, or as given."""
        content = json.dumps(self.spec, indent=1) if text is None else text
        data = content if isinstance(content, bytes) else content.encode()
        (self.bundle / "config.json").write_bytes(data)

    def call(self, *words: str, timeout: float = 60, **options: Any) -> Outcome:
        """The runtime with these words; its log is JSON in `self.log`."""
        logged = ["--log", str(self.log), "--log-format", "json"]
        command = [*self.before, self.runtime, "--root", str(self.root), *logged, *words]
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("cwd", self.bundle)
        # Files, not pipes: a container that lives on would keep a pipe open and this call waiting
        with (self.place / "out").open("wb") as out, (self.place / "err").open("wb") as err:
            result = subprocess.run(command, stdout=out, stderr=err, timeout=timeout, check=False, **options)
        shown = [(self.place / name).read_text(errors="replace") for name in ("out", "err")]
        return Outcome(result.returncode, *shown)

    def run(self, *args: str, options: tuple[str, ...] = (), **more: Any) -> Outcome:
        """`run` in the foreground: of a shell script where one word is given."""
        if args:
            self.process["args"] = ["sh", "-c", args[0]] if len(args) == 1 else list(args)
        self.write()
        return self.call("run", *options, self.name, **more)

    def create(self, *args: str, options: tuple[str, ...] = (), **more: Any) -> Outcome:
        if args:
            self.process["args"] = ["sh", "-c", args[0]] if len(args) == 1 else list(args)
        self.write()
        return self.call("create", *options, self.name, **more)

    def start(self) -> Outcome:
        return self.call("start", self.name)

    def up(self, *args: str) -> None:
        """A running container, or the test fails with what the runtime said."""
        created = self.create(*(args or ("sleep", "1000")))
        assert created.status == 0, created
        started = self.start()
        assert started.status == 0, started

    def exec(self, *words: str, options: tuple[str, ...] = ()) -> Outcome:
        return self.call("exec", *options, self.name, *words)

    def state(self) -> dict[str, Any]:
        outcome = self.call("state", self.name)
        assert outcome.status == 0, outcome
        return json.loads(outcome.out)  # type: ignore[no-any-return]

    def pid(self) -> int:
        return int(self.state()["pid"])

    def wait_for(self, word: str) -> None:
        """Until the status is `word`; the kernel tells of an exit by no file, so it is asked again."""
        deadline = time.monotonic() + PATIENCE
        while self.state()["status"] != word:
            assert time.monotonic() < deadline, f"still {self.state()['status']}, not {word}"
            os.sched_yield()

    def kill(self, signal: str = "KILL") -> Outcome:
        return self.call("kill", self.name, signal)

    def delete(self, *options: str) -> Outcome:
        return self.call("delete", *options, self.name)

    def records(self) -> list[dict[str, Any]]:
        """The records in the log so far."""
        if not self.log.exists():
            return []
        return [json.loads(line) for line in self.log.read_text().splitlines()]
