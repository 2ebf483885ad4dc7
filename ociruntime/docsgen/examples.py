"""Examples for the manual pages: what it is for, and what to type."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "": (
        (
            "Make a bundle of an image's files and run a shell in it",
            "mkdir -p bundle/rootfs\ntar -C bundle/rootfs -xf image.tar\n"
            "ociruntime spec --bundle bundle\nociruntime run --bundle bundle demo",
        ),
    ),
    "create": (
        (
            "Create, start and remove a container",
            "ociruntime create --bundle bundle demo\nociruntime start demo\nociruntime delete demo",
        ),
    ),
    "delete": (("Remove a container whatever its status", "ociruntime delete --force demo"),),
    "exec": (
        ("Look around in a container", "ociruntime exec --tty demo sh"),
        ("Run a program as another user", "ociruntime exec --user 1000:1000 --env HOME=/tmp demo id"),
    ),
    "kill": (("Kill a container", "ociruntime kill demo KILL"),),
    "list": (("Print the ids of all containers", "ociruntime list --quiet"),),
    "ps": (("Show other columns", "ociruntime ps demo -o pid,rss,args"),),
    "state": (("Print the pid of a container", "ociruntime state demo | jq .pid"),),
    "update": (
        (
            "Change two limits",
            "ociruntime update --memory 512m --pids-limit 100 demo",
        ),
        (
            "Change a limit by a document",
            'echo \'{"cpu": {"shares": 512}}\' | ociruntime update --resources - demo',
        ),
    ),
    "validate": (
        ("See everything that is wrong with a bundle", "ociruntime validate bundle"),
        ("Let a script decide", "ociruntime validate --strict --no-host bundle && tar -cf bundle.tar bundle"),
    ),
}
