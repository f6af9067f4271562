"""The state of a whole server, which it hands over to the program that takes its place."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from overseer.auth.digest import Digest
from overseer.auth.rights import Principal
from overseer.auth.sign_ins import SignIn
from overseer.config import Config, parse_config
from overseer.daemon.upgrade_parts import Parts
from overseer.drivers.api import ActionHandler, build_action_handlers
from overseer.errors import OverseerError
from overseer.net.connection import Connection, frozen
from overseer.net.handler import Handler
from overseer.net.listeners import Listener
from overseer.process.forking import given_file_limit
from overseer.process.guardian import guardian
from overseer.process.registry import registry
from overseer.process.usage import usage_meter
from overseer.supervisor.clients import Client
from overseer.supervisor.definitions import Definition
from overseer.supervisor.handover.hub import export_hub, freeze, restore_hub, stop_waiting
from overseer.supervisor.handover.tasks import Origins
from overseer.upgrade.reexec import Succession
from overseer.util.dataclass_json import from_plain, to_plain
from overseer.util.handover_format import Incoming, Outgoing, pack, unpack
from overseer.util.standstill import standstill
from overseer.util.threads import run_on_thread

_REST_S = 5.0  # for all threads to come to rest
_FREEZE_S = 3.0


@dataclass(slots=True)
class Given:
    """What a program before this one has handed over.

    Attributes:
        config: the configuration file's bytes that are in force; None: there was no file.
        started: those that the server was started with, by which it listens and stores.
        variables: digests of the tokens that were in the environment.
        secrets: the secrets that were there, by variable.
    """

    values: Mapping[str, Any] = field(repr=False)
    incoming: Incoming = field(repr=False)
    passed: Succession

    @classmethod
    def read(cls, passed: Succession, *, rehearsal: bool = False) -> Given:
        """What was passed on. Raises OverseerError: it cannot be read."""
        values, blobs = unpack(passed.state)
        return cls(values, Incoming(blobs, rehearsal=rehearsal, kept=passed.kept), passed)

    @property
    def config(self) -> bytes | None:
        return self._blob("config")

    @property
    def started(self) -> bytes | None:
        return self._blob("started")

    def _blob(self, name: str) -> bytes | None:
        number = self.values[name]
        return None if number is None else self.incoming.blob(number)

    @property
    def variables(self) -> dict[str, Digest]:
        return {name: Digest(bytes.fromhex(each)) for name, each in self.values["tokens"].items()}

    @property
    def secrets(self) -> dict[str, str]:
        return dict(self.values["secrets"])

    @property
    def pipe(self) -> tuple[int, int]:
        """Where signals come."""
        read, write = (self.incoming.fd(each) for each in self.values["signals"])
        return read, write

    @property
    def directory_lock(self) -> int:
        """The descriptor that locks the data directory, or -1."""
        return self.incoming.fd(self.values["history"])

    def listener(self) -> Listener:
        """The listening sockets."""
        return Listener.restored(self.values["listener"], self.incoming)

    @property
    def version(self) -> str:
        return str(self.values["version"])


@contextmanager
def at_rest(parts: Parts, *, turn_away: bool = False) -> Iterator[list[Connection]]:
    """Bring the server to a standstill; gives the connections that can be handed over.

    Args:
        turn_away: close the others.

    Raises:
        OverseerError: it does not come to rest; it goes on.
    """
    hub = parts.hub
    standstill.close()
    try:
        stop_waiting(hub)
        if not standstill.wait(_REST_S):
            raise OverseerError("the server could not be paused: a request or a start is still in progress")
        if turn_away:
            parts.server.turn_away()
        connections = [each for each in parts.server.connections() if each.portable]
        try:
            with freeze(hub, _FREEZE_S), frozen(connections, _FREEZE_S):
                yield connections
        except TimeoutError as error:
            raise OverseerError(f"the server could not be paused: {error}") from None
    finally:
        standstill.open()


def export(
    parts: Parts, connections: list[Connection], askers: Sequence[tuple[Client, str]]
) -> tuple[bytes, Outgoing]:
    """The state, within :func:`at_rest`, and the descriptors that it names."""
    out, gate = Outgoing(), parts.gate
    config = parts.hub.definitions.config
    origins = Origins(config)
    numbers: dict[Client, int] = {}
    for number, each in enumerate(connections):
        client = _client_of(each.handler)
        if client is not None and not client.outbox.closed:
            numbers[client] = number
    hub = export_hub(parts.hub, numbers, origins, out)
    lock = parts.history.lock
    runs = [each["run"]["worker"] for each in hub["tasks"] if each["run"] is not None]
    mine = {each["entry"]["run"] for each in runs if "entry" in each}
    values = {
        "version": parts.version,
        "registry": registry.export(),
        "usage": usage_meter.export(),
        "guardian": guardian.pid,
        "strays": [each.export() for each in registry.entries() if each.run not in mine],
        "file_limit": given_file_limit(),
        "started_at": parts.started_at,
        "upgrades": parts.upgrades,
        "config": _source(config, out),
        "started": _source(parts.started, out),
        "origins": [_source(each, out) for each in origins.configs],
        "tokens": {name: each.value.hex() for name, each in parts.variables.items()},
        "secrets": dict(parts.secrets),
        "listener": parts.server.listener.export(out),
        "connections": [each.export(gate.sign_ins.key_of, out) for each in connections],
        "sign_ins": [[key, to_plain(who), ends] for key, who, ends in gate.sign_ins.export()],
        "signals": [out.fd(each) for each in parts.signals.pipe],
        "history": out.fd(lock),
        "schedules": parts.schedules.export(),
        "notices": parts.notices.export(),
        "api": parts.api.export(),
        "webhooks": parts.webhooks.export(),
        "failures": gate.failures.export(),
        "counters": dict(parts.totals.counters()),
        "askers": [[numbers[client], request_id] for client, request_id in askers if client in numbers],
        "hub": hub,
    }
    return pack(values, out.blobs), out


def _client_of(handler: Handler | None) -> Client | None:
    client = getattr(handler, "client", None)
    return client if isinstance(client, Client) else None


def _source(config: Config, out: Outgoing) -> int | None:
    return None if config.source is None else out.blob(config.source)


class Definer:
    """Makes the definitions that tasks were accepted with, from the configurations handed over."""

    def __init__(
        self, given: Given, path: str, config: Config, handlers: Mapping[str, ActionHandler]
    ) -> None:
        self._given = given
        self._path = path
        self._configs = {0: config}
        self._handlers: dict[tuple[int, str], ActionHandler] = {
            (0, name): handler for name, handler in handlers.items()
        }
        self._made: dict[tuple[int, str], Definition] = {}

    def __call__(self, origin: int, action: str) -> Definition:
        place = origin, action
        if place not in self._made:
            config = self._config(origin)
            if place not in self._handlers:
                self._handlers[place] = build_action_handlers(_only(config, action))[action]
            self._made[place] = Definition(config.actions[action], self._handlers[place], config)
        return self._made[place]

    def _config(self, origin: int) -> Config:
        if origin not in self._configs:
            number = self._given.values["origins"][origin]
            data = None if number is None else self._given.incoming.blob(number)
            self._configs[origin] = parse_config(self._path, data)
        return self._configs[origin]


def _only(config: Config, action: str) -> Config:
    return replace(config, actions={action: config.actions[action]})


class Restored:
    """A server's parts with all that was handed over; nothing of it goes on before :meth:`go_on`."""

    def __init__(self, given: Given, parts: Parts, definition_of: Definer) -> None:
        values, incoming, gate = given.values, given.incoming, parts.gate
        sign_ins: dict[str, SignIn] = {
            key: gate.sign_ins.restore(key, from_plain(Principal, who), ends)
            for key, who, ends in values["sign_ins"]
        }
        self.connections: list[Connection] = []
        self.clients: dict[int, Client] = {}
        for number, said in enumerate(values["connections"]):
            connection = parts.server.restore_connection(said, sign_ins.get, incoming)
            self.connections.append(connection)
            if (client := _client_of(connection.handler)) is not None:
                self.clients[number] = client
        usage_meter.restore(values["usage"])
        gate.failures.restore(values.get("failures", ()))
        parts.history.adopt(given.directory_lock, back=bool(given.passed.failure))
        parts.api.restore(values.get("api"))
        parts.webhooks.restore(values.get("webhooks"))
        self._resume = restore_hub(parts.hub, values["hub"], self.clients, definition_of, incoming)
        runs = [each["run"] for each in values["hub"]["tasks"] if each["run"] is not None]
        self.tasks = sum("pending" not in each for each in runs)
        self.askers = [
            (self.clients[number], request_id)
            for number, request_id in values["askers"]
            if number in self.clients
        ]
        self._unanswered = [each.get("unanswered", ()) for each in values["connections"]]
        self.upgrades = tuple(values["upgrades"])
        self._strays = values["strays"]
        self._guardian = values["guardian"]

    def go_on(self) -> None:
        """Let everything go on. Raises RuntimeError: the system allows no more threads."""
        standstill.open()
        self._resume()
        for connection in self.connections:
            connection.resume()
        for connection, requests in zip(self.connections, self._unanswered, strict=True):
            if (handler := connection.handler) is not None:
                for text in requests:
                    handler.receive(text)
        for stray in self._strays:
            if stray["pid"]:
                run_on_thread(lambda pid=stray["pid"]: _end(pid), "stray")  # type: ignore[misc]

    def begin_guarding(self) -> None:
        """Have a guardian of this program take over from the one before."""
        before = self._guardian
        if before:
            registry.add_child(before)
        guardian.start()
        if before:
            run_on_thread(lambda: _end(before), "stray")


def _end(pid: int) -> None:
    """End a child that belongs to no task, with its group, and reap it; one already reaped is left alone."""
    registry.add_child(pid)
    with suppress(ChildProcessError, ProcessLookupError, PermissionError):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)  # raises unless it is our child
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    registry.discard_child(pid)
