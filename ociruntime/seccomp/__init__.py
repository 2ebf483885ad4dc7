"""Comfortable tier: a seccomp profile of the specification to instructions, by libseccomp."""
