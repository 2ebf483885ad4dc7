"""The hot tier: what runs between the user's call and the container's execve.

Law (tests/law): imports here are builtins, os, C extensions (fcntl, _socket, _signal, select,
resource, our own _door and _jsonio) and each other. A foreign module costs more than a mount; only a
failure may open the comfortable tier (ociruntime.model, ociruntime.explain), and lazily.
"""
