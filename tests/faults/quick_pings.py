"""The daemon, but for pings that come after a second of silence, and a second to answer."""

from __future__ import annotations

import functools
import sys

import overseer
import overseer.daemon
from overseer.net.session import ConnectionLimits

if __name__ == "__main__":
    overseer.daemon.ConnectionLimits = functools.partial(  # type: ignore[misc,assignment]
        ConnectionLimits, ping_interval=1.0, ping_timeout=1.0
    )
    sys.exit(overseer.run_cli(overseer.__version__, ""))
