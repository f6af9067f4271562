"""The daemon, but for who does not answer a ping: that is closed after a second more."""

from __future__ import annotations

import functools
import sys

import overseer
import overseer.daemon.lazy_api
from overseer.net.limits import ConnectionLimits

if __name__ == "__main__":
    overseer.daemon.lazy_api.ConnectionLimits = functools.partial(  # type: ignore[misc,assignment]
        ConnectionLimits, ping_timeout=1.0
    )
    sys.exit(overseer.run_cli(overseer.__version__, ""))
