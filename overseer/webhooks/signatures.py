"""How senders prove that they know a webhook's secret."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping

from overseer.auth.standard_webhooks import signature
from overseer.config.notices import key_of

SHOWN = ("token", "gitlab")
"""Schemes whose senders show the secret, which others may try to guess; the rest sign with it."""

_WINDOW_S = 300  # seconds by which a signed time may differ from ours


class Unproven(Exception):
    """A request is not proven; the text is a sentence that says why.

    Attributes:
        guess: it may have been a guess at the secret.
    """

    def __init__(self, reason: str, *, guess: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.guess = guess


def check_head(scheme: str, headers: Mapping[str, str]) -> None:
    """Raise Unproven if a request lacks the headers of its proof, so that its body need not be read."""
    for name in _NEEDED[scheme]:
        if not headers.get(name):
            raise Unproven(f"it has no {name}")


def check(scheme: str, secret: str, headers: Mapping[str, str], body: bytes) -> str:
    """The id of a delivery whose sender knows the secret; "" if it has none.

    Raises:
        Unproven: the sender does not, or signed too long ago.
    """
    check_head(scheme, headers)
    return _CHECKS[scheme](secret, headers, body)


def _github(secret: str, headers: Mapping[str, str], body: bytes) -> str:
    digest = hmac.new(_bytes(secret), body, "sha256").hexdigest()
    _compare(headers["x-hub-signature-256"], f"sha256={digest}")
    return headers.get("x-github-delivery", "")


def _gitlab(secret: str, headers: Mapping[str, str], body: bytes) -> str:
    _compare(headers["x-gitlab-token"], secret)
    return headers.get("idempotency-key") or headers.get("x-gitlab-event-uuid", "")


def _standard(secret: str, headers: Mapping[str, str], body: bytes) -> str:
    id, sent = headers["webhook-id"], headers["webhook-timestamp"]
    expected = signature(key_of(secret), id, sent, body).encode()
    # While a sender changes its key it signs with both.
    given = [each.encode("latin-1") for each in headers["webhook-signature"].split()]
    if not any(hmac.compare_digest(each, expected) for each in given):
        raise Unproven("its signature is wrong")
    if not (sent.isascii() and sent.isdigit() and abs(int(sent[:15]) - time.time()) <= _WINDOW_S):
        raise Unproven("it was signed more than five minutes ago, or the clocks differ", guess=False)
    return id


def _token(secret: str, headers: Mapping[str, str], body: bytes) -> str:
    scheme, _, token = headers["authorization"].partition(" ")
    if scheme.lower() != "bearer":
        raise Unproven("its Authorization is not Bearer")
    _compare(token.strip(), secret)
    return ""


_NEEDED = {
    "github": ("x-hub-signature-256",),
    "gitlab": ("x-gitlab-token",),
    "standard": ("webhook-id", "webhook-timestamp", "webhook-signature"),
    "token": ("authorization",),
}
_CHECKS = {"github": _github, "gitlab": _gitlab, "standard": _standard, "token": _token}


def _compare(given: str, expected: str) -> None:
    # Headers are bytes, which were read as Latin-1.
    if not hmac.compare_digest(given.encode("latin-1"), _bytes(expected)):
        raise Unproven("its signature is wrong")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
