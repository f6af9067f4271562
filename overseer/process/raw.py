"""What a terminal is sent, as it is, but for secrets."""

from __future__ import annotations

from collections.abc import Callable

from overseer.util.masking import Mask, Masker

_HELD_S = 0.1  # what may begin a secret is held back for so long: a prompt must come


class MaskedRaw:
    """Hands on a terminal's output with secrets replaced.

    What may begin one waits for the rest, or for a call with nothing after ``_HELD_S`` seconds. A secret that
    comes in pieces with longer pauses is not recognised.
    """

    def __init__(self, mask: Mask, raw: Callable[[bytes], object]) -> None:
        self._masker = Masker(mask)
        self._raw = raw

    def __call__(self, data: bytes) -> float | None:
        """Take what came; returns after how many seconds to be called with ``b""`` if nothing comes."""
        said = self._masker.feed(data) if data else self._masker.flush()
        if said:
            self._raw(said)
        return _HELD_S if self._masker.holds else None
