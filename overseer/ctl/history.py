"""``overseerctl history``: current and ended runs, those of earlier servers included."""

from __future__ import annotations

import heapq
from argparse import Namespace
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from overseer.client import Client
from overseer.ctl.columns import cut_middle, fit, table
from overseer.ctl.exit_status import EXIT_USAGE
from overseer.ctl.finding import check_action, never_ran, others_called, task_like
from overseer.ctl.listing import name_of, params_of
from overseer.ctl.naming import shortened
from overseer.ctl.stats import sums
from overseer.ctl.statuses import coloured, exit_of, signed
from overseer.ctl.terminal import Style, counted, plain, room, say, show, style_of
from overseer.ctl.times import ago, so_far, took
from overseer.protocol import RunInfo
from overseer.util.timestamps import now

_RUNS = ("ID", "RUN", "ACTION", "STATUS", "EXIT", "RAN", "STARTED", "BY", "PARAMETERS", "HOST")
_CUTS = {"ID": cut_middle, "ACTION": fit, "BY": fit, "PARAMETERS": fit, "HOST": fit}
_SPARE = ("BY", "HOST", "RAN", "RUN", "PARAMETERS", "EXIT", "STARTED")  # least needed first


def history(client: Client, options: Namespace) -> int:
    if wrong := _wrong(options):
        say(f"{wrong}; see overseerctl history --help")
        return EXIT_USAGE
    if options.by_action or options.every:
        return sums(client, options)

    def of(task_id: str | None, status: Any) -> Sequence[RunInfo]:
        given_up = status == "errored"  # a server knows these as failed
        runs = client.runs(
            task_id,
            action=options.action,
            state="failed" if given_up else status,
            reason=options.reason or "",
            since=options.since,
            until=options.until,
            limit=0 if given_up else options.limit,
        )
        return [run for run in runs if run.gave_up] if given_up else runs

    def ask(task_id: str | None) -> Sequence[RunInfo]:
        statuses = set(options.state or ("",))
        if "failed" in statuses:
            statuses.discard("errored")
        found = [of(task_id, status) for status in statuses]
        runs = list(heapq.merge(*found, key=lambda run: run.started, reverse=True))
        return runs[: options.limit or None]

    runs = ask(options.task)
    if not runs and options.task and (task_id := task_like(client, options.task, "history")) != options.task:
        runs = ask(task_id)
    if not runs and options.action:
        check_action(client, options.action)
    if runs and options.task and others_called(client, options.task, runs[0]):
        how = f"overseerctl history --action {plain(runs[0].action)}"
        say(f"more tasks are called {plain(options.task)}; for all of them: {how}")
    if options.reverse:
        runs = runs[::-1]
    show(options, runs, lambda: runs_table(runs, now(), style_of(options), room()), "no runs")
    return 0


def _wrong(options: Namespace) -> str:
    """What is wrong with the options, if anything."""
    if options.every and options.since is None:
        return "--every needs --since, from which the times are counted"
    if (options.by_action or options.every) and (options.state or options.reason):
        return "--status and --reason cannot be combined with --by-action or --every"
    return ""


def runs_table(
    runs: Sequence[RunInfo], moment: datetime, style: Style, columns: int | None = None
) -> list[str]:
    """A heading and a line for each run; ``moment`` is now."""

    def paint(row: int, name: str, text: str) -> str:
        return coloured(text, runs[row].status, style) if name == "STATUS" else text

    shown = shortened(run.task_id for run in runs)
    rows = [_RUNS, *(_row(run, moment, style, shown) for run in runs)]
    if not any(run.host for run in runs):
        rows = [row[:-1] for row in rows]
    return table(rows, columns, cuts=_CUTS, spare=_SPARE, heading=style.heading, paint=paint)


def _row(run: RunInfo, moment: datetime, style: Style, shown: Callable[[str], str]) -> tuple[str, ...]:
    by = run.trigger.type if run.trigger.by in ("", run.trigger.type) else run.trigger.by
    return (
        name_of(shown(run.task_id)),
        str(run.number),
        name_of(run.action),
        signed(run.status, style),
        exit_of(run.reason, None if never_ran(run) else run.exit_code, run.signal),
        _ran(run, moment),
        ago(run.started, moment),
        name_of(by),
        _more(run),
        plain(run.host) or "-",
    )


def _more(run: RunInfo) -> str:
    """Its parameters; of one that went wrong beyond its exit, why."""
    gave_up = f"gave up after {counted(run.gave_up, 'exit')}" if run.gave_up else ""
    return "; ".join(filter(None, (gave_up, plain(run.error) or params_of(run.params))))


def _ran(run: RunInfo, moment: datetime) -> str:
    """How long it ran, or has run so far; unknown for a lost one."""
    if run.status == "lost" or never_ran(run):
        return "-"
    return so_far(run.started, moment) if run.duration_ms is None else took(run.duration_ms)
