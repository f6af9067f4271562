"""One client's wish to hear of one task id."""

from __future__ import annotations

from dataclasses import dataclass

from overseer.supervisor.clients import Client


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a request says of a subscription; ``""`` and None leave it as it is.

    Attributes:
        on_lag: ``block`` or ``drop``.
        partial: whether it is also sent lines that have no end yet.
        raw: whether it is also sent what a terminal is sent.
        usage: whether it is also told what the task uses.
    """

    on_lag: str = ""
    partial: bool | None = None
    raw: bool | None = None
    usage: bool | None = None


NO_WISHES = Wishes()


class Subscription:
    """It outlives the tasks that bear the id."""

    __slots__ = (
        "awaits_room", "client", "ended", "gap_from", "gap_to", "lossless", "owed", "partial", "raw",
        "raw_seen", "usage",
    )  # fmt: skip

    def __init__(self, client: Client, wishes: Wishes) -> None:
        self.client = client
        self.lossless = (wishes.on_lag or client.on_lag) != "drop"
        self.partial = bool(wishes.partial)
        self.raw = bool(wishes.raw)
        self.usage = bool(wishes.usage)
        self.owed: set[str] = set()  # of which streams it has not seen how the line stands that has no end
        self.ended = False
        self.gap_from = 0  # the first line skipped since the client fell behind; 0: it keeps up
        self.gap_to = 0
        self.raw_seen = 0  # offset of what it is to be sent next of a terminal
        self.awaits_room = False  # for that

    def change(self, wishes: Wishes) -> None:
        """What is asked for anew is also sent anew."""
        if wishes.partial is not None:
            self.partial = wishes.partial
            self.owed.clear()
        if wishes.raw is not None:
            self.raw = wishes.raw
            self.raw_seen = 0
        if wishes.usage is not None:
            self.usage = wishes.usage
        if wishes.on_lag:
            self.lossless = wishes.on_lag != "drop"
            self.client.outbox.look_again()

    def renewed(self) -> Subscription:
        """The same for another task."""
        on_lag = "block" if self.lossless else "drop"
        return Subscription(self.client, Wishes(on_lag, self.partial, self.raw, self.usage))

    def waits_no_more(self) -> bool:
        """Whether the stream need not wait for this client, as it had to."""
        return self.ended or not self.lossless
