"""System call filters: a profile of the specification to instructions for seccomp(2), and their cache."""
