"""Modules that also run outside the package, with this folder on the path: in the guardian, in new processes.

So they import only the standard library and each other.
"""
