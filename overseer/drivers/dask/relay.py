"""What runs within a Dask worker: it holds a thread for each run, and passes frames on.

A task of the engine (:func:`hold`) is no more than the place that a run takes. It announces the run to the
overseer by an event of the engine, small since the scheduler keeps those. The overseer then asks this worker
for frames, again and again (:meth:`Relay.exchange`): its first words are the order to run, which a second
attempt of the engine never gets. Frames are kept until the overseer has them; about ``_KEPT`` bytes are read
ahead.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from distributed import get_worker
from distributed.core import Status

import overseer
from overseer.drivers.dask.frames import FORMAT, Numbered, pack, read_frame
from overseer.util.ids import new_id
from overseer.util.locks import Rank, assert_held, lock
from overseer.util.threads import start_thread

OPERATION = "overseer"
"""What the overseer asks a worker for."""

_KEPT = 4 << 20  # bytes of frames that wait for the overseer, above which the runner's have to wait
_ANSWER = 2 << 20  # bytes of frames in an answer, about
_LOOK_S = 0.02  # between looks whether a runner has ended
_AGAIN_S = 2.0  # until a run is announced again that the overseer has not heard of

_relays: dict[tuple[str, float], Relay] = {}  # by the overseer's id, and the lease
_relays_lock = threading.Lock()


def topic(server: str) -> str:
    """The topic of an overseer's announcements."""
    return f"overseer-{server}"


def hold(server: str, run: str, lease: float) -> None:
    """Hold a thread of this worker for a run, until that is over or nobody asks for it any more."""
    worker = get_worker()
    until = time.monotonic() + lease
    while time.monotonic() < until:
        relay = _relay_for(worker, server, lease)
        place = relay.enter(run)
        while not place.over.wait(_AGAIN_S if not place.ordered else 1.0):
            if worker.status not in (Status.running, Status.paused):
                relay.close()
            elif not place.ordered:
                if time.monotonic() > until:
                    relay.leave(run)
                    return
                relay.announce(run)
        if place.ordered or place.refused:
            return


def _relay_for(worker: Any, server: str, lease: float) -> Relay:
    with _relays_lock:
        relay = _relays.get((server, lease))
        if relay is None or relay.closed:
            worker.handlers.setdefault(OPERATION, _exchange)
            relay = _relays[server, lease] = Relay(worker, server, lease)
        return relay


async def _exchange(relay: str = "", **words: Any) -> dict[str, Any]:
    """The handler of :data:`OPERATION`."""
    for found in list(_relays.values()):
        if found.id == relay:
            return await found.exchange(**words)
    return {"unknown": True}


class _Place:
    """A run's thread."""

    def __init__(self) -> None:
        self.ordered = False  # the runner has been told to run it
        self.refused = False
        self.over = threading.Event()


