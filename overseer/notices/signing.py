"""The signatures of Standard Webhooks."""

from __future__ import annotations

import hmac
from base64 import b64encode


def signed_headers(key: bytes, id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers that identify a message and, if there is a key, sign it.

    Args:
        timestamp: when it is sent, in seconds since 1970.
    """
    headers = {"webhook-id": id, "webhook-timestamp": str(timestamp)}
    if key:
        digest = hmac.digest(key, f"{id}.{timestamp}.".encode() + body, "sha256")
        headers["webhook-signature"] = f"v1,{b64encode(digest).decode()}"
    return headers
