"""Looks at runs from outside: whether they are ready, and whether they still work."""
