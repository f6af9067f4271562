"""Against guessing and flooding: allowances that are used up and come back with time."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from overseer.locks import Rank, lock
from overseer.net.session import Peer

__all__ = ["Failures", "RequestRate"]

_FAILURES = 10  # wrong tokens in a row that cost nothing
_SECONDS_EACH = 2.0  # in which one of them is forgiven
_ADDRESSES = 4096  # remembered; the one that failed longest ago is forgotten first


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
    looked at, right or wrong. IPv6 addresses count by their /64, since a host has all of one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, addresses: int = _ADDRESSES) -> None:
        self._clock = clock
        self._addresses = addresses
        self._lock = lock(Rank.LEAF, "failures")
        # When all of an address's failures will be forgiven, longest ago failed first.
        self._forgiven: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._forgiven)

    def wait(self, peer: Peer) -> int:
        """For how many whole seconds no token of this peer is looked at; 0: it may try."""
        with self._lock:
            excess = self._forgiven.get(_source(peer), 0.0) - self._clock() - (_FAILURES - 1) * _SECONDS_EACH
        return max(0, math.ceil(excess))

    def add(self, peer: Peer) -> None:
        """A wrong token came from this peer."""
        source, now = _source(peer), self._clock()
        with self._lock:
            before = self._forgiven.pop(source, now)
            self._forgiven[source] = max(before, now) + _SECONDS_EACH
            while len(self._forgiven) > self._addresses:
                self._forgiven.popitem(last=False)


def _source(peer: Peer) -> str:
    if peer.kind == "unix":
        return f"uid {peer.uid}"
    try:
        address = ipaddress.ip_address(peer.address)
    except ValueError:
        return peer.address
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((address, 64), strict=False))
    return peer.address
