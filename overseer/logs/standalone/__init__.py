"""Modules that the search process shares with the server; they import only the standard library.

That process has only this directory on its path, and imports them without the package.
"""
