"""Going on with far runs in another program: in an upgrade, their processes notice nothing.

Frames are acknowledged by number and words are numbered, so what was under way is said or asked again. Runs
and links are made again without the engine, which takes a second to import; then they are the cluster's,
which goes on asking where frames were left, whether the scheduler is there or not.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from overseer.config.cluster import ClusterSection
from overseer.drivers.dask.frames import Order
from overseer.drivers.dask.link import Link
from overseer.drivers.dask.run import FarWorker, moment
from overseer.errors import OverseerError
from overseer.workers.base import RunContext, WorkerCallbacks

_links: WeakValueDictionary[tuple[object, str], Link] = WeakValueDictionary()
"""Those that were made again, by cluster and relay: several runs have the same."""

# Attributes of a run that go over as they are; moments are monotonic.
_AS_THEY_ARE = (
    *("pid", "stdin", "host", "told", "key", "_intentional", "_begun_at", "_stopped_at", "_end"),
    *("_input_under_way", "_input_closed"),
)


def export_run(run: FarWorker) -> dict[str, Any]:
    """What :func:`take_up` needs; at a standstill."""
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
        line = run._line
    return said if line is None else {**said, **line.hand_over(run.order.run)}


def _restore(run: FarWorker, data: dict[str, Any]) -> None:
    for name in _AS_THEY_ARE:
        setattr(run, name, data[name])
    run.waiting_on = tuple(data["waiting_on"])
    run.started_at = moment(data["started_at"])
    run._failure = None if data["failure"] is None else OverseerError(data["failure"])
    run._frames.extend((head, body) for head, body in data["frames"])


@dataclass(frozen=True)
class Adopted:
    """A run that goes on.

    Attributes:
        link: its way; None: it has no place yet.
    """

    run: FarWorker
    section: ClusterSection
    link: Link | None


def take_up(
    section: ClusterSection,
    action: str,
    data: dict[str, Any],
    callbacks: WorkerCallbacks,
    adopt: Callable[[Adopted], object],
    forget: Callable[[FarWorker], None],
) -> FarWorker:
    """The run that :meth:`FarWorker.hand_over` has described.

    Args:
        adopt: called when it goes on, for it to become its cluster's.
        forget: called when nothing more is expected of it.
    """
    context = callbacks.run or RunContext("")
    run = FarWorker(Order.of(json.loads(data["order"])), callbacks, context, forget, action)
    _restore(run, data)
    link = None
    if data["link"] is not None:
        link = _link(section, data["link"])
        link.restore_words(data["words"])
        link.took(run.order.run, data["taken"])
        link.add(run)
        run._line = link
    adopted = Adopted(run, section, link)
    run.adopt = lambda: adopt(adopted)
    return run


def _link(section: ClusterSection, said: dict[str, Any]) -> Link:
    link = link_of(section, said["relay"])
    if link is None:
        link = Link(said["name"], said["address"], said["lease"], said["relay"])
        _links[(section.address, section.tls), said["relay"]] = link
        link.restore(said)
    return link


def link_of(section: ClusterSection, relay: str) -> Link | None:
    """The link to a relay that was made again."""
    return _links.get(((section.address, section.tls), relay))
