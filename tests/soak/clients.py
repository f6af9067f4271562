"""Clients that do everything there is to do, at random, and check all that they hear."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import re
import threading
from collections.abc import Callable
from typing import Any

from tests.faults.support import wait_until
from tests.harness import Closed, WsClient
from tests.soak.model import Broken, View
from tests.soak.picture import Picture

__all__ = ["Failures", "Hammer", "Onlooker", "SoakClient"]

Message = dict[str, Any]
_numbers = itertools.count(1)
_REPLY_S = 30.0  # far beyond what anything takes on a busy machine

# What may be refused, and in which words; anything else is a bug.
_REFUSALS = re.compile(
    "task already running or starting|task not found|task is not errored|queue is full|no room|displac"
    "|limit|duplicate task|cannot start|shutting down"
)
_LEGAL = {
    ("active", "running"),
    ("active", "exited"),
    ("active", ""),  # it is being started for the first time
    ("queued", ""),
    ("queued", "exited"),  # requeued
    ("stopped", "exited"),
    ("stopped", ""),
    ("errored", "exited"),
    ("errored", ""),
}


class Failures:
    """The first thing that went wrong in any thread."""

    def __init__(self) -> None:
        self.first: BaseException | None = None
        self.stop = threading.Event()  # time is up, or something went wrong
        self.ending = False  # the server is being ended: it may refuse connections

    def add(self, error: BaseException) -> None:
        if self.first is None:
            self.first = error
        self.stop.set()


class SoakClient(WsClient):
    """Checks and forgets what it receives, instead of keeping it for tests to look at."""

    def __init__(self, address: str, view: Any, failures: Failures) -> None:
        self._view = view
        self._failures = failures
        self._replies: dict[str, Message | None] = {}
        self.reading = threading.Event()  # cleared: what comes is left where it is
        self.reading.set()
        super().__init__(address)

    def ask(self, type: str, **fields: Any) -> Message:
        """Send a request and wait for its reply."""
        request = {"type": type, "id": f"k{next(_numbers)}", **fields}
        with self._came:
            self._view.ask(request)
            self._replies[request["id"]] = None
        self.send_text(json.dumps(request))
        with self._came:
            if not self._came.wait_for(lambda: self._replies[request["id"]] or self._ended, _REPLY_S):
                raise Broken(f"no reply to {request}")
            reply = self._replies.pop(request["id"])
        if reply is None:
            raise ConnectionError("closed")
        if reply["type"] == "error" and not _REFUSALS.search(reply["message"]):
            raise Broken(f"{request} was answered with {reply}")
        return reply

    def leave(self, *, politely: bool) -> None:
        """Close the connection, whatever state it is in."""
        with contextlib.suppress(OSError):
            if politely:
                self.close()
            else:
                self.abort()
        self._join()
        self._sock.close()

    def tell(self, type: str, **fields: Any) -> None:
        """Send a request that has no reply when all is well."""
        request = {"type": type, "id": f"k{next(_numbers)}", **fields}
        with self._came:
            self._view.ask(request)
        self.send_text(json.dumps(request))

    def _received(self, payloads: list[bytes]) -> None:
        self.reading.wait(_REPLY_S)
        try:
            with self._came:
                for payload in payloads:
                    message = json.loads(payload)
                    self._view.see(message)
                    if message.get("id") in self._replies:
                        self._replies[message["id"]] = message
                self._came.notify_all()
        except BaseException as error:
            self._failures.add(error)
            raise OSError from error


class Hammer:
    """One client after another, each doing random things until it is tired of it."""

    def __init__(self, number: int, seed: int, address: str, ids: dict[str, str], failures: Failures) -> None:
        self._random = random.Random(f"{seed}/{number}")
        self._address = address
        self._ids = ids
        self._names = list(ids)
        self._failures = failures
        self._lossless = number % 3 != 0
        self._stalls = number % 6 == 5
        self.did = 0
        self.cut = 0  # connections that the server closed
        self.lines = 0
        self.missed = 0
        self.partials = 0
        self.thread = threading.Thread(target=self._run, name=f"hammer-{number}", daemon=True)

    def _run(self) -> None:
        try:
            while not self._failures.stop.is_set():
                try:
                    self._connection()
                except OSError:
                    pass
                except Closed:
                    if not self._failures.ending:
                        raise
        except BaseException as error:
            self._failures.add(error)

    def _connection(self) -> None:
        view = View(self._lossless)
        client = SoakClient(self._address, view, self._failures)
        try:
            for _ in range(self._random.randint(5, 120)):
                if self._failures.stop.is_set():
                    break
                try:
                    self._act(client, view)
                except OSError:
                    self.cut += 1
                    raise
                self.did += 1
                self._failures.stop.wait(self._random.choice((0.0, 0.0, 0.01, 0.05)))
        finally:
            client.reading.set()
            self.lines += view.lines
            self.missed += view.missed
            self.partials += view.partials
            client.leave(politely=self._random.random() < 0.6)

    def _act(self, client: SoakClient, view: View) -> None:
        task_id = self._random.choice(self._names)
        actions: list[tuple[int, Callable[[], object]]] = [
            (8, lambda: self._start(client, task_id)),
            (4, lambda: client.tell("stop", task_id=task_id)),
            (3, lambda: client.tell("reset", task_id=task_id)),
            (4, lambda: client.tell("restart", task_id=task_id)),
            (2, lambda: client.tell("signal", task_id=task_id, signal="CONT")),
            (3, lambda: client.ask("subscribe", task_id=task_id, on_lag=self._on_lag(), **self._partial())),
            (3, lambda: self._resume(client, task_id)),
            (3, lambda: self._unsubscribe(client, view, task_id)),
            (2, lambda: self._check_list(client)),
            (2, lambda: self._check_pool(client)),
            (1, lambda: client.ask("metrics", **self._random.choice(({}, {"task_id": task_id})))),
            (1, lambda: self._resize(client)),
            (1 if self._stalls or not self._lossless else 0, lambda: self._stall(client)),
        ]
        if self._random.random() < 0.01:
            client.ask("purge", **self._random.choice(({}, {"action": "resized"})))
            return
        self._random.choices([call for _, call in actions], [weight for weight, _ in actions])[0]()

    def _stall(self, client: SoakClient) -> None:
        """Read nothing for a while, with much to come; a lossless client is cut, perhaps."""
        for task_id, action in self._ids.items():
            if action == "huge":
                client.ask("subscribe", task_id=task_id, on_lag=self._on_lag())
        client.reading.clear()
        self._failures.stop.wait(self._random.uniform(0.1, 8.0 if self._lossless else 2.0))
        client.reading.set()

    def _on_lag(self) -> str:
        return "block" if self._lossless else "drop"

    def _partial(self) -> Message:
        return self._random.choice(({}, {"partial": True}, {"partial": True}, {"partial": False}))

    def _start(self, client: SoakClient, task_id: str) -> None:
        client.ask(
            "start",
            action=self._ids[task_id],
            task_id=task_id,
            on_lag=self._on_lag(),
            force=self._random.random() < 0.1,
            **self._partial(),
        )

    def _resume(self, client: SoakClient, task_id: str) -> None:
        since = self._random.choice((0, 1, 10, 100, 1000, 10**6))
        fields = {"since_seq": since, "on_lag": self._on_lag(), **self._partial()}
        client.ask("subscribe", task_id=task_id, **fields)

    def _unsubscribe(self, client: SoakClient, view: View, task_id: str) -> None:
        known = sorted(view.subscribed)
        client.ask("unsubscribe", task_id=self._random.choice(known) if known else task_id)

    def _check_list(self, client: SoakClient) -> None:
        for task in client.ask("list")["tasks"]:
            if (task["state"], task.get("worker_state", "")) not in _LEGAL:
                raise Broken(f"an impossible state: {task}")
            if (task.get("worker_state") == "running") != ("current_pid" in task):
                raise Broken(f"a pid without a run, or the reverse: {task}")

    def _check_pool(self, client: SoakClient) -> None:
        client.ask("pool_info", action="resized")
        pool = client.ask("pool_info", action="fixed")["pool"]
        if pool["running"] > pool["limit"]:
            raise Broken(f"more run than may: {pool}")

    def _resize(self, client: SoakClient) -> None:
        fields: Message = {"limit": self._random.randint(1, 4)}
        if self._random.random() < 0.5:
            fields["excess"] = {"action": self._random.choice(("stop", "requeue")), "grace": 0.2}
        client.ask("set_pool", action="resized", **fields)


class Onlooker:
    """Watches all tasks, leaves, and comes back to go on where it was."""

    def __init__(self, number: int, seed: int, address: str, failures: Failures) -> None:
        self._random = random.Random(f"{seed}/onlooker {number}")
        self._address = address
        self._failures = failures
        self.picture = Picture()
        self.came = 0
        self.thread = threading.Thread(target=self._run, name=f"onlooker-{number}", daemon=True)

    def _run(self) -> None:
        try:
            while not self._failures.stop.is_set():
                client = self._watch()
                self._failures.stop.wait(self._random.uniform(0.05, 1.5))
                if self._random.random() < 0.2:
                    client.reading.clear()
                    self._failures.stop.wait(self._random.uniform(0.1, 1.0))
                    client.reading.set()
                client.leave(politely=self._random.random() < 0.6)
        except BaseException as error:
            self._failures.add(error)

    def _watch(self) -> SoakClient:
        self.picture.connects()
        client = SoakClient(self._address, self.picture, self._failures)
        after = "" if self._random.random() < 0.1 else self.picture.cursor
        client.ask("watch", usage=self._random.random() < 0.3, after=after)
        self.came += 1
        return client

    def check(self, listed: Callable[[], list[Message]]) -> None:
        """At the end: it comes to know what is listed."""
        client = self._watch()
        try:
            wait_until(lambda: not self.picture.differs(listed()), timeout=20.0, what="a true picture")
        finally:
            client.leave(politely=True)
