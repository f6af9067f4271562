"""Sums up runs, in the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from overseer.history.pages import Query, where
from overseer.protocol import RUN_STATUS, RunStats
from overseer.util.timestamps import from_micros, to_micros

_MICROSECOND = 1_000_000
_INT64 = 2**63 - 1
# What lost runs took is not known. The values of two ranks, which may be one.
_RANKS = (
    "SELECT action, part, duration_ms FROM ("
    "SELECT action, part, duration_ms, "
    "row_number() OVER (PARTITION BY action, part ORDER BY duration_ms) AS rank, "
    "count(*) OVER (PARTITION BY action, part) AS number FROM it WHERE took) "
    "WHERE rank IN ((number + 1) / 2, (19 * number + 19) / 20) ORDER BY action, part, duration_ms"
)
_SUMS = (
    "SELECT action, part, status, count(*), sum(CASE WHEN took THEN duration_ms ELSE 0 END) FROM it "
    "GROUP BY action, part, status ORDER BY action, part"
)


@dataclass(frozen=True, slots=True)
class Division:
    """How runs are summed up: apart for each action, and for each so many seconds from the query's ``since``
    on (0: together)."""

    by_action: bool = False
    every: int = 0


def sums(
    connection: sqlite3.Connection, query: Query, sees: Callable[[str], bool] | None, division: Division
) -> list[RunStats]:
    """The sums of the runs that ``query`` wants and ``sees`` admits, by action, then by time."""
    condition, values = where(connection, query, sees)
    action = "action" if division.by_action else "'' AS action"
    begin = 0 if query.since is None else to_micros(query.since)
    long = min(division.every * _MICROSECOND, _INT64)  # SQLite would divide by anything longer as a float
    part = f"(started - {begin}) / {long} AS part" if long else "0 AS part"
    # What ended as it began was never run.
    took = "duration_ms IS NOT NULL AND status <> 'lost' AND ended <> started AS took"
    of = f"WITH it AS (SELECT {action}, {part}, status, duration_ms, {took} FROM runs WHERE {condition}) "
    ranks: dict[tuple[str, int], list[int]] = {}
    for name, number, ms in connection.execute(of + _RANKS, values):
        ranks.setdefault((name, number), []).append(ms)

    def summed(key: tuple[str, int], rows: list[tuple[Any, ...]]) -> RunStats:
        counts = {status: count for _, _, status, count, _ in rows}
        ranked = ranks.get(key)
        return RunStats(
            action=key[0],
            start=from_micros(begin + key[1] * long) if long else None,
            runs=sum(counts.values()),
            **{status: counts.get(status, 0) for status in RUN_STATUS.words},
            duration_ms=sum(ms for *_, ms in rows),
            median_ms=ranked[0] if ranked else None,
            p95_ms=ranked[-1] if ranked else None,
        )

    found = connection.execute(of + _SUMS, values).fetchall()
    return [summed(key, list(rows)) for key, rows in groupby(found, lambda row: (row[0], row[1]))]
