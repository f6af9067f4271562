"""Tasks' output on disk: written as it is published, read by seq or time, searched, kept within bounds.

A log is a directory of segments (``standalone.segments`` has the layout). One thread writes for all tasks,
and no task ever waits for a disk longer than ``disk_threads.PATIENCE_S``.
"""
