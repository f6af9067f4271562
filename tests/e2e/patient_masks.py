"""The daemon, but for what may begin a secret, which is held back for as long as a busy machine may take."""

from __future__ import annotations

import sys

import overseer
from overseer.process import raw

if __name__ == "__main__":
    raw._HELD_S = 20.0
    sys.exit(overseer.run_cli(overseer.__version__, ""))
