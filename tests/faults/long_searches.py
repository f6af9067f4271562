"""The daemon, but for searches that may take two minutes."""

from __future__ import annotations

import sys

import overseer
from overseer.logs.search import Searches

if __name__ == "__main__":
    Searches.__init__.__defaults__ = (120.0,)  # type: ignore[attr-defined]
    sys.exit(overseer.run_cli(overseer.__version__, ""))
