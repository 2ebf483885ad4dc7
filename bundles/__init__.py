"""Sample bundles to learn from, with builders that need no download.

A *bundle* is what an OCI runtime is given: a directory with `config.json` and a root file system. Each
module of `bundles.samples` makes one (`pod` makes three), in a page of code, beside a page of text that
says how the same is done by hand.

    python -m bundles --list
    python -m bundles hostbox --out /tmp/hostbox
    python -m bundles hostbox --run --runtime runc

Law of this package: it knows bundles, not runtimes. It imports nothing of ociruntime and works with any
runtime that has the command line of runc.

    samples/     one bundle per module: a recipe for the root, and what differs from the default config
    config.py    the default config.json, and how a change is laid over it
    recipes.py   what a root is made of: busybox, the host's programs, an archive, an interpreter
    root.py      the only way a file gets into a root: never through a symbolic link
    unpack.py    archives and directories of strangers
    elf.py       which libraries a program needs, without running it
    build.py     from a sample to a directory
    running.py   from a directory to a container and back to nothing
"""
