"""A small CRI client, as kubelet would be one: pods and their containers by containerd's CRI plugin.

cri.proto says what is spoken; grpcio-tools compiles it when this module is first used.
"""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path
from typing import Any

from tests.clients import host, image
from tests.clients.containerd import Containerd
from tests.clients.stream import Stream

PROTO = "tests/clients/cri.proto"
RUNNING, EXITED = 1, 2
OWN_PROCESSES = {"pid": "CONTAINER"}
"""What kubelet asks for unless the pod shares its process namespace."""


def _compiled() -> tuple[Any, Any]:
    import grpc

    here = os.getcwd()
    os.chdir(Path(__file__).parents[2])  # protoc takes names relative to a directory on sys.path
    try:
        return grpc.protos_and_services(PROTO)
    finally:
        os.chdir(here)


class Calls:
    """The calls of a service, each with the deadline of a command."""

    def __init__(self, stub: Any) -> None:
        self._stub = stub

    def __getattr__(self, name: str) -> Any:
        return functools.partial(getattr(self._stub, name), timeout=host.SECONDS)


class Cri:
    """One runtime handler of one containerd."""

    def __init__(self, containerd: Containerd, handler: str) -> None:
        import grpc

        self.handler = handler
        self.messages, services = _compiled()
        self._home = containerd.home
        self._logs = containerd.folder / "pods"
        self._channel = grpc.insecure_channel(f"unix://{containerd.socket}")
        self.service = Calls(services.RuntimeServiceStub(self._channel))
        self._pods: dict[str, Any] = {}

    def pod(
        self,
        hostname: str = "pod",
        namespaces: dict[str, str] = OWN_PROCESSES,
        *,
        name: str = "pod",
        privileged: bool = False,
        **linux: Any,
    ) -> str:
        """Run a sandbox; its id. `linux` is for LinuxPodSandboxConfig."""
        shutil.rmtree(self._logs, ignore_errors=True)
        context = {"namespace_options": namespaces, "privileged": privileged}
        config = self.messages.PodSandboxConfig(
            metadata={"name": f"clients-{name}", "uid": f"clients-{name}", "namespace": "clients"},
            hostname=hostname,
            log_directory=str(self._logs),
            linux={"cgroup_parent": self.parent(), "security_context": context, **linux},
        )
        request = self.messages.RunPodSandboxRequest(config=config, runtime_handler=self.handler)
        identity: str = self.service.RunPodSandbox(request).pod_sandbox_id
        self._pods[identity] = config
        return identity

    def parent(self) -> str:
        """The cgroup above the pod's, as kubelet names it for the two drivers."""
        return "clientscri.slice" if self.handler.endswith("-systemd") else "/clientscri"

    def create(self, pod: str, name: str, *command: str, **options: Any) -> str:
        """Create a container in a pod; its id. `options` are for ContainerConfig."""
        config = self.messages.ContainerConfig(
            metadata={"name": name}, image={"image": image.NAME}, command=command, log_path=name + ".log", **options
        )
        if not config.linux.security_context.HasField("namespace_options"):
            namespaces = self._pods[pod].linux.security_context.namespace_options
            config.linux.security_context.namespace_options.CopyFrom(namespaces)
        request = self.messages.CreateContainerRequest(
            pod_sandbox_id=pod, config=config, sandbox_config=self._pods[pod]
        )
        identity: str = self.service.CreateContainer(request).container_id
        return identity

    def start(self, pod: str, name: str, *command: str, **options: Any) -> str:
        identity = self.create(pod, name, *command, **options)
        self.service.StartContainer(self.container(identity))
        return identity

    def container(self, identity: str) -> Any:
        return self.messages.ContainerRequest(container_id=identity)

    def status(self, identity: str) -> Any:
        return self.service.ContainerStatus(self.container(identity)).status

    def wait(self, identity: str) -> int:
        """The exit status, once there is one."""
        host.until(lambda: self.status(identity).state == EXITED, "the end of the container")
        code: int = self.status(identity).exit_code
        return code

    def log(self, name: str) -> list[str]:
        """What a container wrote; each line of a CRI log has time, stream and tag before the text."""
        lines = (self._logs / (name + ".log")).read_text().splitlines()
        return [line.split(" ", 3)[3] for line in lines]

    def execute(self, identity: str, *command: str) -> tuple[int, str]:
        """Exit status and standard output of a command in the container (ExecSync)."""
        request = self.messages.ExecSyncRequest(container_id=identity, cmd=command, timeout=int(host.SECONDS))
        answer = self.service.ExecSync(request)
        return answer.exit_code, answer.stdout.decode() + answer.stderr.decode()

    def stream(self, identity: str, *command: str, tty: bool) -> Stream:
        """A command with standard input, and a terminal if asked (Exec)."""
        request = self.messages.ExecRequest(
            container_id=identity, cmd=command, tty=tty, stdin=True, stdout=True, stderr=not tty
        )
        return Stream(self._home, self.service.Exec(request).url)

    def stop(self, identity: str, seconds: int) -> None:
        request = self.messages.StopContainerRequest(container_id=identity, timeout=seconds)
        self.service.StopContainer(request)

    def remove_all(self) -> None:
        for pod in list(self._pods):
            request = self.messages.PodSandboxRequest(pod_sandbox_id=pod)
            self.service.StopPodSandbox(request)
            self.service.RemovePodSandbox(request)
            del self._pods[pod]

    def close(self) -> None:
        self.remove_all()
        self._channel.close()
