"""Unguessable ids, without the module ``uuid``, which takes half a megabyte."""

from __future__ import annotations

import os

from overseer.util.hashes import sha256


def new_id() -> str:
    """128 random bits, in hexadecimal."""
    return os.urandom(16).hex()


def new_uuid() -> str:
    """A random UUID (RFC 9562, version 4)."""
    return _uuid(new_id(), 4)


def derived_id(text: str) -> str:
    """128 bits that are the same for the same text, in hexadecimal."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def derived_uuid(text: str) -> str:
    """A UUID that is the same for the same text (RFC 9562, version 8)."""
    return _uuid(derived_id(text), 8)


def _uuid(digits: str, version: int) -> str:
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-{version}{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
