"""The history of runs, which outlives the server: one row for each, in an SQLite database in ``data_dir``.

The supervisor knows :mod:`overseer.history.records` alone, whose :class:`Recorder` does nothing; the daemon
makes a :class:`overseer.history.store.History` of it where a ``data_dir`` is configured, and only then is
SQLite loaded. Whatever the disk does, no run waits for it longer than a moment.
"""
