"""Whether a scheduler answers: a connection to one that is frozen, or cut off, looks as ever for minutes."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from typing import Any

from distributed import Client

from overseer.drivers.dask.reach import Reach

_EVERY_S = 0.5
_SILENCE_S = 4.0  # without an answer, after which it counts as away


class Pulse:
    """Asks one connection's scheduler for a sign of life now and then.

    Attributes:
        heard: monotonic; up to when it is known to answer.
    """

    def __init__(self, reach: Reach, client: Client) -> None:
        self._reach = reach
        self._client = client
        self.heard = self._asked = time.monotonic()
        self._answer: Future[Any] | None = None

    def beats(self) -> bool:
        """Whether it answers, as far as is known; asks again if it is time. Does not block."""
        moment = time.monotonic()
        if self._answer is not None and self._answer.done():
            if self._answer.exception() is None:
                self.heard = self._asked
            self._answer = None
        if self._answer is None and moment - self._asked > _EVERY_S:
            self._asked = moment
            self._answer = self._reach.begin(self._ask)
        return moment - self.heard < _SILENCE_S + _EVERY_S

    async def _ask(self) -> None:
        await asyncio.wait_for(self._client.scheduler.echo(data=None), _SILENCE_S)
