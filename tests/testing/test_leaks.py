"""What is looked for is found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from overseer.testing.leaks import processes_with

HEADLESS = """
import ctypes, os, sys, threading
threading.Thread(target=sys.stdin.read).start()
ctypes.CDLL(None).syscall(60, 0)  # exit, of this thread alone
"""


def test_a_process_whose_main_thread_has_exited_is_found() -> None:
    environment = {"OVERSEER_TEST_LEAKS": "here"}
    command = [sys.executable, "-c", HEADLESS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as process:
        try:
            state = Path(f"/proc/{process.pid}/stat")
            while state.read_text().rpartition(")")[2].split()[0] != "Z":
                assert process.poll() is None
            assert list(processes_with("OVERSEER_TEST_LEAKS", "here")) == [process.pid]
        finally:
            process.kill()
