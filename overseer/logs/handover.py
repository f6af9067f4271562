"""Handing over where a task's log ends, so that nobody has to look for it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from overseer.logs.standalone.segments import Block, Run
from overseer.logs.store import Logs
from overseer.logs.tasklog import TaskLog, _Tail


def export_log(log: TaskLog) -> dict[str, Any]:
    """At a standstill."""
    with log._lock:
        tail = log._tail
        return {
            "task_id": log.task_id,
            "found": log._found,
            "end": log._end,
            "given_up": log._given_up,
            "run": log._run,
            "unsaid": log._unsaid,
            "aside": log._aside_until and max(1.0, log._aside_until - time.monotonic()),
            "roll": log._roll or log._working.locked(),
            "tail": tail and {name: getattr(tail, name) for name in _Tail.__slots__},
        }


def restore_log(logs: Logs, data: Mapping[str, Any]) -> TaskLog:
    """The log, which is written on where it ended; a segment that is not as it was left is not continued."""
    log = logs.log_of(data["task_id"])
    with log._lock:
        log._found, log._end, log._given_up = data["found"], data["end"], data["given_up"]
        log._run, log._roll, log._unsaid = Run(*data["run"]), data["roll"], data["unsaid"]
        log._aside_until = data["aside"] and time.monotonic() + data["aside"]
        if (said := data["tail"]) is not None:
            tail = log._tail = _Tail(said["first"])
            tail.size, tail.began = said["size"], said["began"]
            tail.reserved = said.get("reserved", 0)
            tail.blocks = [Block(*each) for each in said["blocks"]]
            tail.runs = [Run(*each) for each in said["runs"]]
    return log
