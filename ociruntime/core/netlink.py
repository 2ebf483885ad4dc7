"""Network devices and their addresses, as rtnetlink(7) messages over a socket (netlink(7))."""

from __future__ import annotations

import posix as os

from ociruntime.core import paths
from ociruntime.core.kernel.files import u32
from ociruntime.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ociruntime.core.kernel import Kernel

AF_NETLINK, SOCK_RAW, SOCK_CLOEXEC = 16, 3, 0o2000000

# linux/netlink.h
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP, NLM_F_CREATE = 0x01, 0x04, 0x300, 0x400
NLMSG_ERROR, NLMSG_DONE = 2, 3
HEADER = 16  # struct nlmsghdr

# linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h
RTM_NEWLINK, RTM_GETLINK, RTM_NEWADDR, RTM_GETADDR = 16, 18, 20, 22
IFLA_IFNAME, IFLA_NET_NS_FD = 3, 28
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_FLAGS, IFA_RT_PRIORITY = 1, 2, 4, 8, 9
IFA_F_PERMANENT = 0x80
RT_SCOPE_UNIVERSE = 0
IFF_UP = 1

# Flags that somebody chose: IFA_F_NODAD, HOMEADDRESS, MANAGETEMPADDR, NOPREFIXROUTE, MCAUTOJOIN.
# The others (secondary, tentative, permanent ...) are the kernel's own findings.
CHOSEN_FLAGS = 0x02 | 0x10 | 0x100 | 0x200 | 0x400
KEPT = (IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_RT_PRIORITY)


class Link(Record):
    """A network device as its namespace knows it."""

    index: int
    name: str
    flags: int

    @property
    def up(self) -> bool:
        return bool(self.flags & IFF_UP)


class Address(Record):
    """An address of a device: what is needed to give it to the device once more."""

    family: int
    prefix: int  # bits
    flags: int
    attributes: dict[int, bytes]


def open_netlink(kernel: Kernel) -> int:
    """A socket to the network namespace that the caller is in now; it stays with that one."""
    return kernel.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC)  # protocol 0 is NETLINK_ROUTE


def link_named(kernel: Kernel, fd: int, name: str) -> Link | None:
    """The device of that name, None where there is none."""
    try:
        answers = ask(kernel, fd, RTM_GETLINK, bytes(16) + attribute(IFLA_IFNAME, paths.fsencode(name) + b"\0"))
    except OSError as error:
        if error.errno == 19:  # ENODEV
            return None
        raise
    return _link(answers[0])


def links(kernel: Kernel, fd: int) -> list[Link]:
    """Every device of the namespace."""
    return [_link(body) for body in ask(kernel, fd, RTM_GETLINK, bytes(16), NLM_F_DUMP)]


def addresses(kernel: Kernel, fd: int, index: int) -> list[Address]:
    """The permanent addresses with global scope of a device (config-linux.md, Network Devices)."""
    found = []
    for body in ask(kernel, fd, RTM_GETADDR, bytes(8), NLM_F_DUMP):
        family, prefix, flags, scope = body[:4]  # struct ifaddrmsg
        attributes = dict(_attributes(body[8:]))
        flags = int.from_bytes(attributes.get(IFA_FLAGS, bytes([flags])), "little")
        ours = int.from_bytes(body[4:8], "little") == index
        if ours and scope == RT_SCOPE_UNIVERSE and flags & IFA_F_PERMANENT:
            kept = {kind: attributes[kind] for kind in KEPT if kind in attributes}
            found.append(Address(family=family, prefix=prefix, flags=flags & CHOSEN_FLAGS, attributes=kept))
    return found


def move_link(kernel: Kernel, fd: int, link: Link, namespace: int, name: str) -> None:
    """To another network namespace, given as a descriptor, and to another name there ("%d" is a free number)."""
    body = _ifinfomsg(link.index) + attribute(IFLA_NET_NS_FD, u32(namespace))
    if name != link.name:
        body += attribute(IFLA_IFNAME, paths.fsencode(name) + b"\0")
    ask(kernel, fd, RTM_NEWLINK, body)


def set_up(kernel: Kernel, fd: int, link: Link) -> None:
    ask(kernel, fd, RTM_NEWLINK, _ifinfomsg(link.index, IFF_UP, IFF_UP))


def add_address(kernel: Kernel, fd: int, link: Link, address: Address) -> None:
    body = bytes([address.family, address.prefix, 0, RT_SCOPE_UNIVERSE]) + u32(link.index)
    body += attribute(IFA_FLAGS, u32(address.flags))
    for kind, value in address.attributes.items():
        body += attribute(kind, value)
    try:
        ask(kernel, fd, RTM_NEWADDR, body, NLM_F_CREATE)
    except FileExistsError:
        pass  # the kernel made it by itself


def _ifinfomsg(index: int, flags: int = 0, change: int = 0) -> bytes:
    return bytes(4) + u32(index) + u32(flags) + u32(change)


def attribute(kind: int, value: bytes) -> bytes:
    """struct rtattr and its value, padded to four bytes."""
    size = 4 + len(value)
    return size.to_bytes(2, "little") + kind.to_bytes(2, "little") + value + bytes(-size % 4)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 4:
        size = int.from_bytes(data[:2], "little")
        if size < 4:
            return
        yield int.from_bytes(data[2:4], "little") & 0x3FFF, data[4:size]  # without NLA_F_NESTED and its like
        data = data[(size + 3) & ~3 :]


def _link(body: bytes) -> Link:
    name = dict(_attributes(body[16:])).get(IFLA_IFNAME, b"").rstrip(b"\0")
    return Link(
        index=int.from_bytes(body[4:8], "little"),
        name=paths.fsdecode(name),
        flags=int.from_bytes(body[8:12], "little"),
    )


def ask(kernel: Kernel, fd: int, kind: int, body: bytes, flags: int = 0) -> list[bytes]:
    """Send one request and collect the bodies of its answers. Raises OSError as the kernel refuses it."""
    expected = flags if flags == NLM_F_DUMP else flags | NLM_F_ACK
    header = u32(HEADER + len(body)) + kind.to_bytes(2, "little") + (NLM_F_REQUEST | expected).to_bytes(2, "little")
    kernel.write(fd, header + bytes(8) + body)
    answers: list[bytes] = []
    while True:
        data = kernel.read(fd, 65536)
        while len(data) >= HEADER:
            size, answer = int.from_bytes(data[:4], "little"), int.from_bytes(data[4:6], "little")
            content = data[HEADER:size]
            if answer == NLMSG_DONE:
                return answers
            if answer == NLMSG_ERROR:
                number = -int.from_bytes(content[:4], "little", signed=True)
                if number:
                    raise OSError(number, os.strerror(number))
                return answers
            answers.append(content)
            data = data[(size + 3) & ~3 :]
