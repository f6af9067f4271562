"""Runs programs that print a secret."""

from __future__ import annotations

from collections.abc import Sequence

from overseer.errors import SpawnError
from overseer.util.masking import masked
from overseer.workers.program import run_program, with_words

MOST = 64 << 10
"""The maximum size of a secret in bytes."""

_PATIENCE_S = 10.0


def output_of(argv: Sequence[str], name: str) -> bytes:
    """A program's output. The program and all it started are gone when this returns.

    Raises:
        SpawnError: it cannot be started, fails, takes too long or writes too much. The text may quote its
            stderr, with any of its stdout masked.
    """
    too_large = f"it is larger than {MOST >> 10} KiB"
    done = run_program(argv, f"secret {name}", patience=_PATIENCE_S, most=MOST, overflow=too_large)
    if fault := done.failure(argv[0]):
        said, secret = (done.written[each].decode("utf-8", "replace") for each in ("stderr", "stdout"))
        raise SpawnError(with_words(fault, masked(said, [secret])))
    return done.written["stdout"]
