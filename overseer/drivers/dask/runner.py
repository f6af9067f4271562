"""A program that runs one overseer's tasks on one worker of a cluster, in a process of its own.

It is a process of its own since it has the lease, which must end also in a worker that is frozen.
``python -m overseer.drivers.dask.runner SECONDS`` takes frames on stdin and writes frames to stdout. When the
lease is over, or stdin at its end, everything is killed at once: nobody hears of these runs any more, and
others may be started in their place.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import sys
import threading
import time
from collections import deque
from dataclasses import astuple, dataclass, field
from datetime import datetime
from io import FileIO
from typing import Any

from overseer.drivers.dask.frames import WINDOW, Order, pack, read_frame
from overseer.drivers.dask.lease import HeldLease
from overseer.errors import OverseerError, RequestError
from overseer.process.guardian import guardian
from overseer.process.reaper import adopt_orphans, reap_orphans
from overseer.process.registry import registry
from overseer.process.usage import usage_meter
from overseer.util.masking import Secrets
from overseer.util.threads import start_thread
from overseer.workers.base import OutputBatch, RunContext, Worker, WorkerCallbacks
from overseer.workers.starting import start_worker
from overseer.workers.stopping import overdue

_log = logging.getLogger(__name__)

_KILL_S = 3.0  # for SIGKILL to work, before the guardian takes over
_MEASURE_S = 10.0
_FIRST_S = 1.0  # from a run's start until it is measured first, for the peak of short ones
_AGAIN_S = 0.05  # until input is offered again that found no room


class Runner:
    """Runs what it is told to.

    Args:
        lease: seconds.
        out: where frames go.
    """

    def __init__(self, lease: float, out: int) -> None:
        self._lease = HeldLease(lease)
        self._out = out
        self._lock = threading.Lock()  # guards the fields below
        self._ready = threading.Condition(self._lock)  # notified when there is a frame to write
        self._frames: deque[bytes] = deque()  # bounded by the windows of the runs
        self._runs: dict[str, _Run] = {}
        self._measuring = threading.Condition(self._lock)  # notified when the next two have changed
        self._asked = False  # the overseer wants to know what its runs use
        self._due = float("inf")  # monotonic; for the next measuring
        self._full: dict[str, _Run] = {}  # those that have input which found no room

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        """Have a frame written; does not block."""
        with self._lock:
            self._frames.append(pack(head, body))
            self._ready.notify()

    def write(self) -> None:
        """Write frames, until nobody reads them. On a thread of its own, since a frozen worker reads none."""
        while True:
            with self._lock:
                self._ready.wait_for(lambda: self._frames)
                data = b"".join(self._frames)
                self._frames.clear()
            view = memoryview(data)
            try:
                while view:
                    view = view[os.write(self._out, view) :]
            except OSError:
                return

    def watch_lease(self) -> None:
        """End everything once the lease is over. On a thread that nothing holds up."""
        self._lease.wait_for_end()
        self.end("the lease is over")

    def measure(self) -> None:
        """Look what runs use: now and again, for the peak that is told at their ends, and when asked."""
        while True:
            with self._lock:
                while not self._asked and (left := self._due - time.monotonic()) > 0:
                    self._measuring.wait(None if left == float("inf") else left)
                asked, self._asked = self._asked, False
                self._due = time.monotonic() + _MEASURE_S if self._runs else float("inf")
            try:
                used = usage_meter.measure()
            except OSError:
                _log.exception("what tasks use cannot be measured")
                continue
            if asked:
                rows = {run: astuple(usage)[1:] for run, usage in used.items()}
                self.send({"op": "usage"}, json.dumps(rows).encode())

    def end(self, why: str) -> None:
        """Kill all runs, and end this process."""
        entries = registry.entries()
        if entries:
            _log.warning("killing %d tasks of an overseer: %s", len(entries), why)
        with self._lock:
            runs = list(self._runs.values())
        for run in runs:
            if run.worker is not None:
                run.worker.stop(0.0)
        until = time.monotonic() + _KILL_S
        while registry.entries() and time.monotonic() < until:
            time.sleep(0.01)
        if not registry.entries():
            guardian.stop()
        os._exit(0)  # the guardian, if it is still there, ends what is left

    def act(self, head: dict[str, Any], body: bytes) -> None:
        """Do what a frame says; on the main thread."""
        match head["op"]:
            case "renew":
                self._lease.renew(head.get("lease"))
            case "run":
                self._run(Order.of(head))
            case "measure":
                with self._lock:
                    self._asked = True
                    self._measuring.notify()
            case _:
                with self._lock:
                    run = self._runs.get(head.get("run", ""))
                if run is not None and run.worker is not None:
                    self._act_on(run, run.worker, head, body)

    def _act_on(self, run: _Run, worker: Worker, head: dict[str, Any], body: bytes) -> None:
        try:
            match head["op"]:
                case "took":
                    run.took(head["bytes"])
                case "stop":
                    worker.stop(head["grace"])
                case "input":
                    run.inputs.append((body, head["eof"]))
                    self.give_input(run)
                case "signal":
                    worker.send_signal(head["number"])
                case "resize":
                    worker.resize(head["rows"], head["cols"])
        except OverseerError as error:
            run.tell(str(error))

    def give_input(self, run: _Run) -> None:
        """Give a run the input that waits for it."""
        self._full.pop(run.id, None)
        while run.inputs:
            data, eof = run.inputs[0]
            assert run.worker is not None
            try:
                run.worker.give_input(data, eof=eof)
            except RequestError as error:
                if error.code == "full":
                    self._full[run.id] = run
                    return
                run.tell(f"its input is dropped: {error.message}")
            except OverseerError as error:
                run.tell(f"its input is dropped: {error}")
            run.inputs.popleft()
            self.send({"op": "took", "run": run.id, "bytes": len(data)})

    def _run(self, order: Order) -> None:
        run = _Run(order.run, self)
        secrets = Secrets(order.masked)
        context = RunContext(
            order.config.task_id,
            order.run,
            order.policy,
            order.max_line,
            secrets=secrets,
            read_secret=order.secrets.__getitem__,
            hands_on=order.hands_on,
        )
        shown: Any = _Shown(run, order.shows) if order.shows else run.on_output
        callbacks = WorkerCallbacks(shown, run.tell, run.on_exited, context)
        with self._lock:
            self._runs[order.run] = run
            self._due = min(self._due, time.monotonic() + _FIRST_S)
            self._measuring.notify()
        try:
            worker = start_worker(order.config, callbacks)
        except Exception as error:
            with self._lock:
                del self._runs[order.run]
            if not isinstance(error, OverseerError):
                _log.exception("a task cannot be started")
            self.send({"op": "failed", "run": order.run, "error": str(error)})
            return
        run.worker = worker
        self.send(
            {
                "op": "started",
                "run": run.id,
                "pid": worker.pid,
                "at": worker.started_at.isoformat(),
                "stdin": worker.stdin,
            }
        )
        run.announced.set()

    def forget(self, run: _Run) -> None:
        with self._lock:
            self._runs.pop(run.id, None)

    def serve(self, source: int) -> None:
        """Act on frames until their end, which is that of everything. The main thread's."""
        reading, waking = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        poll = select.poll()
        poll.register(source, select.POLLIN)
        poll.register(reading, select.POLLIN)
        stream = FileIO(source)
        again: float | None = None
        while True:
            waits = [each for each in (again, _AGAIN_S if self._full else None) if each is not None]
            ready = {fd for fd, _ in poll.poll(min(waits) * 1000 if waits else None)}
            if reading in ready:
                os.read(reading, 4096)
            if reading in ready or not ready:
                again = reap_orphans()
            for run in list(self._full.values()):
                self.give_input(run)
            if source in ready:
                frame = read_frame(_Whole(stream))
                if frame is None:
                    self.end("its worker has gone")
                    return
                self.act(json.loads(frame[0]), frame[1])


