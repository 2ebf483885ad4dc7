"""From a checked spec to a Plan: what will be done, in order, before anything is done.

Planning makes no system call that changes anything. One file per feature; each contributes steps to
the stages of a Draft. To add a property of the specification: find its file here (or add one to
FEATURES in build.py), append a step, and give it the property's JSON pointer as origin.
"""
