"""How much a single render may do, so that no expression in a config can hang or fill the server."""

from __future__ import annotations

__all__ = ["MAX_DEPTH", "MAX_SIZE", "MAX_STEPS"]

MAX_SIZE = 1 << 20
"""Characters that a rendered text, and any string on the way to it, may have. (An argument of a
program may have 128 KiB on Linux, so nothing that could run is refused.)"""

MAX_STEPS = 100_000
"""Iterations of all ranges and calls of all templates together, in one render."""

MAX_DEPTH = 100
"""Templates that may be in the middle of calling one another. Go allows 100,000; here each takes a
few frames of Python's stack."""
