"""OS processes: starting them, finding a run's whole tree, ending it, reaping, and the guardian."""

from __future__ import annotations

from overseer.processes.children import Entry, adopt_orphans, end_orphans, reap_orphans, registry
from overseer.processes.ending import Ending, signal_name
from overseer.processes.forking import raise_file_limit
from overseer.processes.guardian import Guardian, guardian
from overseer.processes.policy import StopPolicy
from overseer.processes.spawning import SECRETS, Child, spawn
from overseer.processes.tree import RUN_VARIABLE, SERVER_VARIABLE, Process, Tree, can_look

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
