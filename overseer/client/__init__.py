"""A client for programs without asyncio: synchronous, for any number of threads, typed.

::

    from overseer.client import Client

    with Client("ws://localhost:8080/ws") as client:
        task = client.start("build", branch="main")
        for line in task.lines():
            print(line)
        print(task.wait().exit_code)

See ``docs/CLIENT.md``. The messages and values are those of :mod:`overseer.protocol`.
"""

from __future__ import annotations

from overseer.client.address import DEFAULT_URL, Address, parse_url
from overseer.client.client import Client
from overseer.client.errors import (
    ClientError,
    ClosedError,
    ConnectFailedError,
    ConnectionLostError,
    LinesMissedError,
    RefusedError,
    ReplyTimeoutError,
    TaskGoneError,
    TaskNotRunError,
)
from overseer.client.finished import Finished, TaskFailedError
from overseer.client.task import Task
from overseer.client.watch import Watch
from overseer.client.words import OnLag, Reason, Refusal, RunStatus, Status, Stream
from overseer.protocol import RetryPolicy

__all__ = [
    "DEFAULT_URL",
    "Address",
    "Client",
    "ClientError",
    "ClosedError",
    "ConnectFailedError",
    "ConnectionLostError",
    "Finished",
    "LinesMissedError",
    "OnLag",
    "Reason",
    "Refusal",
    "RefusedError",
    "ReplyTimeoutError",
    "RetryPolicy",
    "RunStatus",
    "Status",
    "Stream",
    "Task",
    "TaskFailedError",
    "TaskGoneError",
    "TaskNotRunError",
    "Watch",
    "parse_url",
]
