"""Names of hosts to addresses, on threads of their own: a look-up cannot be called off, and may hang."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from overseer.probes.attempt import Attempt, FailedError, NotLookedError
from overseer.util.locks import Rank, lock
from overseer.util.threads import start_thread

_MOST = 8  # look-ups that may hang at once

Address = tuple[int, Any]
"""The family and what ``connect`` takes."""


class _Lookup:
    """One that goes on, for all who want to know the same."""

    def __init__(self) -> None:
        self.waiting: list[Attempt] = []
        self.found: Sequence[Address] | None = None
        self.fault = ""


class Resolver:
    """Looks names up; of each name and port one look-up goes on at a time."""

    def __init__(self) -> None:
        self._lock = lock(Rank.LEAF, "resolver")  # guards the look-ups
        self._lookups: dict[tuple[str, int], _Lookup] = {}

    def addresses(self, host: str, port: int, attempt: Attempt) -> Sequence[Address]:
        """In the order in which they are to be tried; at least one.

        Raises:
            FailedError: there is no such host, or nobody says so in time.
            NotLookedError: the system allows no thread for it, or too many look-ups hang.
            CalledOffError: the attempt was called off.
        """
        if host.lower() == "localhost":  # by RFC 6761 this machine, whatever a resolver says
            return [(socket.AF_INET, ("127.0.0.1", port)), (socket.AF_INET6, ("::1", port, 0, 0))]
        try:
            return _look_up(host, port, socket.AI_NUMERICHOST)
        except OSError:
            pass  # it is a name
        key = host, port
        with self._lock:
            lookup = self._lookups.get(key)
            new = lookup is None
            if lookup is None:
                if len(self._lookups) >= _MOST:
                    raise NotLookedError(f"{_MOST} look-ups of other names hang")
                lookup = self._lookups[key] = _Lookup()
            lookup.waiting.append(attempt)
        if new:
            try:
                start_thread(lambda: self._run(key, lookup), "probe-lookup")
            except RuntimeError as error:
                self._finish(key, lookup)
                raise NotLookedError(f"{host} cannot be looked up: {error}") from None
        try:
            while lookup.found is None and not lookup.fault:
                attempt.wait()
        finally:
            with self._lock:
                if attempt in lookup.waiting:
                    lookup.waiting.remove(attempt)
        if lookup.found is None:
            raise FailedError(f"{host}: {lookup.fault}")
        return lookup.found

    def _run(self, key: tuple[str, int], lookup: _Lookup) -> None:
        try:
            lookup.found = _look_up(*key)
        except (OSError, UnicodeError) as error:
            said = error.strerror if isinstance(error, OSError) else None
            lookup.fault = said or str(error)
        finally:
            lookup.fault = lookup.fault or "it cannot be looked up"
            self._finish(key, lookup)

    def _finish(self, key: tuple[str, int], lookup: _Lookup) -> None:
        with self._lock:
            self._lookups.pop(key, None)
            waiting, lookup.waiting = lookup.waiting, []
        for attempt in waiting:
            attempt.wake()


def _look_up(host: str, port: int, flags: int = 0) -> Sequence[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _, _, _, address in found]
