"""The gate: decides about every HTTP request and WebSocket upgrade before it is served."""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping
from dataclasses import replace

from overseer.auth.peer import Peer
from overseer.auth.rights import Principal
from overseer.auth.sign_ins import SignIn, SignIns
from overseer.auth.throttle import Failures, Warnings
from overseer.daemon.access_rules import Access
from overseer.daemon.lazy_api import API_PATH
from overseer.net.bytestream import ByteStream
from overseer.net.endpoint import Policy
from overseer.net.http import Request, Response, Route, error_response
from overseer.util.timers import Timers

BEARER_PROTOCOL = "bearer."
"""The prefix of a subprotocol that carries a token: browsers cannot send headers with a WebSocket."""

_COOKIE = "overseer_session"
# A proxy speaks for someone else, whichever user it runs as; so does a browser, which can only come through
# one.
_SPEAKS_FOR_ANOTHER = ("forwarded", "x-real-ip", "via", "cf-connecting-ip", "true-client-ip", "origin")
_CHALLENGE = ("WWW-Authenticate", 'Bearer realm="sticky-overseer"')


class Gate(Policy):
    """Admits clients.

    Args:
        access: who may connect; see :meth:`replace_access`.
        open_paths: served to anyone: the page itself, which then asks for a sign-in, and /healthz.
        timers: end sign-ins.
    """

    def __init__(self, access: Access, *, open_paths: Collection[str], timers: Timers) -> None:
        self.access = access  # replaced as a whole
        self._open_paths = open_paths
        self.sign_ins = SignIns(access.config.auth.session_age, timers)
        self.failures = Failures()  # wrong tokens
        self._warnings = Warnings()

    def replace_access(self, access: Access) -> None:
        """Apply new access rules. Must be followed by :meth:`end_revoked_sign_ins`."""
        self.access = access
        self.sign_ins.age = access.config.auth.session_age

    def trusts(self, address: str) -> bool:
        return self.access.trusts(address)

    def admits(self, peer: Peer) -> bool:
        return self.access.admits(peer)

    def wrap(self, sock: socket.socket, peer: Peer) -> tuple[ByteStream, Peer]:
        return self.access.wrap(sock, peer)

    def refused(self, peer: Peer, reason: str, remedy: str = "") -> None:
        self._warnings.refused(peer, reason, remedy)

    def end_revoked_sign_ins(self) -> None:
        """End the sign-ins of principals that are no longer known; no locks held."""
        self.sign_ins.end_those(lambda principal: not self.access.knows(principal))

    def authorize(self, request: Request) -> Response | Peer:
        if request.peer.kind == "tcp" and request.peer.transport != self.access.transport:
            return error_response(403, "the server's TLS settings have changed: connect again")
        refusal = self.access.browsers.refusal(
            request.headers.get("origin"),
            request.headers.get("host"),
            # A page that made its own name resolve to this machine could read all of the API.
            by_any_name=request.peer.kind != "tcp" or not request.path.startswith(API_PATH),
        )
        if refusal is not None:
            remedy = f"; to let it in: {refusal.remedy}" if refusal.remedy else ""
            self.refused(request.peer, refusal.reason, remedy)
            if "origin" not in request.headers:
                return error_response(403, "no such host here: use an IP address, or add it to allowed_hosts")
            return error_response(403, "web pages of this origin, or by this name, may not connect")
        if not request.is_upgrade and request.path in self._open_paths:
            return request.peer
        return self._identified(request)

    def routes(self) -> dict[str, Route]:
        """The playground's sign-in and sign-out."""
        return {"POST /session": self._sign_in, "DELETE /session": self._sign_out}

    def _identified(self, request: Request) -> Response | Peer:
        peer = request.peer
        if not self.access.asks(peer):
            return peer
        presented = _presented(request)
        if presented is not None:
            found = self._by_token(request, presented)
            return found if isinstance(found, Response) else replace(peer, principal=found)
        sign_in = self._by_cookie(request)
        if sign_in is not None:
            return replace(peer, principal=sign_in.principal, sign_in=sign_in)
        principal = self.access.tokens.named(peer.certificate) or self._by_uid(request)
        if principal is not None:
            return replace(peer, principal=principal)
        if not self.access.tokens:
            self.refused(peer, "it is not in auth.unix")
            return error_response(403, f"the user with uid {peer.uid} may not connect (auth.unix)")
        self.refused(peer, "it presented no token")
        return error_response(401, "a token is required", _CHALLENGE)

    def _by_token(self, request: Request, presented: str) -> Response | Principal:
        peer = request.peer
        # A page that made its name resolve to this machine (DNS rebinding) may guess, but must not lock out
        # others; and not all of its requests have an Origin.
        by_page = not self.access.browsers.knows(request.headers.get("host"))
        wait = self.failures.wait(peer, by_page=by_page)
        if wait:
            return error_response(429, "too many wrong tokens from here", ("Retry-After", str(wait)))
        principal = self.access.tokens.find(presented)
        if principal is not None:
            return principal
        self.failures.add(peer, by_page=by_page)
        self.refused(peer, "it presented an unknown token")
        return error_response(401, "unknown token", _CHALLENGE)

    def _by_cookie(self, request: Request) -> SignIn | None:
        for value in _cookies(request, _cookie_name(request)):
            sign_in = self.sign_ins.find(value)
            if sign_in is not None and self.admits(replace(request.peer, principal=sign_in.principal)):
                return sign_in
        return None

    def _by_uid(self, request: Request) -> Principal | None:
        uid = request.peer.uid
        users = self.access.users
        if users is None or uid is None or _speaks_for_another(request.headers):
            return None
        return users.get(uid)

    def _sign_in(self, request: Request) -> Response:
        """Exchange a token for a cookie, which scripts cannot read and other sites' pages do not send."""
        if not self.access.tokens:
            return Response(204)
        presented = _presented(request)
        if presented is None:
            return error_response(401, "a token is required", _CHALLENGE)
        principal = self._by_token(request, presented)
        if isinstance(principal, Response):
            return principal
        return self._with_cookie(request, self.sign_ins.begin(principal), int(self.sign_ins.age))

    def _sign_out(self, request: Request) -> Response:
        for value in _cookies(request, _cookie_name(request)):
            self.sign_ins.end(value)
        return self._with_cookie(request, "", 0)

    def _with_cookie(self, request: Request, value: str, age: int) -> Response:
        # Without a Path it covers everything beside the sign-in, under whichever prefix a proxy serves us.
        cookie = f"{_cookie_name(request)}={value}; Max-Age={age}; HttpOnly; SameSite=Strict"
        # Behind a proxy that terminates TLS, the browser's Origin still says https.
        if self.access.encrypted or request.headers.get("origin", "").startswith("https:"):
            cookie += "; Secure"
        return Response(204, headers=(("Set-Cookie", cookie),))


def _speaks_for_another(headers: Mapping[str, str]) -> bool:
    return any(name in _SPEAKS_FOR_ANOTHER or name.startswith("x-forwarded-") for name in headers)


def _presented(request: Request) -> str | None:
    """The token that a request presents, in a header or as a subprotocol."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    if request.is_upgrade:
        for offered in request.headers.get("sec-websocket-protocol", "").split(","):
            if offered.strip().startswith(BEARER_PROTOCOL):
                return offered.strip().removeprefix(BEARER_PROTOCOL)
    return None


def _cookie_name(request: Request) -> str:
    """Cookies ignore ports: the name tells apart those of several servers on one machine."""
    port = request.headers.get("host", "").rpartition(":")[2]
    return f"{_COOKIE}_{port}" if port.isascii() and port.isdigit() else _COOKIE


def _cookies(request: Request, name: str) -> list[str]:
    # Repeated headers were joined with commas, which our values never contain.
    pairs = (pair.partition("=") for pair in request.headers.get("cookie", "").replace(",", ";").split(";"))
    return [value.strip() for key, _, value in pairs if key.strip() == name and value.strip()]
