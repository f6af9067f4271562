"""What tests with real servers and real children are made with."""

from overseer.testing.leaks import Snapshot, wait_for_exit
from tests.harness.client import Closed, MessageClient, StdioClient, WsClient
from tests.harness.daemon import ROOT, Daemon, marked_processes, run_program, shell
from tests.harness.load import allowed

__all__ = [
    "ROOT",
    "Closed",
    "Daemon",
    "MessageClient",
    "Snapshot",
    "StdioClient",
    "WsClient",
    "allowed",
    "marked_processes",
    "run_program",
    "shell",
    "wait_for_exit",
]
