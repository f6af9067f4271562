"""``overseerctl history --by-action`` and ``--every``: runs summed up."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from overseer.client import Client
from overseer.ctl.columns import fit, table
from overseer.ctl.finding import check_action, task_like
from overseer.ctl.listing import name_of
from overseer.ctl.terminal import Style, room, show, style_of
from overseer.ctl.times import clock, took
from overseer.protocol import RunStats

_FIGURES = ("RUNS", "RUNNING", "SUCCEEDED", "FAILED", "STOPPED", "LOST", "MEDIAN", "P95", "TOTAL")


def sums(client: Client, options: Namespace) -> int:
    stats = client.run_stats(
        options.task and task_like(client, options.task, "history"),
        action=options.action,
        since=options.since,
        until=options.until,
        every=options.every,
        by_action=options.by_action,
    )
    if not stats and options.action:
        check_action(client, options.action)
    show(options, stats, lambda: _table(stats, style_of(options), room()), "no runs")
    return 0


def _table(stats: Sequence[RunStats], style: Style, columns: int | None) -> list[str]:
    heads = [head for head, there in (("ACTION", stats[0].action), ("FROM", stats[0].start)) if there]

    def row(each: RunStats) -> tuple[str, ...]:
        named = [name_of(each.action)] if each.action else []
        named += [] if each.start is None else [clock(each.start)]
        counts = (each.runs, each.running, each.succeeded, each.failed, each.stopped, each.lost)
        return (*named, *map(str, counts), *map(took, (each.median_ms, each.p95_ms, each.duration_ms)))

    rows = [(*heads, *_FIGURES), *map(row, stats)]
    spare = ("RUNNING", "LOST", "STOPPED", "P95", "MEDIAN")
    return table(rows, columns, cuts={heads[0]: fit}, spare=spare, heading=style.heading)
