"""What it costs that many watch very many tasks: for each event, with nobody, one and fifty of them."""

from __future__ import annotations

import selectors
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial

from bench.cases import Case, Metric, Sample
from bench.client import Connection
from bench.servers import Server

_MANY = 50
_PARAMS = {"script": "sleep 1000"}
_AHEAD = 100  # requests sent before their replies are read
_EVENTS = 3  # of each task: queued, dequeued, forgotten


def watching_cases(count: int) -> Iterator[Case]:
    """The case, for so many tasks."""
    yield Case(
        f"watch-{count}",
        f"{_EVENTS * count:,} events of {count:,} tasks, watched by {_MANY} clients",
        (
            Metric("nobody", "µs of server CPU an event, while nobody watches"),
            Metric("one", "µs more for the first who watches").reach(40),
            Metric("each", "µs more for each of the others").reach(2),
        ),
        partial(_watched, count),
        baseline=False,
        runs=2,
    )


def _watched(count: int, server: Server) -> Sample:
    with closing(server.connect()) as connection:
        connection.send(type="start", id="busy", action="waiting", params=_PARAMS)
        connection.wait_for("started")
        nobody, one, many = (_event_s(count, server, connection, watchers) for watchers in (0, 1, _MANY))
    values = {"nobody": nobody, "one": one - nobody, "each": (many - one) / (_MANY - 1)}
    return Sample({name: seconds * 1e6 for name, seconds in values.items()}, server.resident())


def _event_s(count: int, server: Server, connection: Connection, watchers: int) -> float:
    """Server CPU in seconds for an event, with so many who watch."""
    with ExitStack() as stack:
        heard = stack.enter_context(_Watchers(server, watchers))
        cpu = server.cpu_s()
        for _ in range(count // _AHEAD):
            for number in range(_AHEAD):
                connection.send(type="start", id=f"{number}", action="waiting", params=_PARAMS)
            for _ in range(_AHEAD):
                connection.wait_for("queued")
        connection.send(type="purge", id="purge")
        connection.wait_for("purged")
        heard.wait(_EVENTS * count)
        return (server.cpu_s() - cpu) / (_EVENTS * count)


class _Watchers:
    """So many clients that watch, read by one thread."""

    def __init__(self, server: Server, count: int) -> None:
        self._connections = [server.connect() for _ in range(count)]
        self._left = threading.Condition()
        self._events = [0] * count
        self._ending = False
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> _Watchers:
        for connection in self._connections:
            connection.send(type="watch", id="watch")
            connection.wait_for("watching")
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ending = True
        self._thread.join()
        for connection in self._connections:
            connection.close()

    def wait(self, events: int) -> None:
        """Wait until each has heard of so many."""
        with self._left:
            if not self._left.wait_for(lambda: all(each >= events for each in self._events), 60):
                raise RuntimeError(f"{events} events were due, and {self._events} came")

    def _read(self) -> None:
        with selectors.DefaultSelector() as selector:
            for number, connection in enumerate(self._connections):
                connection.sock.setblocking(False)
                selector.register(connection.sock, selectors.EVENT_READ, [number, b""])
            while not self._ending:
                for key, _ in selector.select(0.1):
                    number, before = key.data
                    data = before + key.fileobj.recv(1 << 20)  # type: ignore[union-attr]
                    # A count of what may be cut is taken once it is whole.
                    whole, mark, rest = data.rpartition(b'"cursor":')
                    key.data[1] = rest[-16:] if mark else data[-16:]
                    with self._left:
                        self._events[number] += (whole + mark).count(b'"cursor":')
                        self._left.notify_all()
