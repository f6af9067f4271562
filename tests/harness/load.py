"""How long things may take on a machine that has other things to do."""

from __future__ import annotations

import os

__all__ = ["allowed"]


def allowed(seconds: float) -> float:
    """A bound that holds on a machine with nothing else to do; longer where more wants to run than can."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
