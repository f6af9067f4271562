"""A few seconds of the soak; `make soak` runs it for longer."""

from __future__ import annotations

import os
import random

from tests.soak.soak import soak


def test_a_short_soak() -> None:
    seed = 1 if os.environ.get("CI") else random.SystemRandom().randrange(1, 1_000_000)
    print(soak(seed, seconds=3.0, clients=10))
