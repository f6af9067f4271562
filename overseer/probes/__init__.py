"""Probes of runs: whether they are ready, and whether they still work."""