class Relay:
    """Between an overseer and its runner on this worker, which it starts."""

    def __init__(self, worker: Any, server: str, lease: float) -> None:
        self.id = new_id()
        self.closed = False
        self._ended = False  # its runner, and so what that ran
        self._worker = worker
        self._server = server
        self._lease = lease
        self._loop: asyncio.AbstractEventLoop = worker.loop.asyncio_loop
        self._lock = lock(Rank.LEAF, "relay")  # guards the fields below
        self._room = threading.Condition(self._lock)  # notified when frames have been taken
        self._to_write = threading.Condition(self._lock)  # notified when there is something for the runner
        self._frames: deque[Numbered] = deque()
        self._number = 0  # of the latest frame
        self._kept = 0  # bytes in _frames
        self._heard = 0  # the number of the overseer's latest word
        self._words: deque[bytes] = deque()  # for the runner
        self._places: dict[str, _Place] = {}
        self._come = asyncio.Event()  # there are frames; the loop's
        self._start_runner()

    def _start_runner(self) -> None:
        self._runner = subprocess.Popen(
            [sys.executable, "-m", "overseer.drivers.dask.runner", str(self._lease)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # what ends this worker's group must leave it the time to end its tasks
        )
        start_thread(self._read, "overseer-read")
        start_thread(self._write, "overseer-write")

    def enter(self, run: str) -> _Place:
        """Hold a place for a run, and announce it."""
        place = _Place()
        with self._lock:
            self._places[run] = place
            if self.closed:
                place.over.set()
        self.announce(run)
        return place

    def leave(self, run: str) -> None:
        with self._lock:
            self._places.pop(run, None)

    def announce(self, run: str) -> None:
        said = {
            "run": run,
            "relay": self.id,
            "address": self._worker.address,
            "name": str(self._worker.name),
            "lease": self._lease,
            "format": FORMAT,
            "version": overseer.__version__,
        }
        self._worker.log_event(topic(self._server), said)

    async def exchange(
        self, taken: int = -1, words: Sequence[Numbered] = (), wait: float = 0.0, renew: bool = True
    ) -> dict[str, Any]:
        """Take the overseer's words and answer with frames.

        Args:
            taken: the number of the last frame that it has; -1: it takes none now.
            words: in order; those that have been heard are skipped.
            wait: seconds for frames to come, if there are none.
            renew: whether that renews the lease.
        """
        if self.closed:
            return await self._end(wait)
        with self._lock:
            for number, head, body in words:
                if number > self._heard:
                    self._heard = number
                    self._hear_locked(head, body)
            if renew:
                self._words.append(pack({"op": "renew"}))
            self._to_write.notify()
            if taken < 0:
                return {}
            while self._frames and self._frames[0][0] <= taken:
                _, old, data = self._frames.popleft()
                self._kept -= len(old) + len(data)
            self._room.notify()
            if self._frames or not wait:
                return {"frames": self._some_locked()}
            self._come.clear()
        try:
            await asyncio.wait_for(self._come.wait(), wait)
        except TimeoutError:
            return {"frames": []}
        with self._lock:
            some = self._some_locked()
        return await self._end(wait) if self.closed else {"frames": some}

    async def _end(self, wait: float) -> dict[str, Any]:
        """The answer of a closed relay: that there is none, once nothing runs any more."""
        until = time.monotonic() + wait
        while not self._ended:
            if time.monotonic() > until:
                return {"frames": []}
            await asyncio.sleep(_LOOK_S)
        return {"unknown": True}

    def _some_locked(self) -> list[Numbered]:
        assert_held(self._lock)
        some, size = [], 0
        for frame in self._frames:
            some.append(frame)
            size += len(frame[2])
            if size > _ANSWER:
                break
        return some

    def _hear_locked(self, head: bytes, body: bytes) -> None:
        assert_held(self._lock)
        word = json.loads(head)
        place = self._places.get(word.get("run", ""))
        if word["op"] == "refuse":
            if place is not None and not place.ordered:
                place.refused = True
                place.over.set()
            return
        if word["op"] == "run":
            if place is None:  # given up meanwhile, since nobody asked for it
                self._add_locked(json.dumps({"op": "gone", "run": word["run"]}).encode(), b"")
                return
            if place.ordered:
                return
            place.ordered = True
        self._words.append(pack(word, body))

    def _add_locked(self, head: bytes, body: bytes) -> None:
        assert_held(self._lock)
        self._number += 1
        self._frames.append((self._number, head, body))
        self._kept += len(head) + len(body)

    def _write(self) -> None:
        """Pass words on to the runner."""
        pipe = self._runner.stdin
        assert pipe is not None
        while True:
            with self._lock:
                self._to_write.wait_for(lambda: self._words or self.closed)
                data = b"".join(self._words)
                self._words.clear()
                if self.closed:
                    break
            try:
                pipe.write(data)
                pipe.flush()
            except OSError:
                break
        with suppress(OSError):
            pipe.close()

    def _read(self) -> None:
        """Keep the runner's frames until the overseer has them."""
        pipe = self._runner.stdout
        assert pipe is not None
        while (frame := read_frame(pipe)) is not None:
            head, body = frame
            over = ""
            if head.startswith((b'{"op":"exit"', b'{"op":"failed"')):
                over = json.loads(head)["run"]
            with self._lock:
                self._room.wait_for(lambda: self._kept < _KEPT or self.closed)
                if self.closed:
                    break
                self._add_locked(head, body)
                place = self._places.pop(over, None)
            if place is not None:
                place.over.set()
            self._ring()
        self.close()
        pipe.close()
        self._runner.wait()
        self._ended = True

    def _ring(self) -> None:
        """Let an exchange that waits go on."""
        try:
            self._loop.call_soon_threadsafe(self._come.set)
        except RuntimeError:  # the loop is closed: so is the worker
            self.close()

    def close(self) -> None:
        """Let the runner end, with all that it runs; nothing is passed on any more. Idempotent."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
            self._room.notify_all()
            self._to_write.notify_all()
            for place in self._places.values():
                place.over.set()
            self._places.clear()
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._come.set)
