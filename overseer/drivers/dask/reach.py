"""The engine's event loop, in a thread of its own, and the ways to workers: direct, or by their scheduler.

Output takes the direct one where there is one, since what the scheduler passes on takes its only thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from distributed import Client
from distributed.core import ConnectionPool
from distributed.utils import LoopRunner, sync

from overseer.drivers.dask import far

_log = logging.getLogger(__name__)
logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters of it is said here

CONNECT_S = 4.0
"""Seconds that a connection to the scheduler, or an answer of it, may take."""
_DIRECT_S = 2.0  # that one to a worker may take, before its scheduler is asked to pass everything on


class Reach:
    """See the module. Started when created; :meth:`close` ends it.

    Args:
        security: the engine's settings of TLS; None: there is none.
        client: the connection to the scheduler, if there is one now.
    """

    def __init__(self, security: Any, client: Callable[[], Client | None]) -> None:
        self._client = client
        self._runner = LoopRunner()
        self._runner.start()
        self.loop = self._runner.loop
        # Only ever added to, by atomic operations.
        self._reached: set[str] = set()  # workers that have been reached directly
        self._passed_on: set[str] = set()  # workers that only their scheduler reaches
        arguments = {} if security is None else security.get_connection_args("client")

        async def open_pool() -> Any:
            pool = ConnectionPool(limit=4096, connection_args=arguments, timeout=_DIRECT_S)
            await pool.start()
            return pool

        self._pool = self.sync(open_pool, timeout=CONNECT_S)

    def close(self) -> None:
        with suppress(Exception):
            self.sync(self._pool.close, timeout=CONNECT_S)
        self._runner.stop()

    def sync(self, function: Callable[..., Any], *args: Any, timeout: float, **more: Any) -> Any:
        """Run a coroutine on the loop. Raises whatever it does, TimeoutError too (an OSError)."""
        return sync(self.loop, function, *args, callback_timeout=timeout, **more)

    def ask(self, address: str, *, timeout: float, **words: Any) -> Any:
        """Ask a worker's relay something. Raises OSError."""
        client = self._client()
        if address not in self._passed_on:
            try:
                return self.sync(self._ask_directly, address, words, timeout=timeout)
            except OSError:
                if client is None or address in self._reached:
                    raise
        if client is None:
            raise OSError("the scheduler is away")
        message = {"op": far.OPERATION, **words}
        answer = self.sync(client.scheduler.proxy, msg=message, worker=address, timeout=timeout)
        if address not in self._passed_on:
            _log.info("%s can be reached by way of its scheduler only", address)
            self._passed_on.add(address)
        return answer

    async def _ask_directly(self, address: str, words: dict[str, Any]) -> Any:
        answer = await getattr(self._pool(address), far.OPERATION)(**words)
        self._reached.add(address)
        return answer
