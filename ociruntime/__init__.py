"""An OCI low-level container runtime in Python."""

__version__ = "0.1.0"
