"""A judge and a stopwatch for any OCI runtime.

It knows runtimes only by their command line (``create``, ``start``, ``state``, ``kill``, ``delete``) and judges them
only by what can be seen from outside and by a static probe inside the container. It imports nothing of any runtime.
"""
