"""What is known of a process that was just started."""

from __future__ import annotations

import os
import signal

from overseer.process.spawn import spawn
from overseer.process.standalone.tree import read_process


def test_a_child_leads_a_session_of_its_own() -> None:
    child = spawn("sleep", ["60"], env={}, cwd=None, streams=["stdout"])
    try:
        process = read_process(child.pid)
        assert process is not None
        assert process.session == child.pid
        assert list(child.pipes) == ["stdout"]
    finally:
        signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)
        os.waitpid(child.pid, 0)
        for fd in (child.pidfd, *child.pipes.values()):
            os.close(fd)
