"""Sign-ins of browsers: a cookie in place of a token, for a bounded time."""

from __future__ import annotations

import base64
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from overseer.auth.rights import Principal
from overseer.util.hashes import sha256
from overseer.util.locks import Rank, lock
from overseer.util.timers import Timer, Timers
from overseer.util.websocket_frame import CloseCode

_MOST = 1000  # the oldest sign-in makes room for one more
_MOST_EACH = 20  # of one principal, whose own oldest goes first


class _Closable(Protocol):
    def close(self, code: int, reason: str = "") -> None: ...


class SignIn:
    """One sign-in, until ``ends`` (monotonic) at the latest. Attached connections are closed when it ends."""

    def __init__(self, principal: Principal, ends: float) -> None:
        self.principal = principal
        self.ends = ends
        self.timer: Timer | None = None  # ends it
        self._lock = lock(Rank.LEAF, "sign-in")
        self._attached: set[_Closable] = set()
        self._over = False

    def attach(self, connection: _Closable) -> None:
        """Close this connection (1008) when the sign-in ends, at once if it has ended."""
        with self._lock:
            over = self._over
            if not over:
                self._attached.add(connection)
        if over:
            _close(connection)

    def detach(self, connection: _Closable) -> None:
        with self._lock:
            self._attached.discard(connection)

    def end(self) -> None:
        """Idempotent; no locks held."""
        if self.timer is not None:
            self.timer.cancel()
        with self._lock:
            self._over = True
            attached, self._attached = self._attached, set()
        for connection in attached:
            _close(connection)


class SignIns:
    """The valid sign-ins, by the hash of their cookie. Safe from any thread.

    A principal that signs in over and over crowds out only its own.

    Args:
        age: seconds that new ones last; may be changed.
    """

    def __init__(
        self, age: float, timers: Timers, clock: Callable[[], float] = time.monotonic, most: int = _MOST
    ) -> None:
        self.age = age
        self._timers = timers
        self._clock = clock
        self._most = most
        self._lock = lock(Rank.LEAF, "sign-ins")
        self._sign_ins: OrderedDict[bytes, SignIn] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sign_ins)

    def begin(self, principal: Principal) -> str:
        """Sign a principal in; returns the cookie's value."""
        value = base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode()
        self._add(_key(value), principal, self._clock() + self.age)
        crowded_out: list[SignIn] = []
        with self._lock:
            own = [key for key, each in self._sign_ins.items() if each.principal == principal]
            for key in own[: max(0, len(own) - _MOST_EACH)]:
                crowded_out.append(self._sign_ins.pop(key))
            while len(self._sign_ins) > self._most:
                crowded_out.append(self._sign_ins.popitem(last=False)[1])
        for each in crowded_out:
            each.end()
        return value

    def find(self, value: str) -> SignIn | None:
        """The cookie's sign-in, unless it is over."""
        with self._lock:
            sign_in = self._sign_ins.get(_key(value))
        return sign_in if sign_in is not None and self._clock() < sign_in.ends else None

    def export(self) -> list[tuple[str, Principal, float]]:
        """All of them, for :meth:`restore`: hash of the cookie, principal, end (monotonic)."""
        with self._lock:
            return [(key.hex(), each.principal, each.ends) for key, each in self._sign_ins.items()]

    def key_of(self, sign_in: SignIn) -> str:
        """The hash of a sign-in's cookie; ``""``: it has ended."""
        with self._lock:
            return next((key.hex() for key, each in self._sign_ins.items() if each is sign_in), "")

    def restore(self, key: str, principal: Principal, ends: float) -> SignIn:
        """Go on with a sign-in of the program before this one."""
        return self._add(bytes.fromhex(key), principal, ends)

    def _add(self, key: bytes, principal: Principal, ends: float) -> SignIn:
        sign_in = SignIn(principal, ends)
        sign_in.timer = self._timers.schedule_at(ends, self._end, key)
        with self._lock:
            self._sign_ins[key] = sign_in
        return sign_in

    def end_those(self, gone: Callable[[Principal], bool]) -> None:
        """End the sign-ins of these principals; no locks held."""
        with self._lock:
            ended = {key: each for key, each in self._sign_ins.items() if gone(each.principal)}
            for key in ended:
                del self._sign_ins[key]
        for each in ended.values():
            each.end()

    def end(self, value: str) -> None:
        """End a cookie's sign-in, if there is one; no locks held."""
        self._end(_key(value))

    def _end(self, key: bytes) -> None:
        with self._lock:
            sign_in = self._sign_ins.pop(key, None)
        if sign_in is not None:
            sign_in.end()


def _key(value: str) -> bytes:
    # Looked up by a hash, so that timing reveals nothing about existing cookies.
    return sha256(value.encode("utf-8", "surrogatepass")).digest()


def _close(connection: _Closable) -> None:
    connection.close(CloseCode.POLICY_VIOLATION, "the sign-in has ended")
