"""Runs programs that print a secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from overseer.errors import SpawnError
from overseer.util.masking import masked
from overseer.workers.program import run_program

MOST = 64 << 10
"""The maximum size of a secret in bytes."""

_PATIENCE_S = 10.0
_COMPLAINT = 300  # characters of stderr that an error quotes


def output_of(argv: Sequence[str], name: str) -> bytes:
    """A program's output. The program and all it started are gone when this returns.

    Raises:
        SpawnError: it cannot be started, fails, takes too long or writes too much. The text may quote its
            stderr, with any of its stdout masked.
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
    """Its stderr, as the end of an error message."""
    said, secret = (written[each].decode("utf-8", "replace") for each in ("stderr", "stdout"))
    said = " ".join(masked(said, [secret]).split())
    return f": {said[:_COMPLAINT]}" if said else ""
