"""The server with a wall clock that is set by a file, and a place at which it is killed.

``CLOCK``: a file with the seconds by which the clock is ahead. ``KILL_AT``: ``store`` (a slot was decided on
and is not stored), ``stored`` (it is, and its start is not asked for), ``started`` (its run has begun, and
nothing more is stored).
"""

from __future__ import annotations

import datetime as real
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import overseer
from overseer.schedules.scheduler import Scheduler
from overseer.schedules.store import ScheduleStore
from overseer.util import timestamps

_clock = Path(os.environ["CLOCK"])
_kill_at = os.environ.get("KILL_AT", "")


class _SetTime(real.datetime):
    @classmethod
    def now(cls, tz: real.tzinfo | None = None) -> real.datetime:  # type: ignore[override]
        return real.datetime.fromtimestamp(time.time() + float(_clock.read_text()), tz)


def _die(*args: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def _keep(
    self: ScheduleStore, slots: Any, schedules: Any, *, wait: bool = True, keep: Any = ScheduleStore.keep
) -> None:
    if slots:
        _die()
    keep(self, slots, schedules, wait=wait)


def _heard(self: Scheduler, change: Any) -> None:
    if change.event.type == "started":
        _die()


if __name__ == "__main__":
    # Modules have this very object, so it is made to call the other clock.
    timestamps.now.__setstate__((_SetTime.now, (real.UTC,), {}, None))  # type: ignore[attr-defined]
    if _kill_at == "store":
        ScheduleStore.keep = _keep  # type: ignore[method-assign]
    elif _kill_at == "stored":
        Scheduler._fire = _die  # type: ignore[method-assign]
    elif _kill_at == "started":
        Scheduler.heard = _heard  # type: ignore[method-assign]
    sys.exit(overseer.run_cli(overseer.__version__, ""))
