"""The daemon, but for logs of which a read may take half a second, and no more."""

from __future__ import annotations

import sys

import overseer
from overseer.logs import store

if __name__ == "__main__":
    store._READ_S = 0.5
    sys.exit(overseer.run_cli(overseer.__version__, ""))
