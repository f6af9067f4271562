"""A few seconds of the soak, from a seed that stays; `make soak` runs it for longer, each time anew."""

from __future__ import annotations

from tests.soak.soak import soak


def test_a_short_soak() -> None:
    print(soak(1, seconds=3.0, clients=10))
