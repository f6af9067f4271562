"""The history of runs, which outlives the server: one row per run, in an SQLite database in ``data_dir``.

The supervisor knows only :mod:`overseer.history.records`, whose :class:`Recorder` keeps nothing. Where a
``data_dir`` is configured, the daemon passes in a :class:`overseer.history.store.History` instead, and only
then is SQLite loaded. Whatever the disk does, a run waits for it only briefly.
"""
