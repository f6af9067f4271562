"""A run on a cluster, as the overseer sees it: a worker whose process is elsewhere."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from overseer.drivers.dask.frames import Frame, Order, RunnerLink
from overseer.errors import NotRunningError, OverseerError, SpawnError
from overseer.process.input import CLOSED, check_room
from overseer.process.pipe import DRAIN_MAX_S
from overseer.process.usage import Usage
from overseer.util.locks import assert_held
from overseer.util.standstill import standstill
from overseer.util.threads import run_on_thread, start_thread
from overseer.workers.base import OutputBatch, RunContext, Worker, WorkerCallbacks

_log = logging.getLogger(__name__)

CLUSTER = "cluster"
"""What a run waits for that has no place yet."""

# Attributes that are handed over to another program as they are; moments are monotonic.
_HANDED_OVER = (
    "pid", "stdin", "host", "told", "key", "_intentional", "_begun_at", "_stopped_at", "_end",
    "_input_under_way", "_input_closed",
)  # fmt: skip
_READ_OUT_S = DRAIN_MAX_S + 1.5  # after a stop, for delivering the rest; a little longer than a runner takes


class RemoteWorker(Worker):
    """See the module.

    Args:
        forget: called when nothing more is expected of it.
    """

    hides_secrets = True
    portable = True

    def __init__(
        self,
        order: Order,
        callbacks: WorkerCallbacks,
        run: RunContext,
        forget: Callable[[RemoteWorker], None],
        action: str,
    ) -> None:
        super().__init__(order.config.task_id, 0, callbacks)
        self.order = order
        self.action = action
        self.waiting_on = (CLUSTER,)
        self._run = run
        self._forget = forget
        # The worker's lock guards the rest.
        self._changed = threading.Condition(self._lock)  # notified when any of it has changed
        self._link: RunnerLink | None = None  # once it has a place
        self._begun_at: float | None = None  # monotonic; it runs
        self._failure: OverseerError | None = None  # it never will
        self.told = False  # its requester has been told that it waits
        self._frames: deque[Frame] = deque()  # bounded by the run's window
        self._end: dict[str, Any] | None = None  # the frame that says how it ended, or that it is lost
        self._finishing = False
        self._stopped_at: float | None = None  # monotonic
        self._usage: Usage | None = None  # as last heard
        self._input_under_way = 0  # bytes
        self._input_closed = False
        self._again: dict[str, tuple[float, bytes]] = {}  # unfinished lines to be offered again, and when
        self._delivered = threading.Event()
        self.key = ""  # of the engine's task that holds its place, where the scheduler was asked to keep it
        self.adopt: Callable[[], object] = lambda: None  # makes it its cluster's, after an upgrade

    # Its start

    def await_place(self, patience: float) -> bool:
        """Wait until it runs, or for so many seconds, where nobody is told later; returns whether it runs.

        Raises:
            SpawnError: it cannot be started.
        """
        with self._lock:
            self._changed.wait_for(lambda: self._begun_at is not None or self._failure is not None, patience)
            if self._failure is not None:
                raise self._failure
            return self._begun_at is not None

    def wait_longer(self) -> None:
        """Tell its requester that it waits, unless it has begun."""
        with standstill:
            with self._lock:
                if self.told or self._begun_at is not None or self._failure is not None:
                    return
                self.told = True
            if self._run.waits is not None:
                self._run.waits(self)

    def place(self, link: RunnerLink) -> bool:
        """Have it run at the end of this link; False if it has another place already, or wants none."""
        with self._lock:
            if self._link is not None or self._failure is not None:
                return self._link is link
            self._link = link
        link.say(self.order.head())
        return True

    @property
    def placed(self) -> bool:
        return self._link is not None

    @property
    def begun_there(self) -> bool:
        """Whether it has begun; it never waits for a place again."""
        return self._begun_at is not None

    def fail(self, error: OverseerError) -> None:
        """It will never run."""
        with self._lock:
            if self._failure is not None or self._begun_at is not None:
                return
            self._failure = error
            self._exited_locked(-1, "")
            self._changed.notify_all()
        self._over.set()
        self._forget(self)
        if self._run.begins is not None:
            run_on_thread(self._tell_failure, f"run-{self.task_id}")

    def _tell_failure(self) -> None:
        assert self._run.begins is not None
        with standstill:
            self._run.begins(self, self._failure)

    def _started(self, head: dict[str, Any]) -> None:
        with self._lock:
            assert self._link is not None
            self.pid = head["pid"]
            self.started_at = moment(head["at"])
            self.stdin = head["stdin"]
            self.host = self._link.host
            self.waiting_on = ()
        try:
            start_thread(self._deliver_all, f"run-{self.task_id}")
        except RuntimeError as error:
            self._link.say({"op": "stop", "run": self.order.run, "grace": 0.0})
            self.fail(SpawnError(f"cannot start a task: {error}"))

    # What comes

    def arrive(self, head: dict[str, Any], body: bytes) -> None:
        """Take a frame from its runner. Does not block."""
        match head["op"]:
            case "started":
                self._started(head)
            case "failed":
                self.fail(SpawnError(head["error"]))
            case "gone":
                self._lose_place()
            case "took":
                with self._lock:
                    self._input_under_way -= head["bytes"]
            case _:
                self._keep(head, body)

    def _lose_place(self) -> None:
        """The engine finds it another."""
        with self._lock:
            self._link = None
            stopped = self._intentional
        if stopped:
            self.fail(OverseerError(""))

    def _keep(self, head: dict[str, Any], body: bytes) -> None:
        """Keep a frame for the thread that hands it on; the end is known at once."""
        with self._lock:
            if self._end is not None:
                return
            self._frames.append((head, body))
            self._changed.notify_all()
            if head["op"] not in ("exit", "lost"):
                return
            self._end = head
            never, stopped = not self.pid, self._stopped_at is not None
        if never:
            self.fail(SpawnError(head["why"] if head["op"] == "lost" else "it ended before it began"))
            return
        self._forget(self)
        if stopped:
            run_on_thread(self._end_in_time, f"stop-{self.task_id}")

    def lose(self, why: str) -> None:
        """Nothing more will be heard of it."""
        self.arrive({"op": "lost", "why": why}, b"")

    def _deliver_all(self) -> None:
        """Announce that it runs, then hand on what comes, until its end."""
        with standstill:
            with self._lock:
                self._begun_at = time.monotonic()
                self._changed.notify_all()
            self.begun()
            if self._run.begins is not None:
                self._run.begins(self, None)
        self._hand_on_all()

    def _hand_on_all(self) -> None:
        again = self._again
        while not self._delivered.is_set():
            with self._lock:
                wait = min((at for at, _ in again.values()), default=None)
                self._changed.wait_for(
                    lambda: self._frames, None if wait is None else max(0.0, wait - time.monotonic())
                )
            with standstill:  # what is taken is handed on
                with self._lock:
                    frame = self._frames.popleft() if self._frames else None
                if frame is not None:
                    self._hand_on(*frame)
                for stream, (at, line) in list(again.items()):
                    if at <= time.monotonic():
                        del again[stream]
                        self._show(stream, line)

    def _hand_on(self, head: dict[str, Any], body: bytes) -> None:
        self._again.pop(head.get("stream", ""), None)
        if head["op"] in ("exit", "lost"):
            self._delivered.set()
            self._finish()
            return
        try:
            self._deliver(head, body)
        except Exception:
            _log.exception("task %s: what came from its host cannot be handed on", self.task_id)

    def _deliver(self, head: dict[str, Any], body: bytes) -> None:
        if self._finishing:
            return
        op = head["op"]
        if op == "out":
            batch = OutputBatch(
                head["stream"],
                moment(head["ts"]),
                body.decode("utf-8", "surrogatepass").split("\n"),
                head["mark"] == "truncated",
                head["mark"] == "overwritten",
            )
            self.pass_on(batch)
        elif op == "raw":
            self._callbacks.on_output.raw(body)  # type: ignore[attr-defined]
        elif op == "part":
            self._show(head["stream"], body)
            return
        else:
            self._event(head["text"])
            return
        assert self._link is not None
        self._link.took(self.order.run, len(body))

    def _show(self, stream: str, line: bytes) -> None:
        later = self._callbacks.on_output.unfinished(stream, line)  # type: ignore[attr-defined]
        if later is not None:
            self._again[stream] = time.monotonic() + later, line

    # The end

    def _end_in_time(self) -> None:
        """After a stop: end it even if what it wrote is not taken."""
        assert self._stopped_at is not None
        if not self._delivered.wait(max(0.5, self._stopped_at + _READ_OUT_S - time.monotonic())):
            with standstill:
                self._event("the rest of its output is dropped: it was not taken in time")
                self._finish()

    def _finish(self) -> None:
        with self._lock:
            if self._finishing:
                return
            self._finishing = True
            said = self._end
            assert said is not None
            if said["op"] == "lost":
                self.lost = said["why"]
                end = self._exited_locked(-1, "")
            else:
                self.ran_out_of_memory = said["oom"]
                self.cpu, self.max_rss, self.values = said["cpu"], said["max_rss"], said["values"]
                end = self._exited_locked(said["code"], said["signal"])
            intentional = self._intentional
        self._announce(end, intentional)

    @property
    def lives(self) -> bool:
        with self._lock:
            return self._end is None and self._failure is None

    # What is asked of it

    def stop(self, grace: float | None = None) -> None:
        with self._lock:
            if self._exit is not None:
                return
            self._intentional = True
            first = self._stopped_at is None
            if first:
                self._stopped_at = time.monotonic()
            link, ended = self._link, self._end is not None
        if link is None:
            self.fail(OverseerError(""))
        elif not ended:
            link.say({"op": "stop", "run": self.order.run, "grace": grace})
        elif first:
            run_on_thread(self._end_in_time, f"stop-{self.task_id}")

    def _say(self, op: str, body: bytes = b"", **more: Any) -> bool:
        """Send its runner a word; False if it is over."""
        with self._lock:
            link = self._link
            if link is None or self._end is not None or self._begun_at is None:
                return False
        link.say({"op": op, "run": self.order.run, **more}, body)
        return True

    def ask_usage(self) -> bool:
        link = self._link
        if link is not None:
            link.measure()
        return True

    def measured(self, usage: Usage) -> None:
        """Take what it uses."""
        with self._lock:
            self._usage = usage
            self._changed.notify_all()

    def usage(self, since: float, until: float) -> Usage | None:
        with self._lock:
            self._changed.wait_for(
                lambda: self._end is not None or (self._usage is not None and self._usage.at >= since),
                max(0.0, until - time.monotonic()),
            )
            return self._usage

    def send_signal(self, number: int) -> bool:
        return self._say("signal", number=number)

    def resize(self, rows: int, cols: int) -> bool:
        if self.order.config.stdin != "pty":
            return super().resize(rows, cols)
        return self._say("resize", rows=rows, cols=cols)

    def give_input(self, data: bytes, *, eof: bool = False) -> None:
        if self.order.config.stdin == "none":
            super().give_input(data, eof=eof)
        with self._lock:
            self._reserve_input_locked(len(data), eof)
        if not self._say("input", data, eof=eof):
            raise NotRunningError

    def _reserve_input_locked(self, size: int, eof: bool) -> None:
        assert_held(self._lock)
        if self._input_closed:
            raise OverseerError(CLOSED)
        check_room(size, self._input_under_way)
        self._input_under_way += size
        self._input_closed = eof and self.order.config.stdin == "pipe"

    # Upgrades

    def hand_over(self) -> dict[str, Any]:
        with self._lock:
            shown = [({"op": "part", "stream": stream}, line) for stream, (_, line) in self._again.items()]
            said = {
                **{name: getattr(self, name) for name in _HANDED_OVER},
                "order": json.dumps(self.order.head()).encode(),
                "waiting_on": list(self.waiting_on),
                "started_at": self.started_at.isoformat(),
                "failure": None if self._failure is None else str(self._failure),
                "frames": [[head, bytes(body)] for head, body in (*shown, *self._frames)],
                "link": None,
            }
            link = self._link
        return said if link is None else {**said, **link.export(self.order.run)}

    def restore(self, data: Mapping[str, Any], link: RunnerLink | None) -> None:
        """Be as another program has handed it over; :meth:`resume` must follow."""
        for name in _HANDED_OVER:
            setattr(self, name, data[name])
        self.waiting_on = tuple(data["waiting_on"])
        self.started_at = datetime.fromisoformat(data["started_at"])
        self._failure = None if data["failure"] is None else OverseerError(data["failure"])
        self._frames.extend((head, body) for head, body in data["frames"])
        self._link = link

    def resume(self) -> None:
        name = f"run-{self.task_id}"
        if self._failure is not None:
            start_thread(self._tell_failure, name)
            return
        if self.pid:
            start_thread(self._hand_on_all if self._begun_at is not None else self._deliver_all, name)
        if self._end is not None and self._stopped_at is not None:
            start_thread(self._end_in_time, f"stop-{self.task_id}")
        self.adopt()
        self.adopt = lambda: None


def moment(text: str) -> datetime:
    """A time in a frame; aware, UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)
