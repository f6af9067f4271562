"""Locks, threads, time, files: what knows nothing of tasks."""
