"""Bytes in messages."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

from overseer.schema.coded import Coded
from overseer.schema.types import Json


class Base64(Coded):
    """Any bytes, in a message as Base64 (RFC 4648, section 4)."""

    expected = "Base64"

    def to_json(self, value: bytes) -> str:
        return b64encode(value).decode()

    def load(self, value: Any) -> bytes:
        return b64decode(value, validate=True)

    def json_schema(self) -> Json:
        return {"type": "string", "contentEncoding": "base64"}


BASE64 = Base64()
