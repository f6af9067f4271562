"""The daemon, but for logs that compress a segment as soon as it is full."""

from __future__ import annotations

import sys

import overseer

if __name__ == "__main__":
    keeper.SETTLED_S = 0.0
    sys.exit(overseer.run_cli(overseer.__version__, ""))
