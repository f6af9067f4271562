"""What the process that searches has in common with the server: the standard library and nothing else.

Its modules are also imported by name, without the package, by an interpreter that has only this directory.
"""
