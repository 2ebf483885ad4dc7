"""One image for all engines, made of busybox: an archive as `docker save` writes it.

Format: the "Combined Image JSON + Filesystem Changeset" of Docker's image specification v1.2, which
`podman load`, `docker load` and `ctr image import` all read.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import subprocess
import tarfile
from pathlib import Path

BUSYBOX = "/bin/busybox"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
NAME = "docker.io/library/clients:1"
"""Full, as containerd wants it; `clients:1` for the others."""
PAUSE = "docker.io/library/clients-pause:1"
"""The same file system; it sleeps until it gets SIGTERM. For pods."""

LIMIT = """\
#!/bin/sh
# limit NAME: a limit of this container, whichever version of cgroups it has
cg=/sys/fs/cgroup
case $1 in
memory) cat $cg/memory.max 2>/dev/null || cat $cg/memory/memory.limit_in_bytes ;;
reservation) cat $cg/memory.low 2>/dev/null || cat $cg/memory/memory.soft_limit_in_bytes ;;
swap) cat $cg/memory.swap.max 2>/dev/null || cat $cg/memory/memory.memsw.limit_in_bytes ;;
pids) cat $cg/pids.max 2>/dev/null || cat $cg/pids/pids.max ;;
cpu) cat $cg/cpu.max 2>/dev/null || cat $cg/cpu/cpu.cfs_quota_us $cg/cpu/cpu.cfs_period_us | xargs echo ;;
shares) cat $cg/cpu.weight 2>/dev/null || cat $cg/cpu/cpu.shares ;;
cpuset) cat $cg/cpuset.cpus 2>/dev/null || cat $cg/cpuset/cpuset.cpus ;;
*) exit 2 ;;
esac
"""

TEXTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nguest:x:1234:1234:guest:/home/guest:/bin/sh\n",
    "etc/group": "root:x:0:\nguest:x:1234:\nextra:x:4321:guest\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "bin/limit": LIMIT,
    "bin/crlf": "#!/bin/sh\r\necho never\r\n",
    "bin/unreadable-format": "\x7fELF is not enough",
    "etc/not-executable": "data\n",
}
EXECUTABLE = {"bin/limit", "bin/crlf", "bin/unreadable-format"}
FOLDERS = ("bin", "etc", "root", "home", "home/guest", "tmp", "proc", "sys", "dev", "run", "mnt", "data")


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode = kind, mode
    return info


def root_file_system() -> bytes:
    """busybox with its applets, a few files, as a tar archive that is the same every time."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in FOLDERS:
            tar.addfile(_entry(name, tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755))
        files = {name: (text.encode(), 0o755 if name in EXECUTABLE else 0o644) for name, text in TEXTS.items()}
        files["bin/busybox"] = (Path(BUSYBOX).read_bytes(), 0o755)
        for name, (data, mode) in files.items():
            info = _entry(name, tarfile.REGTYPE, mode)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        applets = subprocess.check_output([BUSYBOX, "--list"], text=True).split()
        for applet in sorted({*applets} - {"busybox"}):
            link = _entry(f"bin/{applet}", tarfile.SYMTYPE, 0o777)
            link.linkname = "busybox"
            tar.addfile(link)
    return out.getvalue()


def _config(layer: bytes, command: list[str]) -> bytes:
    digest = "sha256:" + hashlib.sha256(layer).hexdigest()
    return json.dumps(
        {
            "architecture": ARCHITECTURE,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {"Env": ["PATH=/bin"], "Cmd": command, "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [digest]},
        }
    ).encode()


def write_archive(path: Path) -> None:
    """Write both images to one archive."""
    layer = root_file_system()
    configs = {NAME: _config(layer, ["sh"]), PAUSE: _config(layer, ["sleep", "inf"])}
    manifest, files = [], {"layer.tar": layer}
    for name, config in configs.items():
        file = hashlib.sha256(config).hexdigest() + ".json"
        files[file] = config
        manifest.append({"Config": file, "RepoTags": [name], "Layers": ["layer.tar"]})
    files["manifest.json"] = json.dumps(manifest).encode()
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            info = _entry(name, tarfile.REGTYPE, 0o644)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
