"""The verbs of a container, one to a file; each reads like its paragraph of runtime.md."""
