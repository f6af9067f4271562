"""Going on with remote runs in another program: in an upgrade, their processes notice nothing.

Frames are acknowledged by number and words are numbered, so what was under way is said or asked again. Runs
and links are made again without the engine, which takes a second to import; then they are the cluster's,
which goes on asking where frames were left, whether the scheduler is there or not.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from overseer.config.cluster import ClusterSection
from overseer.drivers.dask.frames import Order
from overseer.drivers.dask.link import Link
from overseer.drivers.dask.remote_worker import RemoteWorker
from overseer.workers.base import RunContext, WorkerCallbacks

_links: WeakValueDictionary[tuple[object, str], Link] = WeakValueDictionary()
"""Those that were made again, by cluster and relay: several runs have the same."""


def take_up(
    section: ClusterSection,
    action: str,
    data: dict[str, Any],
    callbacks: WorkerCallbacks,
    adopt: Callable[[RemoteWorker, Link | None], object],
    forget: Callable[[RemoteWorker], None],
) -> RemoteWorker:
    """The run that :meth:`RemoteWorker.hand_over` has described.

    Args:
        adopt: called when it goes on, for it to become its cluster's; with its way, or None: it has no place
            yet.
        forget: called when nothing more is expected of it.
    """
    context = callbacks.run or RunContext("")
    run = RemoteWorker(Order.of(json.loads(data["order"])), callbacks, context, forget, action)
    link = None
    if data["link"] is not None:
        link = _link(section, data["link"])
        link.restore_words(data["words"])
        link.took(run.order.run, data["taken"])
        link.add(run)
    run.restore(data, link)
    run.adopt = partial(adopt, run, link)
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
