"""A terminal's output without the secrets in it, as it is seen by who attaches."""

from __future__ import annotations

from overseer.process.raw import MaskedRaw
from overseer.util.masking import Mask


def test_what_may_begin_a_secret_waits_for_the_rest_and_not_for_long() -> None:
    said: list[bytes] = []
    raw = MaskedRaw(Mask(["correct-horse"]), said.append)
    assert raw(b"\x1b[1mkey: correct-") == 0.1
    assert raw(b"horse\r\n") is None
    assert b"".join(said) == b"\x1b[1mkey: ***\r\n"
    said.clear()
    assert raw(b"$ cor") == 0.1
    assert said == [b"$ "]
    assert raw(b"") is None
    assert b"".join(said) == b"$ cor"
