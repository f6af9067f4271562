"""Probes: checks from outside whether runs are ready, and whether they still work."""
