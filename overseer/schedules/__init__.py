"""Schedules of standing tasks: when each starts, and what happens to starts that are impossible.

A *slot* is a time at which a schedule starts its task, in whole seconds since 1970. Task and slot together
are unique: whatever clocks, reloads and crashes do, no slot is run twice, and one that is not run is recorded
as skipped.
"""
