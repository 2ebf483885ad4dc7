"""buildah in OCI isolation: builds with RUN steps, and working containers."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.clients.buildah import Buildah
from tests.clients.conftest import Same

IMAGE = "clients:1"

CONTAINERFILE = """\
FROM clients:1
ARG WORD=none
RUN echo "$WORD" > /word && id -u > /uid
RUN ["sh", "-c", "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status > /status"]
WORKDIR /data
USER guest
RUN id -un > /tmp/user && pwd >> /tmp/user
RUN --mount=type=tmpfs,target=/mnt stat -f -c %T /mnt > /tmp/mnt
ENTRYPOINT ["/bin/cat", "/word"]
"""


def build(buildah: Buildah, folder: Path, text: str, *options: str) -> tuple[int, str]:
    (folder / "Containerfile").write_text(text)
    done = buildah.build("clients-built:1", folder, "--network", "none", *options)
    return done.status, done.out + done.err


def files(buildah: Buildah, *names: str) -> list[str]:
    """What is in the files of the image that was built."""
    container = buildah.ok("from", "--pull-never", "clients-built:1")
    done = buildah.run(container, "--network", "none", "--user", "root", "--", "cat", *names)
    assert done.status == 0, done
    return done.out.splitlines()


def test_build(buildah: Buildah, same: Same, tmp_path: Path) -> None:
    status, output = build(buildah, tmp_path, CONTAINERFILE, "--build-arg", "WORD=told")
    assert status == 0, output
    lines = files(buildah, "/word", "/uid", "/status", "/tmp/user", "/tmp/mnt")
    assert (lines[:2], lines[-3:]) == (["told", "0"], ["guest", "/data", "tmpfs"]), lines
    same(lines)


@pytest.mark.parametrize(
    ("command", "status"), [("exit 7", 7), ("no-such-program", 127), ("sleep 9 & kill -9 $!; wait $!", 137)]
)
def test_build_fails_as_the_step_does(buildah: Buildah, same: Same, tmp_path: Path, command: str, status: int) -> None:
    done, output = build(buildah, tmp_path, f"FROM clients:1\nRUN {command}\n")
    assert done == status, output
    same(done)


@pytest.mark.guest
def test_build_with_limits(buildah: Buildah, same: Same, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("buildah asks for no cgroup as an ordinary user, so for no limits either")
    limits = ["--memory", "64m", "--ulimit", "nofile=77:88", "--cap-drop", "all", "--shm-size", "128k"]
    text = "FROM clients:1\nRUN (limit memory; ulimit -n; grep CapEff /proc/self/status) > /tmp/found\n"
    status, output = build(buildah, tmp_path, text, *limits)
    assert status == 0, output
    found = files(buildah, "/tmp/found")
    assert found == [str(64 << 20), "77", "CapEff:\t" + "0" * 16]
    same(found)


def test_run_in_a_working_container(buildah: Buildah, same: Same) -> None:
    container = buildah.ok("from", "--pull-never", IMAGE)
    options = ["--network", "none", "--hostname", "workshop", "--user", "7:8", "--workingdir", "/data"]
    done = buildah.run(container, *options, "--", "sh", "-c", "id -u; id -g; hostname; pwd; exit 3")
    assert (done.status, done.out.split()) == (3, ["7", "8", "workshop", "/data"]), done
    same((done.status, done.out))


def test_run_with_mounts(buildah: Buildah, same: Same, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mounted\n")
    container = buildah.ok("from", "--pull-never", IMAGE)
    volumes = ["--network", "none", "-v", f"{tmp_path}:/data:ro", "--mount", "type=tmpfs,destination=/mnt"]
    done = buildah.run(container, *volumes, "--", "sh", "-c", "cat /data/file; touch /data/new; stat -f -c %T /mnt")
    assert done.out.split() == ["mounted", "tmpfs"] and re.search("[Rr]ead-only", done.err), done
    same((done.status, done.out))


def test_run_on_a_terminal(buildah: Buildah) -> None:
    container = buildah.ok("from", "--pull-never", IMAGE)
    screen = buildah.terminal("--network", "none", "-t", container, "--", "sh", "-c", "tty; stty size; exit 6")
    screen.expect("/dev/pts/0")
    assert screen.close() == 6


@pytest.mark.parametrize("program", ["no-such-program", "/etc/not-executable"])
def test_what_cannot_be_run(buildah: Buildah, same: Same, program: str) -> None:
    container = buildah.ok("from", "--pull-never", IMAGE)
    done = buildah.run(container, "--network", "none", "--", program)
    assert done.status != 0 and program in done.err, done
    same(done.status)


STAGES = """\
FROM clients:1 AS first
RUN --mount=type=secret,id=word cp /run/secrets/word /made && echo more >> /made
FROM clients:1
COPY --from=first /made /made
RUN --mount=type=bind,from=first,target=/mnt cmp /made /mnt/made && mkdir /done
"""


def test_build_in_stages(buildah: Buildah, same: Same, tmp_path: Path) -> None:
    """A secret, another stage as a mount, and what the first stage made."""
    (tmp_path / "word").write_text("secret\n")
    status, output = build(buildah, tmp_path, STAGES, "--secret", f"id=word,src={tmp_path}/word")
    assert status == 0, output
    found = files(buildah, "/made")
    assert found == ["secret", "more"]
    same(found)
