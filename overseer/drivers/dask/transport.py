"""The engine's event loop, in a thread of its own, and the ways to workers: direct, or by their scheduler.

Output takes the direct one where there is one, since what the scheduler passes on takes its only thread.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any

from distributed import Client
from distributed.comm.addressing import parse_host_port
from distributed.core import ConnectionPool
from tornado.ioloop import IOLoop

from overseer.drivers.dask import relay
from overseer.util.threads import start_thread

_log = logging.getLogger(__name__)
for _name in ("distributed", *logging.root.manager.loggerDict):  # what matters of it is said here
    if _name.partition(".")[0] == "distributed":
        logging.getLogger(_name).setLevel(logging.CRITICAL)

CONNECT_S = 4.0
"""Seconds that a connection to the scheduler, or an answer of it, may take."""
_CLOSED = "the connection was closed"
_DIRECT_S = 2.0  # that one to a worker may take, before its scheduler is asked to pass everything on


class Transport:
    """See the module. Started when created; :meth:`close` ends it. Raises OSError, for lack of descriptors.

    Args:
        security: the engine's settings of TLS; None: there is none.
        client: the connection to the scheduler, if there is one now.
    """

    def __init__(self, security: Any, client: Callable[[], Client | None]) -> None:
        self._client = client
        self.loop: Any  # set by its thread
        self._pool: Any
        self._ready = threading.Event()  # the loop runs, or never will
        self._end: asyncio.Event  # the loop's
        self._thread = start_thread(self._run_loop, "cluster-loop")
        self._ready.wait()
        if not hasattr(self, "loop"):
            raise OSError("the engine's event loop does not start")
        # Only ever added to, by atomic operations.
        self._asked: set[Future[Any]] = set()  # what threads wait for
        self._closed = False
        self._reached: set[str] = set()  # workers that have been reached directly
        self._passed_on: set[str] = set()  # workers that only their scheduler reaches
        arguments = {} if security is None else security.get_connection_args("client")

        async def open_pool() -> Any:
            pool = ConnectionPool(limit=4096, connection_args=arguments, timeout=_DIRECT_S)
            await pool.start()
            return pool

        try:
            self._pool = self.sync(open_pool, timeout=CONNECT_S)
        except BaseException:
            self._stop()
            raise

    def _run_loop(self) -> None:
        try:
            asyncio.run(self._run())
        except OSError as error:
            _log.warning("the event loop of a cluster has ended: %s", error)
        finally:
            self._ready.set()

    async def _run(self) -> None:
        self._end = asyncio.Event()
        self.loop = IOLoop.current()
        self._ready.set()
        await self._end.wait()

    def _stop(self) -> None:
        with suppress(RuntimeError):  # it has ended by itself
            self.loop.asyncio_loop.call_soon_threadsafe(self._end.set)
        self._thread.join(CONNECT_S)
        self._closed = True
        for asked in list(self._asked):  # what came too late for the loop
            asked.cancel()

    def close(self) -> None:
        with suppress(Exception):
            self.sync(self._pool.close, timeout=1.0)
        self._stop()

    def sync(self, function: Callable[..., Any], *args: Any, timeout: float, **more: Any) -> Any:
        """Run a coroutine on the loop. Raises whatever it does, TimeoutError (an OSError) when it takes
        longer, and OSError when the loop ends."""

        async def bounded() -> Any:
            return await asyncio.wait_for(function(*args, **more), timeout)

        coroutine = bounded()
        try:
            asked = asyncio.run_coroutine_threadsafe(coroutine, self.loop.asyncio_loop)
        except RuntimeError:
            coroutine.close()
            raise OSError(_CLOSED) from None
        self._asked.add(asked)
        try:
            if self._closed:
                asked.cancel()
            return asked.result()
        except CancelledError:
            raise OSError(_CLOSED) from None
        finally:
            self._asked.discard(asked)

    def begin(self, function: Callable[[], Any]) -> Future[Any]:
        """Run a coroutine on the loop, and do not wait for it; cancelled when that has ended."""
        coroutine = function()
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self.loop.asyncio_loop)
        except RuntimeError:
            coroutine.close()
            ended: Future[Any] = Future()
            ended.set_exception(OSError(_CLOSED))
            return ended

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
        message = {"op": relay.OPERATION, **words}
        answer = self.sync(client.scheduler.proxy, msg=message, worker=address, timeout=timeout)
        if address not in self._passed_on:
            _log.info("%s can be reached by way of its scheduler only", address)
            self._passed_on.add(address)
        return answer

    async def _ask_directly(self, address: str, words: dict[str, Any]) -> Any:
        try:
            answer = await getattr(self._pool(address), relay.OPERATION)(**words)
        except ValueError as error:  # tornado's, of a connection that breaks before its TLS begins
            raise OSError(said_of(error)) from error
        self._reached.add(address)
        return answer


def refuses(address: str) -> bool:
    """Whether nobody listens at an address, as far as its machine says. Takes a second at most."""
    host, port = parse_host_port(address.partition("://")[2])
    try:
        socket.create_connection((host, port), 1.0).close()
    except OSError as error:
        return isinstance(error, ConnectionRefusedError)
    return False


def said_of(error: BaseException) -> str:
    """A failure of the engine in one line."""
    text = " ".join(str(error).split())
    return text[:200] or type(error).__name__
