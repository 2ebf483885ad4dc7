"""The systemd driver: a transient scope for each container (org.freedesktop.systemd1(5), systemd.resource-control(5)).

systemd owns the tree, so it makes the cgroup, and learns every limit as a property of the unit: what it
has not been told it takes back at the next daemon-reload. The same limits are then written to the
files, which know more than systemd does.
"""

from __future__ import annotations

from ociruntime.core.cgroup.dbus import BUS, BusError, Connection, address
from ociruntime.core.errors import ConfigError, HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ociruntime.core.cgroup.device_rules import Rule

    Property = tuple[str, tuple[str, Any]]  # name, (D-Bus signature, value)
    Part = Mapping[str, Any]  # spec.types.Resources, or a part of it

SYSTEMD = "org.freedesktop.systemd1"
MANAGER = (SYSTEMD, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
PATIENCE = 30.0  # seconds for a job: a busy systemd takes its time
INFINITY = 2**64 - 1
PREFIX = "ociruntime"


# --- names --------------------------------------------------------------------------------------------


def unit_of(wanted: str, container_id: str, *, user: bool) -> tuple[str, str]:
    """Slice and unit for a cgroupsPath of the form slice:prefix:name. Raises ConfigError for another form."""
    if not wanted:
        return ("user.slice" if user else "system.slice"), f"{PREFIX}-{container_id}.scope"
    parts = wanted.split(":")
    if len(parts) != 3 or not parts[2] or "/" in wanted:
        raise ConfigError(
            f'expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got "{wanted}" instead',
            code="cgroup-systemd-path", origin="/linux/cgroupsPath",
        )  # fmt: skip
    above, prefix, name = parts
    if not above:
        above = "user.slice" if user else "system.slice"
    if name.endswith(".slice"):
        raise ConfigError(
            f"{name} is a slice, and a slice holds no processes: a container's unit is a scope",
            code="cgroup-systemd-path", origin="/linux/cgroupsPath",
        )  # fmt: skip
    return above, f"{prefix}-{name}.scope" if prefix else f"{name}.scope"


def slice_path(name: str) -> str:
    """Where a slice is: a-b.slice lies in a.slice (systemd.slice(5)). Raises ConfigError for a name that is none."""
    stem = name.removesuffix(".slice")
    if stem == "-":
        return ""
    if not name.endswith(".slice") or not stem or "" in stem.split("-"):
        raise ConfigError(
            f'"{name}" is not the name of a slice', code="cgroup-systemd-path", origin="/linux/cgroupsPath"
        )
    parts = stem.split("-")
    return "".join("/" + "-".join(parts[: depth + 1]) + ".slice" for depth in range(len(parts)))


# --- properties -----------------------------------------------------------------------------------------


def scope_properties(above: str, container_id: str, pid: int) -> list[Property]:
    """What every container's unit is."""
    return [
        ("Description", ("s", f"container {container_id}")),
        ("Slice", ("s", above)),
        ("PIDs", ("au", [pid])),
        ("Delegate", ("b", True)),
        ("DefaultDependencies", ("b", False)),
        ("CPUAccounting", ("b", True)),
        ("MemoryAccounting", ("b", True)),
        ("IOAccounting", ("b", True)),
        ("TasksAccounting", ("b", True)),
        # A unit that failed would stay, and keep its name from the next container of that id.
        ("CollectMode", ("s", "inactive-or-failed")),
    ]


def limit_properties(version: str, resources: Part) -> list[Property]:
    """linux.resources as far as systemd has properties for them; devices and late ones apart."""
    cpu, block = (resources.get(key) or {} for key in ("cpu", "blockIO"))
    found: list[Property] = []
    if cpu.get("shares"):
        if version == "v2":
            from ociruntime.core.plan.resources_v2 import weight_of_shares

            found.append(("CPUWeight", ("t", weight_of_shares(cpu["shares"]))))
        else:
            found.append(("CPUShares", ("t", cpu["shares"])))
    if version == "v2" and cpu.get("idle"):
        found.append(("CPUWeight", ("t", 0)))  # systemd's spelling of cpu.idle, since 252
    found += _quota(cpu.get("quota") or 0, cpu.get("period") or 0)
    for key, name in (("cpus", "AllowedCPUs"), ("mems", "AllowedMemoryNodes")):
        if version == "v2" and cpu.get(key):
            found.append((name, ("ay", bit_mask(cpu[key]))))
    if block.get("weight"):
        from ociruntime.core.plan.resources_v2 import io_weight

        name, weight = (
            ("IOWeight", io_weight(block["weight"])) if version == "v2" else ("BlockIOWeight", block["weight"])
        )
        found.append((name, ("t", weight)))
    return found


def _quota(quota: int, period: int) -> list[Property]:
    """systemd counts in whole percents of a processor, so the share is rounded up to the next 10 ms in a second."""
    found: list[Property] = []
    if period:
        found.append(("CPUQuotaPeriodUSec", ("t", period)))
    if quota > 0:
        share = quota * 1_000_000 // (period or 100_000)
        found.append(("CPUQuotaPerSecUSec", ("t", -(-share // 10_000) * 10_000)))
    elif quota < 0:
        found.append(("CPUQuotaPerSecUSec", ("t", INFINITY)))
    return found


def late_properties(version: str, resources: Part) -> list[Property]:
    """The limits of memory and of processes: set late, as plan.cgroup does with the files."""
    memory = resources.get("memory") or {}
    limit = memory.get("limit")
    tasks = (resources.get("pids") or {}).get("limit")
    found: list[Property] = []
    if tasks is not None:
        # systemd refuses a limit of zero; the file has it, and nobody can fork in either case.
        found.append(("TasksMax", ("t", INFINITY if tasks < 0 else max(tasks, 1))))
    if version != "v2":
        return [*found, ("MemoryLimit", ("t", _bytes(limit)))] if limit else found
    from ociruntime.core.plan.resources_v2 import swap_of

    if limit:
        found.append(("MemoryMax", ("t", _bytes(limit))))
    if memory.get("reservation"):
        found.append(("MemoryLow", ("t", _bytes(memory["reservation"]))))
    swap = swap_of(limit, memory.get("swap"))
    if swap is not None:
        found.append(("MemorySwapMax", ("t", _bytes(swap))))
    unified = resources.get("unified") or {}
    for file, name in (
        ("memory.min", "MemoryMin"),
        ("memory.low", "MemoryLow"),
        ("memory.high", "MemoryHigh"),
        ("memory.max", "MemoryMax"),
        ("memory.swap.max", "MemorySwapMax"),
    ):
        word = str(unified.get(file, "")).strip()
        if word == "max" or word.isdigit():
            found.append((name, ("t", INFINITY if word == "max" else int(word))))
    return found


def _bytes(number: int) -> int:
    return INFINITY if number < 0 else number


def bit_mask(text: str) -> list[int]:
    """A list like 0-3,8 as systemd wants it: one bit each, lowest byte first."""
    mask = 0
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        for number in range(int(first), int(last or first) + 1):
            mask |= 1 << number
    return list(mask.to_bytes((mask.bit_length() + 7) // 8, "little"))


def device_properties(rules: tuple[Rule, ...], groups: dict[str, dict[int, str]]) -> list[Property]:
    """The rules as systemd can tell them: never less than they allow, so that daemon-reload revokes nothing.

    The program of cgroup.devices, attached beside systemd's, sees to what they do not allow.
    groups: names of majors in /proc/devices, by "c" and "b".
    """
    last_deny_all = max((at for at, rule in enumerate(rules) if rule[:4] == (False, "a", -1, -1)), default=-1)
    if last_deny_all < 0:
        return [("DevicePolicy", ("s", "auto"))]
    allowed: list[tuple[str, str]] = []
    for allow, kind, major, minor, access in rules[last_deny_all + 1 :]:
        if not allow:
            continue
        for one in "cb" if kind == "a" else kind:
            name = _device_name(one, major, minor, groups)
            if not name:
                return [("DevicePolicy", ("s", "auto"))]
            allowed.append((name, access))
    # An empty list first: later ones are added to what an earlier one said.
    return [
        ("DevicePolicy", ("s", "strict")),
        ("DeviceAllow", ("a(ss)", [])),
        ("DeviceAllow", ("a(ss)", allowed)),
    ]


def _device_name(kind: str, major: int, minor: int, groups: dict[str, dict[int, str]]) -> str:
    """A device, or group of devices, in systemd's words; "" where it has none (any major with one minor)."""
    long = "char" if kind == "c" else "block"
    if major < 0:
        return f"{long}-*" if minor < 0 else ""
    if minor >= 0:
        return f"/dev/{long}/{major}:{minor}"
    name = groups[kind].get(major)
    return f"{long}-{name}" if name else ""


def device_groups(text: str) -> dict[str, dict[int, str]]:
    """/proc/devices as names by major number, for "c" and "b"."""
    groups: dict[str, dict[int, str]] = {"c": {}, "b": {}}
    kind = "c"
    for line in text.splitlines():
        if line.startswith("Block"):
            kind = "b"
        number, _, name = line.strip().partition(" ")
        if number.isdigit():
            groups[kind][int(number)] = name
    return groups


# --- asking systemd ---------------------------------------------------------------------------------------


def start_unit(unit: str, properties: list[Property], *, user: bool) -> None:
    """Start a transient unit and wait until it is there. Raises HostError."""
    connection = Connection(address(user=user), PATIENCE)
    try:
        watch(connection)
        call = connection.send(MANAGER, "StartTransientUnit", "ssa(sv)a(sa(sv))", unit, "replace", properties, [])
        try:
            job = connection.reply(call)[0]
        except BusError as error:
            if not error.name.endswith(".UnitExists"):
                raise
            # One that has failed holds its name until it is forgotten.
            connection.call(MANAGER, "ResetFailedUnit", "s", unit)
            again = connection.send(MANAGER, "StartTransientUnit", "ssa(sv)a(sa(sv))", unit, "replace", properties, [])
            job = connection.reply(again)[0]
        result = finished(connection, job)
        if result != "done":
            raise HostError(
                f"systemd could not start {unit}: {result}", code="systemd-job", hint=f"see systemctl status {unit}"
            )
    except BusError as error:
        raise refused(f"cannot start {unit}", error) from None
    finally:
        connection.close()


def stop_unit(unit: str, *, user: bool) -> None:
    """Stop a unit and wait until it is gone; one that systemd does not know is fine. Raises HostError."""
    connection = Connection(address(user=user), PATIENCE)
    try:
        watch(connection)
        finished(connection, connection.call(MANAGER, "StopUnit", "ss", unit, "replace")[0])
        connection.call(MANAGER, "ResetFailedUnit", "s", unit)
    except BusError as error:
        if not error.name.endswith((".NoSuchUnit", ".UnitNotLoaded")):
            raise refused(f"cannot stop {unit}", error) from None
    finally:
        connection.close()


def set_properties(unit: str, properties: list[Property], *, user: bool) -> None:
    """Change properties of a unit until it ends. Raises HostError."""
    if not properties:
        return
    connection = Connection(address(user=user), PATIENCE)
    try:
        connection.call(MANAGER, "SetUnitProperties", "sba(sv)", unit, True, properties)
    except BusError as error:
        raise refused(f"cannot set properties of {unit}", error) from None
    finally:
        connection.close()


def attach(unit: str, pid: int, *, user: bool) -> None:
    """Have systemd move a process into a unit that exists. Raises HostError."""
    connection = Connection(address(user=user), PATIENCE)
    try:
        connection.call(MANAGER, "AttachProcessesToUnit", "ssau", unit, "", [pid])
    except BusError as error:
        raise refused(f"cannot move process {pid} to {unit}", error) from None
    finally:
        connection.close()


def watch(connection: Connection) -> None:
    """Hear of finished jobs: systemd sends signals once somebody has subscribed."""
    rule = f"type='signal',sender='{SYSTEMD}',interface='{MANAGER[2]}',member='JobRemoved'"
    connection.send(BUS, "AddMatch", "s", rule)
    connection.send(MANAGER, "Subscribe")


def finished(connection: Connection, job: str) -> str:
    """The result of a job: "done", "canceled", "timeout", "failed", "dependency" or "skipped"."""
    while True:
        _, path, _, result = connection.signal("JobRemoved")
        if path == job:
            return str(result)


def refused(what: str, error: BusError) -> HostError:
    hint = ""
    if error.name.endswith((".AccessDenied", ".InteractiveAuthorizationRequired")):
        hint = "an ordinary user needs a systemd user session: loginctl enable-linger, and XDG_RUNTIME_DIR set"
    return HostError(f"{what}: {error} ({error.name})", code="systemd-refused", hint=hint)


def own_user_manager(own: str, euid: int) -> str:
    """The cgroup of the user's systemd, where an ordinary user's units are, from the runtime's own cgroup.

    That one names the user as the host knows him; in a user namespace (podman's, rootless) euid does not.
    """
    for part in own.split("/"):
        number = part.removeprefix("user-").removesuffix(".slice")
        if number.isdigit() and part == f"user-{number}.slice":
            euid = int(number)
            break
    return f"/user.slice/user-{euid}.slice/user@{euid}.service"
