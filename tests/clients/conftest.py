"""What every scenario has: a runtime, an engine that uses it, a comparison, and a look at what is left."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients import host, image
from tests.clients.buildah import Buildah
from tests.clients.containerd import Containerd, Ctr
from tests.clients.cri import Cri
from tests.clients.docker import CLIENT, Docker, Dockerd
from tests.clients.home import Home
from tests.clients.podman import Podman

DEFAULT, OURS = "default", "ociruntime"


@pytest.fixture(params=[DEFAULT, OURS])
def runtime(request: pytest.FixtureRequest) -> Path | None:
    """The runtime for this scenario; None means the engine's own default."""
    if request.param == DEFAULT:
        return None
    if not host.OCIRUNTIME.exists():
        if "OCIRUNTIME" in os.environ:
            pytest.fail(f"OCIRUNTIME={host.OCIRUNTIME} does not exist")
        pytest.skip(f"{host.OCIRUNTIME} does not exist: run `make` first")
    return host.OCIRUNTIME


class Same:
    """Compares what a user sees with the two runtimes."""

    def __init__(self, seen: dict[str, object], scenario: str, runtime: Path | None) -> None:
        self._seen, self._scenario, self._runtime = seen, scenario, runtime

    def __call__(self, outcome: object) -> None:
        """Keep the outcome of the default runtime; assert that the other's is equal."""
        if self._runtime is None:
            self._seen[self._scenario] = outcome
        elif self._scenario in self._seen:
            assert outcome == self._seen[self._scenario]


@pytest.fixture(scope="package")
def seen() -> dict[str, object]:
    return {}


@pytest.fixture
def same(request: pytest.FixtureRequest, seen: dict[str, object], runtime: Path | None) -> Same:
    kind = OURS if runtime else DEFAULT
    return Same(seen, request.node.nodeid.replace(kind, "*"), runtime)


@pytest.fixture(scope="package")
def crun_accepts_host() -> Iterator[None]:
    """crun refuses a cgroup v1 host where a controller of the kernel is mounted nowhere; other tests count mounts."""
    path = Path("/sys/fs/cgroup/hugetlb")
    missing = host.cgroup_version() == 1 and os.geteuid() == 0 and not os.path.ismount(path)
    made = missing and not path.exists()  # crun takes a mere directory for a hierarchy too
    if missing:
        path.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "cgroup", "-o", "hugetlb", "cgroup", path], check=True)
    yield
    if missing:  # busy while a process of some container lives, or gone, if others do the same
        host.until(lambda: not os.path.ismount(path) or host.run(["umount", path]).status == 0, f"{path} is busy")
    if made:
        path.rmdir()


@pytest.fixture(scope="package")
def home(crun_accepts_host: None) -> Iterator[Home]:
    """A folder, an image and a network namespace for the engines of this session."""
    rules = host.packet_filter()
    folders = tempfile.TemporaryDirectory(prefix=host.PREFIX, dir=host.FOLDERS)
    with host.places_of_engines(), folders as folder:
        archive = Path(folder, "image.tar")
        image.write_archive(archive)
        with Home.open(Path(folder), archive) as opened:
            yield opened
        host.unmount_what_engines_keep(Path(folder))
        host.remove_cgroups("libpod_parent")
        # Files of subordinate users can be removed only in their user namespace.
        if os.geteuid() != 0 and shutil.which("podman"):
            subprocess.run(["podman", "unshare", "rm", "-rf", folder], check=True)
            Path(folder).mkdir()
    assert host.packet_filter() == rules, "packet filters of the host's own network namespace"


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest, home: Home) -> Iterator[None]:
    """After each test the host is as it was."""
    if "builder" in request.fixturenames:  # a daemon that stays
        request.getfixturevalue("builder")
    host.repair_null_device()  # whose owner it may have got from a test before
    before, owner = host.left_behind(), host.owner_of_null()
    runtime = request.getfixturevalue("runtime") if "runtime" in request.fixturenames else None
    yield
    left = host.left_behind() - before  # what appears later is somebody else's
    host.until(lambda: not left.intersection(host.left_behind()), lambda: f"left behind: {sorted(left)}")
    # crun gives a container's stdio to the container's user, and that may be the host's /dev/null.
    assert not runtime or host.owner_of_null() == owner, "the owner of the host's /dev/null has changed"


def need(*tools: str, root: bool = False) -> None:
    """Skip if this machine does not have the tools."""
    for tool in tools:
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    if root and os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture
def podman(home: Home, runtime: Path | None) -> Iterator[Podman]:
    need("podman", "conmon")
    engine = Podman(home, runtime)
    engine.need_image()
    yield engine
    engine.remove_all()


@pytest.fixture
def buildah(home: Home, runtime: Path | None) -> Iterator[Buildah]:
    need("buildah", "podman")
    Podman(home, None).need_image()
    engine = Buildah(home, runtime)
    yield engine
    engine.remove_all()


@pytest.fixture(scope="package")
def containerd(home: Home) -> Iterator[Containerd]:
    need("containerd", "ctr", "containerd-shim-runc-v2", root=True)
    daemon = Containerd(home)
    with daemon.running():
        yield daemon


@pytest.fixture
def ctr(containerd: Containerd, runtime: Path | None) -> Iterator[Ctr]:
    client = Ctr(containerd, runtime)
    yield client
    client.remove_all()


@pytest.fixture(scope="package")
def dockerd(home: Home) -> Iterator[Dockerd]:
    need("dockerd", "containerd-shim-runc-v2", CLIENT, root=True)
    daemon = Dockerd(home, "docker")
    with daemon.running():
        yield daemon


@pytest.fixture
def docker(dockerd: Dockerd, runtime: Path | None) -> Iterator[Docker]:
    client = Docker(dockerd, runtime)
    yield client
    client.remove_all()


@pytest.fixture(scope="package")
def builders(home: Home) -> Iterator[Callable[[Path | None], Dockerd]]:
    """Daemons for builds, one for each default runtime, started when they are asked for."""
    need("dockerd", CLIENT, root=True)
    with contextlib.ExitStack() as stack:

        @functools.cache
        def get(default: Path | None) -> Dockerd:
            daemon = Dockerd(home, "builder-ociruntime" if default else "builder", builder=True, default=default)
            stack.enter_context(daemon.running())
            return daemon

        yield get


@pytest.fixture
def builder(home: Home, builders: Callable[[Path | None], Dockerd], runtime: Path | None) -> Dockerd:
    """A dockerd that has the runtime as its default."""
    return builders(runtime)


@pytest.fixture
def driver() -> str:
    """The cgroup driver; tests to which it matters are parametrised with both."""
    return "cgroupfs"


@pytest.fixture
def cri(containerd: Containerd, runtime: Path | None, driver: str) -> Iterator[Cri]:
    """A CRI client for one runtime and one cgroup driver."""
    pytest.importorskip("grpc_tools", reason="needs grpcio-tools")
    systemd = driver == "systemd"
    if systemd and not host.has_systemd():
        pytest.skip("systemd is not PID 1 here: runs in the guest")
    client = Cri(containerd, ("ociruntime" if runtime else "runc") + ("-systemd" if systemd else ""))
    yield client
    client.close()
