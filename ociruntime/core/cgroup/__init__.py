"""Control groups: what the host has (host), and what is done to a container's own
(processes, freezer, join, remove, update, stats).

All of it works on the record that the state file keeps, so they need neither the spec nor a plan:

    {"driver": "cgroupfs", "version": "v1", "paths": {"cpu": "/sys/fs/cgroup/cpu/x", ...}, "created": [...]}

driver    "cgroupfs", "systemd" or "disabled"
version   "v1" (legacy and hybrid hosts) or "v2" (unified)
paths     controller to the container's directory; "" is the unified hierarchy, the only key on v2, and
          present on hybrid hosts, where it gives clone3(CLONE_INTO_CGROUP) and cgroup.kill
devices   the rules of linux.resources.devices that are in force; not there where nobody may set any
unit      of the systemd driver: the scope; user: whether it is one of the user's systemd
created   parents that did not exist before, outermost first: removed again once they are empty
"""
