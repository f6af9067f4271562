"""The one thread that starts standing tasks by their schedules.

It sleeps until the next slot is due, but at most half a minute: then it reads the wall clock again, which may
have been set, or have advanced while the machine slept. Its decisions are stored before they are carried out,
so that no slot is run twice, whenever the server is killed.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from overseer.config import StandingTask
from overseer.errors import ClosingError, RequestError, TakenError
from overseer.history.records import Trigger
from overseer.history.slots import FIRING, REFUSED, SKIPPED, WAITING, Slot
from overseer.protocol import Skipped, Start
from overseer.schedules.batch import Batch, Fire
from overseer.schedules.firing import Firing
from overseer.schedules.plan import Offer, Skip
from overseer.schedules.slots import moment_of
from overseer.schedules.store import ScheduleStore
from overseer.schedules.track import Track, tracks_from, tracks_to
from overseer.supervisor.hub import Hub
from overseer.supervisor.observers import Change
from overseer.supervisor.retry import effective_policy
from overseer.supervisor.task import Requester
from overseer.util.locks import Rank, assert_held, lock
from overseer.util.standstill import standstill
from overseer.util.threads import VitalThread
from overseer.util.timestamps import now

_log = logging.getLogger(__name__)

_SLICE_S = 30.0  # after which the wall clock is looked at again
_FLOOR_S = 0.05  # it sleeps for this long at least
_BACK_S = 1.0  # a clock that is this far behind itself was set back
_AT_ONCE = 500  # tasks decided on before what was decided is stored

Record = Callable[[str, Start, str], None]
"""Records a start in the audit: whose schedule requested it, the request, and why it was refused."""


class Scheduler:
    """Starts the standing tasks that have schedules. Thread-safe.

    Args:
        record: records every start in the audit.
        clock: the wall clock.
    """

    def __init__(
        self, hub: Hub, store: ScheduleStore, record: Record, clock: Callable[[], datetime] = now
    ) -> None:
        self._hub = hub
        self._store = store
        self._record = record
        self._clock = clock
        self.lock: threading.Lock = lock(Rank.SCHEDULES, "schedules")  # guards the rest
        self._wake = threading.Condition(self.lock)  # notified when there may be something to decide
        self.tracks: dict[str, Track] = {}
        self._heap: list[tuple[float, int, Track]] = []
        self._numbers = itertools.count()
        self._armed: dict[Track, int] = {}  # the valid entry in the heap
        self._waiting: set[Track] = set()  # with slots that wait for the task to end
        self._firing = Firing()
        self._returning: Collection[str] = ()  # tasks of an earlier server that are still to be brought back
        self._before = self.wall()  # the last reading of the wall clock
        self._over = False  # a task that a slot waits for may be over
        self._closed = False
        self._thread = VitalThread(target=self._run, name="schedules")

    def __repr__(self) -> str:
        return f"<Scheduler of {len(self.tracks)} tasks>"

    def wall(self) -> float:
        """The wall clock, in seconds since 1970."""
        return self._clock().timestamp()

    # -- from start to end

    def load(self, tasks: Mapping[str, StandingTask], given: Mapping[str, Any] | None = None) -> None:
        """Continue where an earlier server left off, or another program of this one (``given``)."""
        known = dict(self._store.load() if given is None else tracks_from(given))
        at = self.wall()
        batch = Batch(now())
        with self.lock:
            for name, standing in _scheduled(tasks):
                earlier = known.pop(name, None)
                track = self.tracks[name] = Track(standing, at, earlier)
                batch.tracks[track] = None
                for slot in () if earlier is None else earlier.slots:
                    if slot.outcome == FIRING:  # how far its start had come is unknown
                        batch.skip(track, Skip(slot.slot, "missed"))
                if track.plan.waiting:
                    self._waiting.add(track)
                self._arm_locked(track)
            for task_id, name, *offer in () if given is None else given["firing"]:
                if name in self.tracks:
                    self._firing.add(Fire(self.tracks[name], Offer(*offer), task_id))
        left: list[Slot] = []  # by tasks that the configuration does not have
        for gone in known.values():
            gone.wanted = False
            left += [slot for slot in gone.slots if slot.outcome in (WAITING, FIRING)]
        skipped = [replace(slot, outcome=SKIPPED, reason="disabled") for slot in left]
        self._store.keep(skipped, known.values(), wait=False)
        self._carry_out(batch)

    def start(self, returning: Collection[str] = ()) -> None:
        """Begin to start tasks.

        Args:
            returning: ids of tasks that are still to be brought back, and so are in use; they become fewer.

        Raises:
            RuntimeError: the system allows no more threads.
        """
        self._returning = returning
        with self.lock:  # nothing is started before it is heard what becomes of it
            self._thread.start()
            try:
                self._hub.observe(self.heard)
            except RuntimeError:
                self._closed = True
                raise

    def apply(self, tasks: Mapping[str, StandingTask]) -> None:
        """Switch to another configuration. Slots already due stay so if it still has their tasks."""
        batch = Batch(now())
        gone: list[Track] = []
        with self.lock:
            at = self.wall()
            wanted = dict(_scheduled(tasks))
            for name in self.tracks.keys() - wanted.keys():
                track = self.tracks.pop(name)
                for skip in track.plan.replace((), at):
                    batch.skip(track, skip)
                batch.skip_waiting(track, "disabled")
                self._armed.pop(track, None)
                self._waiting.discard(track)
                batch.tracks.pop(track, None)
                gone.append(track)
            missing = wanted.keys() - self.tracks.keys()
        known = self._store.load() if missing else {}
        with self.lock:
            for name, standing in wanted.items():
                if name in missing:
                    earlier = known.get(name)
                    if earlier is not None:
                        earlier.wanted = False
                    track = self.tracks[name] = Track(standing, at, earlier)
                else:
                    track = self.tracks[name]
                    track.standing = standing
                    if standing.schedule == track.plan.schedules:
                        continue
                    for skip in track.plan.replace(standing.schedule, at):
                        batch.skip(track, skip)
                batch.tracks[track] = None
                self._arm_locked(track)
            self._wake.notify()
        self._store.keep([], [track.row(wanted=False) for track in gone], wait=False)
        self._carry_out(batch)

    def export(self) -> dict[str, Any]:
        """What another program has to know to go on, see :meth:`load`; at a standstill."""
        with self.lock:
            firing = [[fire.task_id, fire.track.task_id, *fire.offer] for fire in self._firing]
            return {"tracks": tracks_to(self.tracks.values()), "firing": firing}

    def close(self) -> None:
        """Stop starting tasks. Idempotent."""
        with self.lock:
            self._closed = True
            self._wake.notify()
        if self._thread.ident is not None:  # it was started
            self._thread.join(timeout=2.0)

    def gauges(self) -> Mapping[str, tuple[str, float]]:
        """For monitoring: help text and value, by name."""
        tracks = list(self.tracks.values())
        return {
            "scheduled_tasks": ("Standing tasks with a schedule", len(tracks)),
            "paused_schedules": ("Those of them that are paused", sum(track.plan.paused for track in tracks)),
        }

    # -- requests

    def pause(self, task_id: str, paused: bool) -> None:
        """Pause or resume a task's schedules; slots that wait for the task to end are skipped.

        Raises:
            RequestError: the task has none.
        """
        batch = Batch(now())
        with self.lock:
            track = self.tracks.get(task_id)
            if track is None:
                raise RequestError(f"{task_id} has no schedule")
            track.plan.paused = paused
            batch.tracks[track] = None
            if paused:
                batch.skip_waiting(track, "paused")
                self._waiting.discard(track)
        self._carry_out(batch)

    def heard(self, change: Change) -> None:
        """Something became of a task."""
        with self.lock:
            settled = self._firing.settle(change)
            if settled is not None:
                fire, slot = settled
                fire.track.note(slot)
            track = self.tracks.get(change.task_id)
            if change.outcome and track in self._waiting:
                self._over = True
                self._wake.notify()
        if settled is not None:
            self._store.keep([slot], [], wait=False)

    # -- the thread

    def _run(self) -> None:
        while True:
            with standstill:
                self._step()
            with self.lock:
                if not self._closed and not self._over:
                    self._wake.wait(self._patience_locked())
                if self._closed:
                    return

    def _patience_locked(self) -> float:
        assert_held(self.lock)
        self._drop_stale_locked()
        wait = self._heap[0][0] - self.wall() if self._heap else _SLICE_S
        return min(max(wait, _FLOOR_S), _SLICE_S)

    def _step(self) -> None:
        """Decide on what is due, and carry it out."""
        more = True
        while more:
            batch = Batch(now())
            with self.lock:
                if self._closed:
                    return
                at = self.wall()
                self._look_at_clock_locked(at)
                self._over = False
                for track in [*self._waiting]:
                    if not self._in_use_locked(track):
                        batch.fire(track, track.plan.waiting.popleft())
                        self._note_waiting_locked(track)
                more = self._decide_locked(batch, at)
            self._carry_out(batch)

    def _look_at_clock_locked(self, at: float) -> None:
        assert_held(self.lock)
        before, self._before = self._before, at
        if at < before - _BACK_S:
            _log.warning(
                "the clock was set back by %.0f s: slots that were already run are not run again",
                before - at,
            )
            for track in self.tracks.values():
                track.plan.clock_set_back(at)
                self._arm_locked(track)

    def _decide_locked(self, batch: Batch, at: float) -> bool:
        """Decide on the tasks that are due first; returns whether there are more."""
        assert_held(self.lock)
        for _ in range(_AT_ONCE):
            self._drop_stale_locked()
            if not self._heap or self._heap[0][0] > at:
                return False
            track = heapq.heappop(self._heap)[2]
            offers, skips = track.plan.decide(at)
            for skip in skips:
                batch.skip(track, skip)
            for offer in offers:
                batch.offer(track, offer, self._in_use_locked(track))
            batch.tracks[track] = None
            self._note_waiting_locked(track)
            self._arm_locked(track)
        return True

    def _in_use_locked(self, track: Track) -> bool:
        assert_held(self.lock)
        return track.task_id in self._returning or self._hub.in_use(track.task_id)

    def _note_waiting_locked(self, track: Track) -> None:
        assert_held(self.lock)
        if track.plan.waiting:
            self._waiting.add(track)
        else:
            self._waiting.discard(track)

    def _arm_locked(self, track: Track) -> None:
        """Schedule the decision on its next slot."""
        assert_held(self.lock)
        due = track.plan.due
        if due is None:
            self._armed.pop(track, None)
            return
        number = self._armed[track] = next(self._numbers)
        heapq.heappush(self._heap, (due, number, track))

    def _drop_stale_locked(self) -> None:
        assert_held(self.lock)
        while self._heap and self._armed.get(self._heap[0][2]) != self._heap[0][1]:
            heapq.heappop(self._heap)

    # -- what follows

    def _carry_out(self, batch: Batch) -> None:
        if not batch:
            return
        self._store.keep(batch.slots, [track.row() for track in batch.tracks])
        for track, slot in batch.skipped:
            event = Skipped(track.task_id, moment_of(slot.slot), slot.reason, slot.at, slot.number)
            self._hub.skip(event, track.standing.action)
        for track in batch.stops:
            self._stop(track)
        for fire in batch.fires:
            self._fire(fire)

    def _stop(self, track: Track) -> None:
        try:
            self._hub.stop(track.task_id, Requester(cause=_cause(track)))
        except RequestError as error:
            _log.warning("task %s cannot be stopped for its next start: %s", track.task_id, error.message)

    def _fire(self, fire: Fire) -> None:
        """Start a task for a stored slot."""
        track, task_id = fire.track, fire.task_id
        request = Start("", task_id=task_id)
        cause = _cause(track)
        fire = fire._replace(cause=cause)
        with self.lock:
            self._firing.add(fire)
        try:
            if task_id != track.task_id:
                standing = track.standing
                policy = effective_policy(None, self._hub.definitions.config.standing_retry(standing))
                request = Start("", standing.action, task_id, standing.params, policy)
            self._hub.start(
                request.action,
                task_id,
                request.params,
                retry_policy=request.retry_policy,
                requester=Requester(cause=cause),
            )
        except Exception as error:  # whatever is wrong with one task, the others go on
            with self.lock:
                self._firing.remove(fire)
            self._failed(fire, request, error)
        else:
            self._record(track.task_id, request, "")

    def _failed(self, fire: Fire, request: Start, error: Exception) -> None:
        """Decide on a slot whose start has failed."""
        match error:
            case ClosingError():
                pass  # the next server will see that it was not run
            case TakenError() if fire.task_id == fire.track.task_id:  # it was started otherwise meanwhile
                batch = Batch(now())
                with self.lock:
                    if self.tracks.get(fire.task_id) is fire.track:
                        batch.offer(fire.track, fire.offer, in_use=True)
                        self._note_waiting_locked(fire.track)
                    else:  # a reload has taken its schedule away, and stored that
                        batch.skip(fire.track, Skip(fire.offer.slot, "disabled"))
                        del batch.tracks[fire.track]
                self._carry_out(batch)
            case RequestError():
                self._refused(fire, request, error.message)
            case _:
                _log.error("task %s could not be started by its schedule", fire.task_id, exc_info=error)
                self._refused(fire, request, "internal error")

    def _refused(self, fire: Fire, request: Start, why: str) -> None:
        self._record(fire.track.task_id, request, why)
        _log.warning("task %s was not started by its schedule: %s", fire.task_id, why)
        refused = Slot(fire.track.task_id, fire.offer.slot, REFUSED, now(), detail=why)
        with self.lock:
            fire.track.note(refused)
        self._store.keep([refused], [], wait=False)


def _scheduled(tasks: Mapping[str, StandingTask]) -> Iterable[tuple[str, StandingTask]]:
    return ((name, standing) for name, standing in tasks.items() if standing.schedule)


def _cause(track: Track) -> Trigger:
    return Trigger("schedule", f"schedule:{track.task_id}")
