"""Whether a scheduler answers: a connection to one that is frozen, or cut off, looks as ever for minutes."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from distributed import Client

from overseer.drivers.dask.transport import Transport

_EVERY_S = 0.5


class Heartbeat:
    """Asks one connection's scheduler for a sign of life now and then.

    Args:
        answered: called when there is one, on the engine's loop.

    Attributes:
        heard: monotonic; of the last one.
    """

    def __init__(self, transport: Transport, client: Client, answered: Callable[[], None]) -> None:
        self._transport = transport
        self._client = client
        self._answered = answered
        self.heard = self._asked = time.monotonic()
        self._answer: Future[Any] | None = None

    def look(self, every: float = _EVERY_S) -> None:
        """Ask again if it has been asked so long ago, in seconds. Does not block."""
        moment = time.monotonic()
        if self._answer is not None and self._answer.done():
            if self._answer.exception() is None:
                self.heard = moment
            self._answer = None
        if self._answer is None and moment - self._asked >= every:
            self._asked = moment
            self._answer = self._transport.begin(self._ask)

    async def _ask(self) -> None:
        await self._client.scheduler.echo(data=None)
        self._answered()

    def note(self) -> None:
        """Note a sign of life other than an answer."""
        self.heard = time.monotonic()

    @property
    def is_answered(self) -> bool:
        """Whether the latest question is."""
        return self._answer is None or self._answer.done()

    @property
    def silence(self) -> float:
        """Seconds since the last sign of life."""
        return time.monotonic() - self.heard

    def end(self) -> None:
        if self._answer is not None:
            self._answer.cancel()
