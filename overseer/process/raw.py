"""A terminal's raw output, with secrets masked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from overseer.util.handover_format import Incoming, Outgoing
from overseer.util.masking import Mask, Masker

_HELD_S = 0.1  # how long a tail that may begin a secret is held back; it may be a prompt


class MaskedRaw:
    """Passes on a terminal's output with secrets replaced.

    A tail that may begin a secret waits for more output, for at most ``_HELD_S`` seconds. A secret written in
    pieces with longer pauses is not recognised.
    """

    def __init__(self, mask: Mask, raw: Callable[[bytes], object]) -> None:
        self._masker = Masker(mask)
        self._raw = raw

    def __call__(self, data: bytes) -> float | None:
        """Take output; returns in how many seconds to call with ``b""`` if no more comes."""
        said = self._masker.feed(data) if data else self._masker.flush()
        if said:
            self._raw(said)
        return _HELD_S if self._masker.holds else None

    def export(self, out: Outgoing) -> list[int]:
        """What another program has to know to go on."""
        return self._masker.export(out)

    def restore(self, data: Sequence[int], given: Incoming) -> None:
        """Go on where another program's has been."""
        self._masker.restore(data, given)
