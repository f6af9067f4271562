"""What of a remote run goes over to another program. The run imports this, so it is ``Any`` here."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from overseer.errors import OverseerError

# Attributes of a run that go over as they are; moments are monotonic.
_AS_THEY_ARE = (
    "pid", "stdin", "host", "told", "key", "_intentional", "_begun_at", "_stopped_at", "_end",
    "_input_under_way", "_input_closed",
)  # fmt: skip


def export_run(run: Any) -> dict[str, Any]:
    """What :func:`restore_run` needs; at a standstill."""
    with run._lock:
        shown = [({"op": "part", "stream": stream}, line) for stream, (_, line) in run._again.items()]
        said = {
            **{name: getattr(run, name) for name in _AS_THEY_ARE},
            "order": json.dumps(run.order.head()).encode(),
            "waiting_on": list(run.waiting_on),
            "started_at": run.started_at.isoformat(),
            "failure": None if run._failure is None else str(run._failure),
            "frames": [[head, bytes(body)] for head, body in (*shown, *run._frames)],
            "link": None,
        }
        link = run._link
    return said if link is None else {**said, **link.hand_over(run.order.run)}


def restore_run(run: Any, data: dict[str, Any]) -> None:
    """Have a run be as it was exported."""
    for name in _AS_THEY_ARE:
        setattr(run, name, data[name])
    run.waiting_on = tuple(data["waiting_on"])
    run.started_at = datetime.fromisoformat(data["started_at"])
    run._failure = None if data["failure"] is None else OverseerError(data["failure"])
    run._frames.extend((head, body) for head, body in data["frames"])
