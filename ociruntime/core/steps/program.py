"""Where the program is and where it starts, found inside of the container's root.

The image is hostile: no link that leads out of the tree (/proc/self/fd/7) is followed to a directory or to a
file that is read, and nothing that is opened here can block.
"""

from __future__ import annotations

import _stat as stat
import posix as os

from ociruntime.core import paths
from ociruntime.core.errors import ConfigError, ProgramError, StepError
from ociruntime.core.kernel.flags import AT_FDCWD, O_PATH
from ociruntime.core.rootfs import make_dir_in_root, open_in_root
from ociruntime.core.steps.base import Step, in_rootfs, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.steps.base import Scene

EACCES = 13
ELOOP = 40

LONGEST_PASSWD = 4 << 20


class EnterCwd(Step):
    """The working directory; `create` makes it where it is missing, as runc and crun do."""

    path: str = "/"
    make: bool = True

    def describe(self) -> str:
        path = quoted(self.path)
        return f"mkdir -p {path} && cd {path}" if self.make else f"cd {path}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        root = kernel.open("/", O_PATH | os.O_DIRECTORY)
        try:
            if self.make:
                fd = make_dir_in_root(kernel, root, self.path)
            else:
                fd = open_in_root(kernel, root, self.path, O_PATH | os.O_DIRECTORY)
            kernel.fchdir(fd)
        except OSError as error:
            if error.errno == EACCES:
                # A home that only its user may enter, e.g. on NFS: the player tries again as the user
                scene.found["cwd-later"] = b""
                return
            raise self._refusal(error.errno or 0) from None
        finally:
            kernel.close(root)
        kernel.close(fd)
        # CVE-2024-21626: a directory that is not below the container's root
        if not kernel.getcwd().startswith(b"/"):
            raise ConfigError(
                f'working directory "{self.path}" is outside of the container', code="cwd-outside", origin=self.origin
            )

    def _refusal(self, number: int) -> StepError:
        hint = "links of /proc to other files are not followed" if number == ELOOP else ""
        return StepError(f'chdir to cwd ("{self.path}") failed', code="cwd", errno=number, hint=hint)


class MakeCwd(Step):
    """The working directory while the root is still writable; EnterCwd tells if there is none after all."""

    path: str = ""

    def describe(self) -> str:
        return f"mkdir -p {quoted(in_rootfs(self.path))}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        try:
            kernel.close(make_dir_in_root(kernel, scene.rootfs, self.path))
        except OSError:
            pass


class FindHome(Step):
    """HOME for an environment without one, from the container's /etc/passwd; "/" for a user it does not know."""

    uid: int = 0

    def describe(self) -> str:
        return f"export HOME=$(getent passwd {self.uid} | cut -d: -f6)"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        home = home_of(_read_file(kernel, "/etc/passwd"), self.uid)
        scene.found["HOME"] = home or b"/"


def home_of(passwd: bytes, uid: int) -> bytes:
    """The home directory of the first entry of this uid (passwd(5)), b"" if there is none."""
    wanted = str(uid).encode()
    if wanted not in passwd:
        return b""
    for line in passwd.split(b"\n"):
        fields = line.split(b":")
        if len(fields) >= 6 and fields[2].strip() == wanted:
            return fields[5].strip()
    return b""


def _read_file(kernel: Kernel, path: str) -> bytes:
    """A regular file of the image; nothing where there is none, or something else, or more than 4 MiB."""
    root = kernel.open("/", O_PATH | os.O_DIRECTORY)
    try:
        fd = open_in_root(kernel, root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return b""
    finally:
        kernel.close(root)
    try:
        if not stat.S_ISREG(kernel.fstat(fd).st_mode):
            return b""
        content = b""
        while len(content) < LONGEST_PASSWD and (part := kernel.read(fd)):
            content += part
        return content
    except OSError:
        return b""
    finally:
        kernel.close(fd)


class FindProgram(Step):
    """The file that args[0] means, as execvp(3) would find it, so that `create` can say that it is missing.

    With a slash in it the name is a path, otherwise each directory of the container's PATH is tried; one that
    exists but may not be executed is remembered, as execvp does, and no PATH means that nothing is found, as
    with runc and crun, and so does no name. The sentences are matched by engines (docs/compatibility.md).
    """

    name: str = ""
    path: str | None = None  # the container's PATH, None if its environment has none
    uid: int = 0
    gid: int = 0

    def describe(self) -> str:
        return f"command -v {quoted(self.name)}"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        path = paths.fsencode(self._find_as_user(kernel))
        scene.found["program"] = path
        # For whoever has to explain why it could not be executed after all
        scene.found["program-file"] = path if path.startswith(b"/") else kernel.getcwd() + b"/" + path

    def _find_as_user(self, kernel: Kernel) -> str:
        """access(2) asks for the real user and its capabilities, so nothing else changes meanwhile."""
        uid, gid = kernel.getuid(), kernel.getgid()
        if (uid, gid) == (self.uid, self.gid):
            return self._find(kernel)
        kernel.setrgid(self.gid)
        kernel.setruid(self.uid)
        try:
            return self._find(kernel)
        finally:
            kernel.setruid(uid)
            kernel.setrgid(gid)

    def _find(self, kernel: Kernel) -> str:
        if "/" in self.name:
            problem = self._problem(kernel, self.name)
            if problem:
                raise self._refusal(problem, f"stat {self.name}: " if problem.errno != EACCES else "")
            return self.name
        denied = None
        for directory in self.path.split(":") if self.path and self.name else ():
            candidate = f"{directory}/{self.name}" if directory else f"./{self.name}"
            problem = self._problem(kernel, candidate)
            if not problem:
                return candidate
            if problem.errno == EACCES:
                denied = problem
        if denied:
            raise self._refusal(denied, "")
        raise ProgramError(f'exec: "{self.name}": executable file not found in $PATH', code="program-not-found")

    def _refusal(self, problem: OSError, prefix: str) -> ProgramError:
        reason = os.strerror(problem.errno or 0).lower()
        detail = f" ({problem.args[1]})" if problem.errno == EACCES and problem.args[1] else ""
        code = "program-denied" if problem.errno == EACCES else "program-not-found"
        return ProgramError(f'exec: "{self.name}": {prefix}{reason}{detail}', code=code, errno=problem.errno or 0)

    @staticmethod
    def _problem(kernel: Kernel, path: str) -> OSError | None:
        """Why a file cannot be executed by the user, or nothing. EACCES carries the reason as its text."""
        try:
            kernel.faccessat2(AT_FDCWD, path, os.X_OK)
        except OSError as error:
            return OSError(EACCES, "") if error.errno == EACCES else error
        try:
            mode = kernel.stat(path).st_mode
        except OSError:
            return None  # where only the user may look, e.g. on NFS; execve will tell
        if stat.S_ISDIR(mode):
            return OSError(EACCES, "is a directory")
        return None if stat.S_ISREG(mode) else OSError(EACCES, "not a regular file")
