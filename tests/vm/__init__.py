"""A throw-away Debian guest for tests: systemd as PID 1 and pure cgroup v2.

What a test machine cannot show (a systemd cgroup driver, AppArmor, a user
session with delegation) runs in here: `python -m tests.vm build` makes the
guest from Debian packages once, `python -m tests.vm run -- CMD` starts it on
discarded overlays, runs CMD in it and exits with CMD's status.

The guest sees only the directories that are shared with it, and no network.
"""
