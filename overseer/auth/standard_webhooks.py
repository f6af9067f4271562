"""The signatures of Standard Webhooks."""

from __future__ import annotations

import hmac
from base64 import b64encode


def signature(key: bytes, id: str, timestamp: str, body: bytes) -> str:
    """A message's ``webhook-signature``; ``id`` and ``timestamp`` are those of its other headers."""
    digest = hmac.digest(key, f"{id}.{timestamp}.".encode("latin-1") + body, "sha256")
    return f"v1,{b64encode(digest).decode()}"


def signed_headers(key: bytes, id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers that identify a message and, if there is a key, sign it.

    Args:
        timestamp: when it is sent, in seconds since 1970.
    """
    headers = {"webhook-id": id, "webhook-timestamp": str(timestamp)}
    if key:
        headers["webhook-signature"] = signature(key, id, str(timestamp), body)
    return headers
