"""The daemon on a machine whose wall clock jumps by hours, back and forth, each time somebody looks."""

from __future__ import annotations

import datetime as real
import itertools
import sys
import time

import overseer
from overseer.util import timestamps

_jumps = itertools.cycle([0, 7200, -86400, 31536000, -31536000, 3600])
_wall = time.time


class _MadTime(real.datetime):
    @classmethod
    def now(cls, tz: real.tzinfo | None = None) -> real.datetime:  # type: ignore[override]
        return real.datetime.fromtimestamp(_wall() + next(_jumps), tz)


if __name__ == "__main__":
    # Modules have this very object, so it is made to call the other clock.
    timestamps.now.__setstate__((_MadTime.now, (real.UTC,), {}, None))  # type: ignore[attr-defined]
    time.time = lambda: _wall() + next(_jumps)
    sys.exit(overseer.run_cli(overseer.__version__, ""))
