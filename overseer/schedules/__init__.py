"""Schedules of standing tasks: when each starts, and what becomes of starts that cannot be.

A *slot* is a moment at which a schedule says that its task starts, in whole seconds since 1970. Task and slot
together are unique: whatever clocks, reloads and crashes do, no slot is run twice, and one that is not run is
on record as skipped.
"""
