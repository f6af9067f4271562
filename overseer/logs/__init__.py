"""Tasks' output on disk: written as it is published, read by seq or time, searched, kept within bounds.

A log is a directory of segments (``standalone.segments`` has the layout). A run's reader writes
its lines itself, and waits for a disk no longer than ``disk_threads.PATIENCE_S``.
"""
