"""Handing over runs: a process stays the server's child, and its pipes go on with the same descriptors."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from overseer.process.handover import (
    export_entry,
    export_files,
    export_reader,
    restore_entry,
    restore_files,
    restore_reader,
)
from overseer.process.input import TaskInput
from overseer.process.policy import StopPolicy
from overseer.process.registry import registry
from overseer.process.spawn import Child
from overseer.util.dataclass_json import from_plain, to_plain
from overseer.util.handover import Incoming, Outgoing
from overseer.util.masking import Secrets
from overseer.util.timestamps import parse_timestamp
from overseer.workers.base import RunContext, Worker, WorkerCallbacks
from overseer.workers.os_process import OSWorker
from overseer.workers.program import surroundings_from
from overseer.workers.stopping import Outcome


def inputs_of(worker: Worker) -> list[threading.Lock]:
    """The locks to hold so that nothing is written to its input."""
    taken = worker._input if isinstance(worker, OSWorker) else None
    return [] if taken is None else [taken.writing]


def export_worker(worker: OSWorker, out: Outgoing) -> dict[str, Any]:
    """A run that is not over; at a standstill, with the locks of :func:`inputs_of`."""
    run, reader = worker._run, worker._reader
    with worker._lock:
        said = {
            "pid": worker.pid,
            "started_at": worker.started_at.isoformat(),
            "intentional": worker._intentional,
            "reading": worker._reading,
            "outcome": worker._outcome,
            "cpu": worker.cpu,
            "max_rss": worker.max_rss,
            "shown": worker._shown,
        }
    return {
        **said,
        "pidfd": out.fd(worker._pidfd),
        "streams": [pipe.stream for pipe in reader._open.values()],
        "entry": export_entry(worker._entry),
        "reader": export_reader(reader, out),
        "processes": worker._processes.export(),
        "input": worker._input and worker._input.export_locked(out),
        "files": worker._files and export_files(worker._files, out),
        "surroundings": to_plain(worker.surroundings),
        "run": export_context(run),
    }


def export_context(run: RunContext) -> dict[str, Any]:
    """The settings of a run."""
    return {
        "run_id": run.run_id,
        "stop": to_plain(run.stop),
        "max_line": run.max_line,
        "secrets": list(run.secrets),
        "hands_on": run.hands_on,
        "probed": run.probed,
    }


def context_of(task_id: str, data: Mapping[str, Any]) -> RunContext:
    """The settings of a run that was exported."""
    said = data["run"]
    return RunContext(
        task_id,
        said["run_id"],
        from_plain(StopPolicy, said["stop"]),
        said["max_line"],
        secrets=Secrets(said["secrets"]),
        hands_on=said["hands_on"],
        probed=said["probed"],
    )


def restore_worker(
    task_id: str, data: Mapping[str, Any], callbacks: WorkerCallbacks, given: Incoming
) -> OSWorker:
    """The run again, which goes on with :meth:`OSWorker.resume`."""
    assert callbacks.run is not None
    entry = restore_entry(data["entry"])
    pipes = {
        stream: given.fd(said["fd"])
        for stream, said in zip(data["streams"], data["reader"]["pipes"], strict=True)
    }
    said = data["input"]
    stdin = said and TaskInput.restored(given.fd(said["fd"]), said, given.blob(said["waiting"]))
    files = data["files"] and restore_files(data["files"], given)
    child = Child(data["pid"], given.fd(data["pidfd"]), pipes)
    worker = OSWorker(task_id, child, entry, callbacks.run, callbacks, files, stdin, data["shown"])
    worker.started_at = parse_timestamp(data["started_at"])
    worker._intentional, worker._reading = data["intentional"], data["reading"]
    worker._finishing = not worker._reading
    worker._outcome = data["outcome"] and Outcome(*data["outcome"])
    worker.cpu, worker.max_rss = data["cpu"], data["max_rss"]
    worker.surroundings = data["surroundings"] and surroundings_from(data["surroundings"])
    restore_reader(worker._reader, data["reader"], given)
    worker._processes.restore(data["processes"])
    registry.enter(entry)
    registry.spawned(entry, entry.pid, entry.pipes)
    return worker
