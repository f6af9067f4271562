"""The daemon, but for logs that compress a segment as soon as it is full."""

from __future__ import annotations

import sys

import overseer
from overseer.logs import retention

if __name__ == "__main__":
    retention.SETTLED_S = 0.0
    sys.exit(overseer.run_cli(overseer.__version__, ""))
