"""One client's wish to hear of one task id, and how far it is."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from overseer.net.frames import Message
from overseer.supervisor.clients import Client

if TYPE_CHECKING:
    from overseer.logs.lines import Lines
    from overseer.logs.standalone.segments import Run

_EVENTS = 1000  # lifecycle events that wait for one client to come so far; beyond that the oldest go


class Behind:
    """How far a client is that is served from the log; the task's lock guards it.

    Attributes:
        next_seq: the line it is to be sent next.
        silent: what is not in the log before that line is nothing that it has missed.
        events: those that it has not been sent, each with the seq that it follows.
        block: what has been read for it, a block at most, and whose lines these are; the reader's own.
    """

    __slots__ = ("block", "events", "next_seq", "runs", "silent")

    def __init__(self, next_seq: int, *, silent: bool = False) -> None:
        self.next_seq = next_seq
        self.silent = silent
        self.events: deque[tuple[int, Message]] = deque(maxlen=_EVENTS)
        self.block: deque[Lines] = deque()
        self.runs: list[Run] = []


class Subscription:
    """It outlives the tasks that bear the id.

    Attributes:
        on_lag: what is done when the client reads too slowly.
        partial: it is also sent lines that have no end yet.
        owed: of which streams it has not seen how that line stands.
        gap_from, gap_to: the lines skipped since the client fell behind; 0: it keeps up.
        behind: it is served from the log until it has caught up.
    """

    __slots__ = ("behind", "client", "ended", "gap_from", "gap_to", "on_lag", "owed", "partial")

    def __init__(self, client: Client, on_lag: str, partial: bool = False) -> None:
        self.client = client
        self.on_lag = on_lag or client.on_lag
        self.partial = partial
        self.owed: set[str] = set()
        self.ended = False
        self.gap_from = 0
        self.gap_to = 0
        self.behind: Behind | None = None

    @property
    def lossless(self) -> bool:
        """Whether the task waits for this client."""
        return self.on_lag == "block" and self.behind is None

    def takes(self, size: int) -> bool:
        """Whether it is sent output of that size at once, for which a lossless one has been waited for."""
        if self.behind is not None:
            return False
        if self.on_lag == "block":
            return True
        outbox = self.client.outbox
        if self.on_lag == "catch_up":
            return outbox.has_place(size)
        return not self.gap_from and outbox.has_room(size)

    def renewed(self) -> Subscription:
        """The same wish, for the next task of the id: who is behind goes on in the log, which is the same."""
        other = Subscription(self.client, self.on_lag, self.partial)
        if self.behind is not None:
            other.behind = Behind(self.behind.next_seq, silent=self.behind.silent)
            other.behind.events.extend(self.behind.events)
        return other

    def waits_no_more(self) -> bool:
        """Whether the stream need not wait for this client, as it had to."""
        return self.ended or not self.lossless
