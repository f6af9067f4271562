"""``overseerctl cluster``: the clusters that tasks run on, and their workers."""

from __future__ import annotations

from argparse import Namespace
from itertools import chain

from overseer.client import Client
from overseer.ctl.columns import cut_middle, fit, table
from overseer.ctl.listing import name_of
from overseer.ctl.terminal import Style, counted, plain, room, show, style_of
from overseer.protocol import ClusterInfo

_HEADING = ("WORKER", "ADDRESS", "STATE", "BUSY", "THREADS", "TASKS")


def cluster(client: Client, options: Namespace) -> int:
    found = client.cluster()
    style, columns = style_of(options), room()
    lines = chain.from_iterable(cluster_lines(each, style, columns) for each in found)
    show(options, found, lambda: lines, "no action runs on a cluster")
    return 0


def cluster_lines(info: ClusterInfo, style: Style, columns: int | None = None) -> list[str]:
    """A line about the cluster, then a heading and a line for each worker."""
    state = counted(len(info.workers), "worker") if info.connected else f"away: {plain(info.error)}"
    lines = [f"{plain(info.address)}: {state}; {', '.join(map(name_of, info.actions))}"]
    if not info.connected:
        lines = [style.failure(line) for line in lines]
    if info.waiting:
        lines.append(f"waiting for a place: {', '.join(map(name_of, info.waiting))}")
    if not info.workers:
        return lines
    rows = [_HEADING]
    for worker in info.workers:
        rows.append(
            (
                name_of(worker.name),
                plain(worker.address),
                plain(worker.state),
                "-" if worker.busy is None else str(worker.busy),
                str(worker.threads),
                ", ".join(map(name_of, worker.tasks)) or "-",
            )
        )
    cuts = {"WORKER": cut_middle, "ADDRESS": cut_middle, "TASKS": fit}
    return lines + table(rows, columns, cuts=cuts, spare=("BUSY", "STATE"), heading=style.heading)
