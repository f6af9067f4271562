"""The daemon, but it is killed at the moment that the variable KILLED_AT names.

``ended``: the end of a run is stored, and nothing of what follows has begun. ``started``: what follows has
begun, which is not stored. ``told``: a notice is to be stored. ``delivered``: one is, unstored.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import overseer
from overseer.daemon.runs import RunHistory
from overseer.notices.outbox import Outbox
from overseer.notices.storage import States
from overseer.supervisor.transaction import Transaction


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def observe(self: Transaction, task: Any, event: Any, outcome: str = "") -> None:
    if outcome:
        die()


def told(self: States, pending: Any, states: Any, run_id: str = "") -> None:
    if run_id and os.environ["KILLED_AT"] == "told":
        die()


if __name__ == "__main__":
    match os.environ["KILLED_AT"]:
        case "ended":
            Transaction.observe = observe  # type: ignore[method-assign]
        case "started":
            RunHistory.paid = die  # type: ignore[method-assign]
        case "told":
            States.told = told  # type: ignore[method-assign]
        case "delivered":
            States.told = told  # type: ignore[method-assign]
            Outbox._settle = die  # type: ignore[method-assign]
    sys.exit(overseer.run_cli(overseer.__version__, ""))
