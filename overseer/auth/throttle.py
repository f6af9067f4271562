"""Against guessing and flooding: allowances that are used up and come back with time."""

from __future__ import annotations

import ipaddress
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from overseer.auth.peer import Peer
from overseer.util.locks import Rank, lock

_log = logging.getLogger(__name__)

_FAILURES = 10  # wrong tokens in a row that cost nothing
_SECONDS_EACH = 2.0  # in which one of them is forgiven
_ADDRESSES = 4096  # remembered; the one that failed longest ago is forgotten first
_AGAIN = 60.0  # seconds until the same is said of an address again
_TEXTS = 8  # different ones that are said of one meanwhile
_TOGETHER = 200  # that are said of all together meanwhile
_LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")


class RequestRate:
    """One connection's requests: so many a second, and as many at once. Not thread-safe.

    Args:
        per_second: 0: any number.
    """

    def __init__(self, per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._clock = clock
        self._left = float(per_second)
        self._at = clock()

    def allows(self) -> bool:
        """Whether one more request may be served now; if so, it is counted."""
        if not self._per_second:
            return True
        now = self._clock()
        self._left = min(float(self._per_second), self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Failures:
    """Who presented wrong tokens lately; bounded, and safe from any thread.

    An address has ten tries, and gets one back every two seconds. While it has none its tokens are not even
    looked at, right or wrong. Addresses count as :attr:`Peer.source` has
    them, and those of the IPv4 loopback network as one.

    What comes ``by_page``, under a name that may be a web page's of a stranger, counts on its own: or any
    page that somebody visits could use up what the programs of that address have.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, addresses: int = _ADDRESSES) -> None:
        self._clock = clock
        self._addresses = addresses
        self._lock = lock(Rank.LEAF, "failures")
        # When all of an address's failures will be forgiven, longest ago failed first.
        self._forgiven: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._forgiven)

    def wait(self, peer: Peer, *, by_page: bool = False) -> int:
        """For how many whole seconds no token of this peer is looked at; 0: it may try."""
        source = _source(peer, by_page)
        with self._lock:
            excess = self._forgiven.get(source, 0.0) - self._clock() - (_FAILURES - 1) * _SECONDS_EACH
        return max(0, math.ceil(excess))

    def add(self, peer: Peer, *, by_page: bool = False) -> None:
        """A wrong token came from this peer."""
        source, now = _source(peer, by_page), self._clock()
        with self._lock:
            before = self._forgiven.pop(source, now)
            self._forgiven[source] = max(before, now) + _SECONDS_EACH
            while len(self._forgiven) > self._addresses:
                self._forgiven.popitem(last=False)


class Warnings:
    """What has been logged of whom lately, so that nobody fills the log; bounded, thread-safe.

    Strangers may have any number of addresses, so there is a bound for all together as well.
    """

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
        self._begun = clock()  # of the minute in which so many were said
        self._in_all = 0
        self._unsaid = 0  # since something was said
        # When each was first warned of, and what has been said since; longest ago first.
        self._said: OrderedDict[str, tuple[float, set[str]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._said)

    def refused(self, peer: Peer, reason: str, remedy: str = "") -> None:
        """Log that the peer was refused, if that is :meth:`due`, and how many others went unsaid before."""
        if not self.due(peer, reason):
            return
        with self._lock:
            unsaid, self._unsaid = self._unsaid, 0
        more = f" ({unsaid} refusals before this one went unsaid)" if unsaid else ""
        _log.warning("refused %s: %s%s%s", peer, reason, remedy, more)

    def due(self, peer: Peer, text: str) -> bool:
        """Whether to log this of the peer: once a minute, and only a few different ones in a minute."""
        with self._lock:
            due = self._due_locked(_source(peer), text, self._clock())
            self._unsaid += not due
        return due

    def _due_locked(self, source: str, text: str, now: float) -> bool:
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
