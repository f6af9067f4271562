"""How long things may take on a machine that is slow, or has other things to do."""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path

__all__ = ["allowed"]

_LOOP_S = 0.003  # what the loop below takes on a machine as they are today


def allowed(seconds: float) -> float:
    """A bound that holds on a machine with nothing else to do; longer where more wants to run than can, now
    or in the last minute, and on a slow processor."""
    running = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])
    busy = max(running, os.getloadavg()[0]) / (os.cpu_count() or 1)
    return seconds * max(1.0, 2 * busy) * _slowness()


@cache
def _slowness() -> float:
    began = time.process_time()
    for _ in range(100_000):
        pass
    return max(1.0, (time.process_time() - began) / _LOOP_S)
