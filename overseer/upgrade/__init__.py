"""Becoming another program: trying it out on the state in a child, and executing it."""
