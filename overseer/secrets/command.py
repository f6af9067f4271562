"""Programs that print a secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from overseer.errors import SpawnError
from overseer.util.masking import masked
from overseer.workers.program import run_program

MOST = 64 << 10
"""Bytes that a secret may have."""

_PATIENCE_S = 10.0
_COMPLAINT = 300  # characters of what it writes to stderr that an error quotes


def output_of(argv: Sequence[str], name: str) -> bytes:
    """What a program writes to stdout; nothing of it is left when this returns.

    Raises:
        SpawnError: it cannot be started, fails, takes too long or writes too much. The text may quote what it
            writes to stderr, without what it wrote to stdout.
    """
    too_large = f"it is larger than {MOST >> 10} KiB"
    done = run_program(argv, f"secret {name}", patience=_PATIENCE_S, most=MOST, overflow=too_large)
    fault = done.fault
    if not fault and (done.code or done.signal):
        fault = f"{argv[0]} ended with {done.signal or f'status {done.code}'}"
    if fault:
        raise SpawnError(fault + _complaint(done.written))
    return done.written["stdout"]


def _complaint(written: Mapping[str, bytes]) -> str:
    """What it wrote to stderr, as the end of an error."""
    said, secret = (written[each].decode("utf-8", "replace") for each in ("stderr", "stdout"))
    said = " ".join(masked(said, [secret]).split())
    return f": {said[:_COMPLAINT]}" if said else ""
