"""The overseer's end of a relay on one worker: it asks for frames, and says what there is to say.

Two threads. One asks for frames, for as long as any run is there: each question renews the lease. The other
sends words, in order; they are numbered, so that one that was sent twice counts once. Neither runs a
callback, so no client that is slow can keep a lease from being renewed.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from overseer.drivers.dask.frames import WINDOW
from overseer.drivers.dask.run import FarWorker
from overseer.process import Usage
from overseer.util.locks import Rank, assert_held, lock
from overseer.util.threads import start_thread

_log = logging.getLogger(__name__)

_IDLE_S = 20.0  # without a run, after which it ends: the next run finds its runner ready
_RETRY_S = 0.25
_MARGIN_S = 3.5  # after its lease, for a runner to kill what it runs
_HEARD = 2 / 3  # of the lease: what is sent later, without an answer, renews it no more
_WORDS = 100  # sent at once, at most


class Link:
    """See the module.

    Args:
        ask: sends the relay a question and returns its answer; raises OSError. Takes seconds as ``timeout``.
        is_gone: whether the worker is known to have left the cluster.
        closed: called when nothing more will come of it.
    """

    def __init__(
        self,
        name: str,
        address: str,
        lease: float,
        ask: Callable[..., dict[str, Any]],
        is_gone: Callable[[str], bool],
        closed: Callable[[Link], None],
    ) -> None:
        self.address = address
        self.host = address if name == address else f"{name} ({address})"
        self._lease = lease
        self._ask = ask
        self._is_gone = is_gone
        self._closed_elsewhere = closed
        self._lock = lock(Rank.LEAF, f"link {address}")  # guards the fields below
        self._wake = threading.Condition(
            self._lock
        )  # notified when there is something to say, and at the end
        self._runs: dict[str, FarWorker] = {}
        self._words: deque[tuple[int, bytes, bytes]] = deque()
        self._taken: dict[str, int] = {}  # bytes handed on, by run, that its runner has not been told of
        self._measuring = False  # it is to be asked what its runs use
        self._number = time.monotonic_ns()  # above that of an earlier link to the same relay
        self._idle_since = time.monotonic()
        self._closed = False
        # Monotonic: when the last question was asked that was answered, and the last that renewed the lease.
        self._heard = self._renewed = time.monotonic()
        self._last = 0  # the number of the latest frame; the asking thread's
        start_thread(self._ask_on, f"cluster-{address}")
        start_thread(self._send_words, f"cluster-{address}")

    @property
    def runs(self) -> list[FarWorker]:
        with self._lock:
            return list(self._runs.values())

    def add(self, run: FarWorker) -> bool:
        """Expect frames of a run; False if the link is closed."""
        with self._lock:
            if self._closed:
                return False
            self._runs[run.order.run] = run
            return True

    def remove(self, run: FarWorker) -> None:
        with self._lock:
            if self._runs.get(run.order.run) is run:
                del self._runs[run.order.run]
            self._taken.pop(run.order.run, None)
            self._idle_since = time.monotonic()

    def close(self) -> None:
        """Ask no more, and give up the runs that are left."""
        with self._lock:
            self._closed = True
            self._wake.notify_all()

    def say(self, head: dict[str, Any], body: bytes = b"") -> None:
        with self._lock:
            self._say_locked(head, body)
            self._wake.notify()

    def measure(self) -> None:
        with self._lock:
            self._measuring = True
            self._wake.notify()

    def took(self, run: str, size: int) -> None:
        with self._lock:
            so_far = self._taken[run] = self._taken.get(run, 0) + size
            if so_far >= WINDOW // 4:
                self._wake.notify()

    def _renews(self) -> bool:
        """Whether what is sent now renews the lease: not if nothing has been heard for long, since a runner
        may hear without being heard, and then must not live on when its tasks are given up."""
        with self._lock:
            moment = time.monotonic()
            renews = moment - self._heard < self._lease * _HEARD
            if renews:
                self._renewed = moment
            return renews

    def _say_locked(self, head: dict[str, Any], body: bytes = b"") -> None:
        assert_held(self._lock)
        self._number += 1
        self._words.append((self._number, json.dumps(head).encode(), body))

    def _acknowledge_locked(self) -> None:
        assert_held(self._lock)
        for run, size in self._taken.items():
            self._say_locked({"op": "took", "run": run, "bytes": size})
        self._taken.clear()
        if self._measuring:
            self._measuring = False
            self._say_locked({"op": "measure"})

    def _send_words(self) -> None:
        while True:
            with self._lock:
                self._wake.wait_for(
                    lambda: (
                        self._closed
                        or self._words
                        or self._measuring
                        or any(size >= WINDOW // 4 for size in self._taken.values())
                    )
                )
                if self._closed:
                    return
                self._acknowledge_locked()
                some = [self._words[n] for n in range(min(_WORDS, len(self._words)))]
            try:
                self._ask(words=some, renew=self._renews(), timeout=self._lease)
            except OSError:
                time.sleep(_RETRY_S)
                continue
            except BaseException:
                _log.exception("what was to be said to %s is lost", self.host)
            with self._lock:
                while self._words and self._words[0][0] <= some[-1][0]:
                    self._words.popleft()

    def _ask_on(self) -> None:
        why = "its connection failed"
        try:
            why = self._until_lost()
        except BaseException:
            _log.exception("the connection to %s failed", self.host)
        with self._lock:
            self._closed = True
            self._wake.notify_all()
            left = list(self._runs.values())
        self._closed_elsewhere(self)
        for run in left:
            run.lose(f"{self.host} was lost: {why}")

    def _until_lost(self) -> str:
        """Ask for frames until nothing is expected any more; returns why not."""
        wait = min(5.0, self._lease / 3)
        while True:
            with self._lock:
                if self._closed:
                    return "the connection was closed"
                if not self._runs and time.monotonic() - self._idle_since > _IDLE_S:
                    return "nothing runs there"
            asked = time.monotonic()
            try:
                answer = self._ask(
                    taken=self._last,
                    wait=wait,
                    renew=self._renews(),
                    timeout=wait + max(1.0, self._lease / 4),
                )
            except OSError as error:
                if self._is_gone(self.address):
                    return "the worker has gone"
                if time.monotonic() - self._renewed > self._lease + _MARGIN_S:
                    return f"nothing was heard of it for {self._lease:g} s ({error or type(error).__name__})"
                time.sleep(_RETRY_S)
                continue
            if answer.get("unknown"):
                return "what ran its tasks has ended"
            with self._lock:
                self._heard = asked
            for number, head, body in answer["frames"]:
                if number > self._last:
                    self._last = number
                    self._pass_on(json.loads(head), body)

    def _pass_on(self, head: dict[str, Any], body: bytes) -> None:
        if head["op"] == "usage":
            moment, used = time.monotonic(), json.loads(body)
            for each in self.runs:
                if each.order.run in used:
                    each.measured(Usage(moment, *used[each.order.run]))
            return
        with self._lock:
            run = self._runs.get(head.get("run", ""))
        if run is not None:
            if head["op"] == "gone":
                self.remove(run)
            run.arrive(head, body)
        elif head["op"] == "started":  # of one that is given up here
            self.say({"op": "stop", "run": head["run"], "grace": 0.0})
