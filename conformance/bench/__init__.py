"""The stopwatch: the same deeds asked of several runtimes in turn, and what the differences are worth."""
