"""Token buckets against guessing and flooding."""

from __future__ import annotations

import ipaddress
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable

from overseer.auth.peer import Peer
from overseer.util.locks import Rank, assert_held, lock

_log = logging.getLogger(__name__)

_FAILURES = 10  # wrong tokens in a row before an address has to wait
_SECONDS_EACH = 2.0  # in which one of them is forgiven
_ADDRESSES = 4096  # remembered; the least recent goes first
_AGAIN = 60.0  # seconds until a warning about an address is repeated
_TEXTS = 8  # different warnings about one address meanwhile
_TOGETHER = 200  # warnings about all addresses meanwhile
_LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")


class RequestRate:
    """A token bucket for one connection's requests. Not thread-safe.

    Args:
        per_second: the rate, and the burst; 0: unlimited.
    """

    def __init__(self, per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._clock = clock
        self._left = float(per_second)
        self._at = clock()

    def allows(self) -> bool:
        """Count one more request, if it may be served now; whether it may."""
        if not self._per_second:
            return True
        now = self._clock()
        self._left = min(float(self._per_second), self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class RequestRates:
    """The rates of clients that make a connection for each request: by name, or by address where nobody is
    asked for one. Bounded, and safe from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, clients: int = _ADDRESSES) -> None:
        self._clock = clock
        self._clients = clients
        self._lock = lock(Rank.LEAF, "request rates")
        self._rates: OrderedDict[str, tuple[int, RequestRate]] = OrderedDict()  # the least recent first

    def allows(self, peer: Peer, per_second: int) -> bool:
        """Count one more request of a client's, as :meth:`RequestRate.allows`; 0 per second: unlimited."""
        if not per_second:
            return True
        client = f"name {peer.principal.name}" if peer.principal.name else peer.source
        with self._lock:
            known = self._rates.pop(client, None)
            if known is None or known[0] != per_second:  # or the limit has changed
                known = per_second, RequestRate(per_second, self._clock)
            self._rates[client] = known
            while len(self._rates) > self._clients:
                self._rates.popitem(last=False)
            return known[1].allows()


class Failures:
    """Recent wrong tokens, by address; bounded, and safe from any thread.

    An address has ten tries, and gets one back every two seconds. While it has none left, its tokens are
    ignored. Addresses are those of :attr:`Peer.source`, with the IPv4 loopback network as one.

    Requests ``by_page``, with a Host that may be a stranger's web page, count separately: otherwise any page
    could lock out the programs of its visitor.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, addresses: int = _ADDRESSES) -> None:
        self._clock = clock
        self._addresses = addresses
        self._lock = lock(Rank.LEAF, "failures")
        # When all of an address's failures will be forgiven; the least recent failure first.
        self._forgiven: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._forgiven)

    def export(self) -> list[tuple[str, float]]:
        """All of them, for :meth:`restore`."""
        with self._lock:
            return list(self._forgiven.items())

    def restore(self, data: Iterable[tuple[str, float]]) -> None:
        """Go on with those of the program before this one."""
        with self._lock:
            self._forgiven.update(data)

    def wait(self, peer: Peer, *, by_page: bool = False) -> int:
        """For how many whole seconds this peer may not try; 0: it may."""
        source = _source(peer, by_page)
        with self._lock:
            excess = self._forgiven.get(source, 0.0) - self._clock() - (_FAILURES - 1) * _SECONDS_EACH
        return max(0, math.ceil(excess))

    def add(self, peer: Peer, *, by_page: bool = False) -> None:
        source, now = _source(peer, by_page), self._clock()
        with self._lock:
            before = self._forgiven.pop(source, now)
            self._forgiven[source] = max(before, now) + _SECONDS_EACH
            while len(self._forgiven) > self._addresses:
                self._forgiven.popitem(last=False)


class Warnings:
    """Limits warnings about unknown clients, per address and in total; bounded, thread-safe."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        addresses: int = _ADDRESSES,
        together: int = _TOGETHER,
    ) -> None:
        self._clock = clock
        self._addresses = addresses
        self._together = together
        self._lock = lock(Rank.LEAF, "warnings")
        self._begun = clock()  # the minute that _in_all counts
        self._in_all = 0
        self._unsaid = 0  # suppressed since the last warning
        # When each was first warned about, and with which texts since; the least recent first.
        self._said: OrderedDict[str, tuple[float, set[str]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._said)

    def refused(self, peer: Peer, reason: str, remedy: str = "") -> None:
        """Log that the peer was refused, if that is :meth:`due`, and how many refusals were not logged."""
        if not self.due(peer, reason):
            return
        with self._lock:
            unsaid, self._unsaid = self._unsaid, 0
        more = f" ({unsaid} refusals before this one were not logged)" if unsaid else ""
        _log.warning("refused %s: %s%s%s", peer, reason, remedy, more)

    def due(self, peer: Peer, text: str) -> bool:
        """Whether to log this about the peer: each text once a minute, and only a few different ones."""
        with self._lock:
            due = self._due_locked(_source(peer), text, self._clock())
            self._unsaid += not due
        return due

    def _due_locked(self, source: str, text: str, now: float) -> bool:
        assert_held(self._lock)
        if now - self._begun >= _AGAIN:
            self._begun, self._in_all = now, 0
        since, said = self._said.get(source, (now, set[str]()))
        if now - since >= _AGAIN:
            del self._said[source]
            since, said = now, set()
        if text in said or len(said) >= _TEXTS or self._in_all >= self._together:
            return False
        self._in_all += 1
        said.add(text)
        self._said[source] = (since, said)
        while len(self._said) > self._addresses:
            self._said.popitem(last=False)
        return True


def _source(peer: Peer, by_page: bool = False) -> str:
    return f"a page at {_address(peer)}" if by_page else _address(peer)


def _address(peer: Peer) -> str:
    try:
        if ipaddress.ip_address(peer.address) in _LOOPBACK:
            return str(_LOOPBACK)
    except ValueError:
        pass
    return peer.source
