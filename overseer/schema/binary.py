"""Bytes in messages."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

from overseer.schema.limits import MessageLimits
from overseer.schema.types import FieldType, Json, Unreadable


class Base64(FieldType):
    """Any bytes, in a message as Base64 (RFC 4648, section 4)."""

    expected = "Base64"
    is_text = True
    converts = True

    def from_json(self, value: Any, where: str, limits: MessageLimits) -> bytes:
        if not isinstance(value, str):
            raise self.wrong(value, where)
        try:
            return self.load(value)
        except ValueError:
            raise Unreadable(f"{where} must be {self.expected}") from None

    def to_json(self, value: bytes) -> str:
        return b64encode(value).decode()

    def load(self, value: Any) -> bytes:
        return b64decode(value, validate=True)

    def json_schema(self) -> Json:
        return {"type": "string", "contentEncoding": "base64"}


BASE64 = Base64()
