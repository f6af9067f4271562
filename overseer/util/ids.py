"""Unguessable ids, without the module ``uuid``, which takes half a megabyte."""

from __future__ import annotations

import os


def new_id() -> str:
    """128 random bits, in hexadecimal."""
    return os.urandom(16).hex()


def new_uuid() -> str:
    """A random UUID (RFC 9562, version 4)."""
    digits = new_id()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
