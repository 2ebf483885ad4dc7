"""Moving a network device between network namespaces (config-linux.md, Network Devices)."""

from __future__ import annotations

import posix as os

from ociruntime.core import netlink
from ociruntime.core.errors import StepError
from ociruntime.core.kernel.flags import CLONE_NEWNET
from ociruntime.core.rootfs import open_in_proc
from ociruntime.core.steps.base import Step, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ociruntime.core.kernel import Kernel
    from ociruntime.core.netlink import Link
    from ociruntime.core.steps.base import Scene

# What the devices share: a namespace and a socket in it, for each side. Closed when the container stands
# (launch/parent.py): the socket would keep the container's network alive as long as this process.
HANDLES = ("net:host", "net:container", "netlink:host", "netlink:container")


class MoveDevice(Step):
    """Move a device by name, with its permanent global addresses, and set it up.

    A move takes the addresses away and the device down; all other attributes (MTU, hardware address ...)
    go along by themselves.
    """

    name: str = ""
    new: str = ""
    there: Link | None = None  # once it was moved
    was_up: bool = False

    def describe(self) -> str:
        name = f" name {quoted(self.new)}" if self.new != self.name else ""
        return f"ip link set {quoted(self.name)} netns $pid{name} up"

    def apply(self, kernel: Kernel, scene: Scene) -> None:
        _open_sides(kernel, scene)
        host, inside = scene.handles["netlink:host"], scene.handles["netlink:container"]
        link = netlink.link_named(kernel, host, self.name)
        if link is None:
            raise StepError(
                f"there is no network device {self.name}",
                code="netdevice-missing",
                errno=19,
                hint="`ip link` lists those of this network namespace",
            )
        # The kernel would move first and refuse the name then
        if "%d" not in self.new and netlink.link_named(kernel, inside, self.new):
            raise StepError(
                f"the container has a network device {self.new} already",
                code="netdevice-exists",
                errno=17,
                hint='choose another name, or a template such as "eth%d"',
            )
        try:
            self.there = _move(kernel, (host, inside), scene.handles["net:container"], link, self.new)
        except OSError as error:
            raise StepError(
                f"cannot move network device {self.name} into the container",
                code="netdevice-move",
                errno=error.errno or 0,
                hint="the kernel keeps some devices, such as lo, in their namespace",
            ) from None
        self.was_up = link.up
        netlink.set_up(kernel, inside, self.there)

    def undo(self, kernel: Kernel, scene: Scene) -> None:
        """Back to the host under its name: the container does not come to be (runtime.md, Errors)."""
        if self.there is None:
            return
        sides = scene.handles["netlink:container"], scene.handles["netlink:host"]
        there, self.there = self.there, None
        try:
            link = _move(kernel, sides, scene.handles["net:host"], there, self.name)
            if self.was_up:
                netlink.set_up(kernel, sides[1], link)
        except OSError:
            pass  # a physical device returns by itself when its namespace ends, a virtual one is gone then


def close_sides(kernel: Kernel, scene: Scene) -> None:
    for name in HANDLES:
        if name in scene.handles:
            kernel.close(scene.handles.pop(name))


def _open_sides(kernel: Kernel, scene: Scene) -> None:
    if "netlink:host" in scene.handles:
        return
    own = kernel.open("/proc/self/ns/net", os.O_RDONLY)
    directory = open_in_proc(kernel, scene.proc, str(scene.pid), os.O_RDONLY | os.O_DIRECTORY)
    try:
        other = kernel.open("ns/net", os.O_RDONLY, at=directory)
    finally:
        kernel.close(directory)
    scene.handles["net:host"], scene.handles["net:container"] = own, other
    scene.handles["netlink:host"] = netlink.open_netlink(kernel)
    kernel.setns(other, CLONE_NEWNET)
    try:
        scene.handles["netlink:container"] = netlink.open_netlink(kernel)
    finally:
        kernel.setns(own, CLONE_NEWNET)


def _move(kernel: Kernel, sides: tuple[int, int], namespace: int, link: Link, name: str) -> Link:
    """From one side to the other, with its addresses. Returns the device as the other side knows it."""
    source, target = sides
    taken = {other.index for other in netlink.links(kernel, target)}
    addresses = netlink.addresses(kernel, source, link.index)
    netlink.move_link(kernel, source, link, namespace, name)
    moved = _arrived(kernel, target, name, taken)
    for address in addresses:
        netlink.add_address(kernel, target, moved, address)
    return moved


def _arrived(kernel: Kernel, target: int, name: str, taken: set[int]) -> Link:
    """The device that is new in the target; the kernel has numbered it, in the name too if asked."""
    for link in netlink.links(kernel, target):
        if link.index not in taken and (link.name == name or ("%d" in name and _fits(name, link.name))):
            return link
    raise OSError(19, os.strerror(19))


def _fits(template: str, name: str) -> bool:
    head, _, tail = template.partition("%d")
    return name.startswith(head) and name.endswith(tail) and name[len(head) : len(name) - len(tail)].isdecimal()
