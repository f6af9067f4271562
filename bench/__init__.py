"""Measures the server from outside, next to a bare baseline: ``python -m bench --help``."""
