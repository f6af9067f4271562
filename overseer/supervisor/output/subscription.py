"""One client's subscription to one task id, and its progress."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from overseer.net.frames import Message
from overseer.supervisor.clients import Client
from overseer.util.standstill import standstill

if TYPE_CHECKING:
    from overseer.logs.standalone.segments import Text

_EVENTS = 1000  # lifecycle events that wait for one client; beyond that the oldest are dropped


class Behind:
    """How far a client is that is served from the log; the task's lock guards it.

    Attributes:
        next_seq: the line it is to be sent next.
        events: those that it has not been sent, each with the seq that it follows.
        text: what has been read for it, a block at most; the reader's own.
        failing_since: when it could no longer be read for it (monotonic), 0 if it can; the reader's own.
        begun: whether it has been sent some; the reader's own.
    """

    __slots__ = ("begun", "events", "failing_since", "next_seq", "text")

    def __init__(self, next_seq: int) -> None:
        self.next_seq = next_seq
        self.events: deque[tuple[int, Message]] = deque(maxlen=_EVENTS)
        self.text: Text | None = None
        self.failing_since = 0.0
        self.begun = False


@dataclass(frozen=True, slots=True)
class Wishes:
    """A request's settings of a subscription; ``""`` and None leave one unchanged.

    Attributes:
        on_lag: ``block``, ``drop`` or ``catch_up``.
        partial: also send unfinished lines.
        raw: also send a terminal's raw output.
        usage: also push resource usage.
    """

    on_lag: str = ""
    partial: bool | None = None
    raw: bool | None = None
    usage: bool | None = None


NO_WISHES = Wishes()


class Subscription:
    """It outlives the tasks that bear the id.

    Attributes:
        on_lag: what is done when the client reads too slowly.
        partial, raw, usage: see :class:`Wishes`.
        owed: of which streams it has not seen how the line stands that has no end.
        gap_from, gap_to: the lines skipped since the client fell behind; 0: it keeps up.
        raw_seen: the offset of what it is to be sent next of a terminal.
        awaits_room: it is not sent any of that before there is room.
        behind: it is served from the log until it has caught up.
        by_watch: it is only there because its client watches all tasks with their output.
    """

    __slots__ = (
        "awaits_room", "behind", "by_watch", "client", "ended", "gap_from", "gap_to", "on_lag", "owed",
        "partial", "raw", "raw_seen", "usage",
    )  # fmt: skip

    def __init__(self, client: Client, wishes: Wishes, *, by_watch: bool = False) -> None:
        self.client = client
        self.by_watch = by_watch
        self.on_lag = wishes.on_lag or client.on_lag
        self.partial = bool(wishes.partial)
        self.raw = bool(wishes.raw)
        self.usage = bool(wishes.usage)
        self.owed: set[str] = set()
        self.ended = False
        self.gap_from = 0
        self.gap_to = 0
        self.raw_seen = 0
        self.awaits_room = False
        self.behind: Behind | None = None

    def change(self, wishes: Wishes) -> None:
        """Apply new wishes; what is newly wanted is sent from its current state on."""
        if self.by_watch:  # its client wants this task by itself: from now on it is a subscription as any
            self.by_watch = False
            wishes = replace(wishes, on_lag=wishes.on_lag or self.client.on_lag)
        if wishes.partial is not None:
            self.partial = wishes.partial
            self.owed.clear()
        if wishes.raw is not None:
            self.raw = wishes.raw
            self.raw_seen = 0
        if wishes.usage is not None:
            self.usage = wishes.usage
        if wishes.on_lag:
            self.on_lag = wishes.on_lag
            self.client.outbox.recheck()

    @property
    def lossless(self) -> bool:
        """Whether the task waits for this client (back-pressure)."""
        return self.on_lag == "block" and self.behind is None

    def blocks(self, size: int) -> bool:
        """Whether the task has to wait before output of that size, as this client has no room for it."""
        return self.on_lag == "block" and self.behind is None and not self.client.outbox.ask_for_room(size)

    def takes(self, size: int) -> bool:
        """Whether output of that size is sent at once; for a lossless one, room has been waited for."""
        if self.behind is not None:
            return False
        if self.on_lag == "block":
            return True
        outbox = self.client.outbox
        if self.on_lag == "catch_up":
            return outbox.has_spare(size)
        return not self.gap_from and outbox.ask_for_room(size)

    def renewed(self) -> Subscription:
        """The same subscription for the id's next task; one that is behind continues in the log they
        share."""
        wishes = Wishes(self.on_lag, self.partial, self.raw, self.usage)
        other = Subscription(self.client, wishes, by_watch=self.by_watch)
        if self.behind is not None:
            other.behind = Behind(self.behind.next_seq)
            other.behind.events.extend(self.behind.events)
        return other

    def waits_no_more(self) -> bool:
        """Whether the stream no longer has to wait for this client."""
        return self.ended or not self.lossless or standstill.closed
