"""The hot tier: what runs between the user's call and the container's execve.

Law (tests/law): imports here are builtins, os, C extensions (_json, fcntl, _socket, _signal, select,
resource, _prctl, our own _door) and each other. A foreign module costs more than a mount; only a
failure may open the comfortable tier (ociruntime.model, ociruntime.explain), and lazily.
"""
