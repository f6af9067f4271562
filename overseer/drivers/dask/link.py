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
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any

from overseer.drivers.dask.frames import WINDOW, Numbered
from overseer.drivers.dask.lease import GrantedLease
from overseer.drivers.dask.remote_worker import RemoteWorker
from overseer.process.usage import Usage
from overseer.util.locks import Rank, assert_held, lock
from overseer.util.standstill import standstill
from overseer.util.threads import start_thread

_log = logging.getLogger(__name__)

_IDLE_S = 20.0  # without a run, after which it ends: the next run finds its runner ready
_RETRY_S = 0.25
_WORDS = 100  # sent at once, at most


class Link:
    """See the module.

    Args:
        relay: the relay's id.
    """

    def __init__(self, name: str, address: str, lease: float, relay: str) -> None:
        self.name = name
        self.address = address
        self.relay = relay
        self.host = address if name == address else f"{name} ({address})"
        self._lock = lock(Rank.LEAF, f"link {address}")  # guards the fields below
        self._lease = GrantedLease(lease)
        # Notified when there is something to say, and at the end.
        self._wake = threading.Condition(self._lock)
        self._runs: dict[str, RemoteWorker] = {}
        self._words: deque[Numbered] = deque()
        self._taken: dict[str, int] = {}  # bytes handed on, by run, that its runner has not been told of
        self._begun = False  # there is a way to ask
        self._measuring = False  # it is to be asked what its runs use
        self._number = time.monotonic_ns()  # above that of an earlier link to the same relay
        self._idle_since = time.monotonic()
        self._closed = False
        self._last = 0  # the number of the latest frame; the asking thread's

    def begin(
        self,
        ask: Callable[..., dict[str, Any]],
        is_gone: Callable[[str], bool],
        closed: Callable[[Link], None],
    ) -> None:
        """Begin to ask and to say. Called once; raises RuntimeError: the system allows no more threads.

        Args:
            ask: sends a relay a question, by its worker's address and its id, and returns its answer; raises
                OSError. Takes seconds as ``timeout``.
            is_gone: whether the worker is known to have left the cluster.
            closed: called when nothing more will come of it.
        """
        self._ask = partial(ask, self.address, relay=self.relay)
        self._is_gone, self._report_closed = is_gone, closed
        self._begun = True
        start_thread(self._ask_on, f"cluster-{self.address}")
        start_thread(self._send_words, f"cluster-{self.address}")

    def export(self, run: str) -> dict[str, Any]:
        """What another program needs of it to go on with a run; at a standstill. Words that no run here is
        meant by come with each."""
        with self._lock:
            self._prolong_locked()
            mine = [word for word in self._words if _run_of(word) == run or _run_of(word) not in self._runs]
            taken = self._taken.get(run, 0)
            said = {
                "relay": self.relay,
                "name": self.name,
                "address": self.address,
                "number": self._number,
                "idle_since": self._idle_since,
                "last": self._last,
                **self._lease.export(),
            }
        return {"link": said, "words": [list(word) for word in mine], "taken": taken}

    def _prolong_locked(self) -> None:
        """Have the lease last longer this time: nothing renews it while a program takes over."""
        assert_held(self._lock)
        if not self._begun or (seconds := self._lease.prolong()) is None:
            return
        self._say_locked({"op": "renew", "lease": seconds})
        words = list(self._words)

        def send() -> None:  # the other threads rest
            with suppress(OSError):
                self._ask(words=words, renew=False, timeout=self._lease.seconds)

        start_thread(send, f"cluster-{self.address}")

    def restore(self, said: Mapping[str, Any]) -> None:
        """Go on where another program's has been; before :meth:`begin`."""
        self._number, self._idle_since, self._last = said["number"], said["idle_since"], said["last"]
        self._lease.restore(said)

    def restore_words(self, words: Iterable[Sequence[Any]]) -> None:
        """Say these as well, in the order of their numbers."""
        with self._lock:
            known = {number: (number, head, body) for number, head, body in words}
            known |= {word[0]: word for word in self._words}
            self._words = deque(known[number] for number in sorted(known))

    @property
    def runs(self) -> list[RemoteWorker]:
        with self._lock:
            return list(self._runs.values())

    def add(self, run: RemoteWorker) -> bool:
        """Expect frames of a run; False if the link is closed."""
        with self._lock:
            if self._closed:
                return False
            self._runs[run.order.run] = run
            return True

    def remove(self, run: RemoteWorker) -> None:
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
            with standstill, self._lock:  # what counts as said is among the words
                if self._closed:
                    return
                self._acknowledge_locked()
                some = list(islice(self._words, _WORDS))
                renew = self._lease.renews()
            try:
                self._ask(words=some, renew=renew, timeout=self._lease.seconds)
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
        with standstill:
            with self._lock:
                self._closed = True
                self._wake.notify_all()
                left = list(self._runs.values())
            self._report_closed(self)
            for run in left:
                run.lose(f"{self.host} was lost: {why}")

    def _until_lost(self) -> str:
        """Ask for frames until nothing is expected any more; returns why not."""
        wait = min(5.0, self._lease.seconds / 3)
        while True:
            with self._lock:
                if self._closed:
                    return "the connection was closed"
                if not self._runs and time.monotonic() - self._idle_since > _IDLE_S:
                    return "nothing runs there"
                renew = self._lease.renews()
            asked = time.monotonic()
            try:
                answer = self._ask(
                    taken=self._last,
                    wait=wait,
                    renew=renew,
                    timeout=wait + max(1.0, self._lease.seconds / 4),
                )
            except OSError as error:
                if self._is_gone(self.address):
                    return "the worker has gone"
                if self._lease.is_over:
                    silence = f"nothing was heard of it for {self._lease.seconds:g} s"
                    return f"{silence} ({error or type(error).__name__})"
                time.sleep(_RETRY_S)
                continue
            if answer.get("unknown"):
                return "what ran its tasks has ended"
            with standstill:  # what counts as heard is passed on
                with self._lock:
                    self._lease.answered(asked)
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


def _run_of(word: Numbered) -> str:
    return str(json.loads(word[1]).get("run", ""))
