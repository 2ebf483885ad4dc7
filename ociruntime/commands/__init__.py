"""One file per command: what it is for, its options, and the call of the lifecycle."""
