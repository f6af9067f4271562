"""OS processes: starting them, finding a run's whole tree, ending it, reaping, and the guardian."""

from __future__ import annotations

from overseer.process.forking import raise_file_limit
from overseer.process.guardian import Guardian, guardian
from overseer.process.policy import StopPolicy
from overseer.process.registry import Entry, adopt_orphans, end_orphans, reap_orphans, registry
from overseer.process.spawn import SECRETS, Child, spawn
from overseer.process.standalone.terminate import Ending, signal_name
from overseer.process.standalone.tree import RUN_VARIABLE, SERVER_VARIABLE, Process, Tree, can_look

__all__ = [
    "RUN_VARIABLE",
    "SECRETS",
    "SERVER_VARIABLE",
    "Child",
    "Ending",
    "Entry",
    "Guardian",
    "Process",
    "StopPolicy",
    "Tree",
    "adopt_orphans",
    "can_look",
    "end_orphans",
    "guardian",
    "raise_file_limit",
    "reap_orphans",
    "registry",
    "signal_name",
    "spawn",
]
