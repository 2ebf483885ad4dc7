"""The runtime as a library: containers as objects, failures as exceptions.

    bundle     a bundle on disk: load, check and edit its configuration
    command    one call of the runtime's program, and its failure as an exception
    runtime    Runtime and Container, for ordinary and threaded programs
    aio        the same for asyncio

Each verb is one call of the `ociruntime` program, as an engine would make it: the container's process is
cloned by a small single-threaded process, never by the caller, so threads and event loops are safe.
"""
