"""What the command line asks of the lifecycle, as values."""

from __future__ import annotations

from ociruntime.core.record import Record


class Globals(Record):
    """The options before the command; every verb of the lifecycle receives them."""

    root: str  # the state directory of all containers, absolute
    root_given: bool = False  # --root was on the command line
    systemd_cgroup: bool = False
    cgroup_manager: str = ""  # "", "cgroupfs", "systemd" or "disabled" (crun's option, sent by podman)
    rootless: str = "auto"  # "true", "false" or "auto"
    debug: bool = False
    log: str = ""
    log_format: str = "text"
    trace: str = ""  # a file for the trace of steps


class CreateOptions(Record):
    """create, run and (later) restore."""

    bundle: str  # absolute
    config: str = ""  # another file than <bundle>/config.json (crun's --config)
    console_socket: str = ""
    pidfd_socket: str = ""
    pid_file: str = ""
    no_pivot: bool = False
    no_new_keyring: bool = False
    preserve_fds: int = 0
    detach: bool = True  # create, or run --detach
    keep: bool = False  # run only
    no_subreaper: bool = False  # run only


class ExecOptions(Record):
    """exec; `process` is a complete process object of the specification, already read and checked."""

    process: dict[str, object]
    console_socket: str = ""
    pidfd_socket: str = ""
    pid_file: str = ""
    detach: bool = False
    preserve_fds: int = 0
    cgroup: tuple[str, ...] = ()
    ignore_paused: bool = False
