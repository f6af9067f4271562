"""OS processes: starting them, finding a run's whole tree, terminating it, reaping, and the guardian."""

from __future__ import annotations

from overseer.process.cgroup import Cgroup
from overseer.process.environment import SECRETS, EnvFile, read_env_files
from overseer.process.forking import raise_file_limit
from overseer.process.guardian import Guardian, guardian
from overseer.process.identity import Identity, identity_of
from overseer.process.output_values import OUTPUT_VARIABLE
from overseer.process.policy import StopPolicy
from overseer.process.private_files import PrivateFiles
from overseer.process.reaper import adopt_orphans, end_orphans, reap_orphans
from overseer.process.registry import Entry, has_forked, registry
from overseer.process.setup import RLIMITS, Setup, setup_faults
from overseer.process.spawn import Child, spawn
from overseer.process.standalone.terminate import Termination, signal_name
from overseer.process.standalone.tree import RUN_VARIABLE, SERVER_VARIABLE, Process, Tree, can_look
from overseer.process.stdin import STDIN, Stdin
from overseer.process.usage import Usage, usage_meter
