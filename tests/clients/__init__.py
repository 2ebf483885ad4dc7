"""Engines from Debian's packages on ociruntime, scenario by scenario beside their own default runtime.

Each scenario runs once with the engine's default runtime and once with ociruntime; the fixture `same`
compares what a user sees. OCIRUNTIME names the runtime to test (default: .venv/bin/ociruntime).

    host.py       commands with a deadline, a terminal, what is left behind
    image.py      an image made of busybox, without a registry
    podman.py, containerd.py, cri.py, docker.py     one engine each, with its own root, state and socket
"""
