"""Resolves host names, on threads of their own: a look-up cannot be cancelled, and may hang."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from overseer.probes.attempt import Attempt, NotProbedError, ProbeFailedError
from overseer.util.locks import Rank, lock
from overseer.util.threads import start_thread

_MOST = 8  # look-ups at once

Address = tuple[int, Any]
"""The family and what ``connect`` takes."""


class _Lookup:
    """A look-up in progress, shared by all probes that wait for it."""

    def __init__(self) -> None:
        self.waiting: list[Attempt] = []
        self.found: Sequence[Address] | None = None
        self.fault = ""


class Resolver:
    """Resolves host names; one look-up at a time for each name and port."""

    def __init__(self) -> None:
        self._lock = lock(Rank.LEAF, "resolver")  # guards the look-ups
        self._lookups: dict[tuple[str, int], _Lookup] = {}

    def addresses(self, host: str, port: int, attempt: Attempt) -> Sequence[Address]:
        """The addresses to try, in order; at least one.

        Raises:
            ProbeFailedError: there is no such host, or no answer in time.
            NotProbedError: the system allows no thread for it, or too many look-ups hang.
            CancelledError: the attempt was cancelled.
        """
        if host.lower() == "localhost":  # by RFC 6761, always this machine
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
                    raise NotProbedError(f"{_MOST} look-ups of other names hang")
                lookup = self._lookups[key] = _Lookup()
            lookup.waiting.append(attempt)
        if new:
            try:
                start_thread(lambda: self._run(key, lookup), "probe-lookup")
            except RuntimeError as error:
                self._finish(key, lookup)
                raise NotProbedError(f"{host} cannot be looked up: {error}") from None
        try:
            while lookup.found is None and not lookup.fault:
                attempt.wait()
        finally:
            with self._lock:
                if attempt in lookup.waiting:
                    lookup.waiting.remove(attempt)
        if lookup.found is None:
            raise ProbeFailedError(f"{host}: {lookup.fault}")
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