class _Whole:
    """Reads as much as it is asked for, and no more, so that poll sees the rest."""

    def __init__(self, stream: FileIO) -> None:
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        data = bytearray()
        while len(data) < size:
            some = self._stream.read(size - len(data))
            if not some:
                break
            data += some
        return bytes(data)


@dataclass(eq=False)
class _Run:
    """A run, its callbacks, and its window."""

    id: str
    runner: Runner
    worker: Worker | None = None
    inputs: deque[tuple[bytes, bool]] = field(default_factory=deque)
    announced: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._room = threading.Condition()  # notified when output has been handed on, and at the end
        self._under_way = 0  # bytes

    def took(self, size: int) -> None:
        """So many bytes have been handed on."""
        with self._room:
            self._under_way -= size
            self._room.notify_all()

    def send(self, op: str, body: bytes, **more: Any) -> None:
        """Send output once there is room for it; both streams share the window."""
        self.announced.wait()
        with self._room:
            self._room.wait_for(lambda: not self._under_way or self._under_way + len(body) <= WINDOW)
            self._under_way += len(body)
        self.runner.send({"op": op, "run": self.id, **more}, body)

    def on_output(self, batch: OutputBatch) -> None:
        mark = "truncated" if batch.truncated else "overwritten" if batch.overwritten else ""
        body = "\n".join(batch.lines).encode("utf-8", "surrogatepass")
        self.send("out", body, stream=batch.stream, ts=batch.ts.isoformat(), mark=mark)

    def unfinished(self, stream: str, line: bytes) -> None:
        if self.announced.is_set():
            self.runner.send({"op": "part", "run": self.id, "stream": stream}, line[-4096:])

    def raw(self, data: bytes) -> None:
        self.send("raw", data)

    def tell(self, text: str) -> None:
        self.runner.send({"op": "event", "run": self.id, "text": text})

    def on_exited(self, worker: Worker, code: int, intentional: bool, at: datetime) -> None:
        self.announced.wait()
        self.runner.forget(self)
        self.runner.send(
            {
                "op": "exit",
                "run": self.id,
                "code": code,
                "signal": worker.signal,
                "oom": worker.ran_out_of_memory,
                "cpu": worker.cpu,
                "max_rss": worker.max_rss,
                "values": dict(worker.values),
            }
        )


class _Shown:
    """A run's ``on_output`` with those of its attributes that are wanted."""

    def __init__(self, run: _Run, shows: tuple[str, ...]) -> None:
        self._run = run
        for name in shows:
            setattr(self, name, getattr(run, name))

    def __call__(self, batch: OutputBatch) -> None:
        self._run.on_output(batch)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s sticky-overseer runner: %(message)s")
    source, out = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):  # tasks and libraries must not find the frames there
        os.dup2(nothing, fd)
    os.close(nothing)
    runner = Runner(float(sys.argv[1]), out)
    adopt_orphans()
    guardian.start()
    overdue.start()
    start_thread(runner.watch_lease, "lease")
    start_thread(runner.write, "frames")
    start_thread(runner.measure, "usage")
    try:
        runner.serve(source)
    finally:
        runner.end("it failed")


if __name__ == "__main__":
    main()
