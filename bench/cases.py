"""What is measured, and running it: each case on all servers in turn, several times over."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench.servers import BASELINE, Kind, Server

FEWEST = 3
"""Runs after which a case is over whose figures lie close together."""
_CLOSE = 0.1  # the lowest to the highest, of the median


@dataclass(frozen=True)
class Metric:
    """One figure of a case; ``goal`` is what it should reach, or not exceed."""

    key: str
    unit: str
    goal: float | None = None
    more_is_better: bool = False

    def reach(self, goal: float) -> Metric:
        return replace(self, goal=goal)

    def met(self, value: float) -> bool:
        if self.goal is None:
            return True
        return value >= self.goal if self.more_is_better else value <= self.goal


@dataclass
class Sample:
    """One run: figures by a metric's key, and the server's resident memory after it, in bytes."""

    values: dict[str, float]
    resident: int


@dataclass(frozen=True)
class Case:
    """``measure(server)`` raises when anything was lost.

    Args:
        top_level: of the configuration, beside the actions.
        runs: at most so many.
    """

    name: str
    title: str
    metrics: tuple[Metric, ...]
    measure: Callable[[Server], Sample]
    baseline: bool = True
    top_level: dict[str, Any] = field(default_factory=dict)
    runs: int = 99


@dataclass
class Result:
    """The samples of one case, by the server's name, and what ended it early, if anything did."""

    case: Case
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    error: str = ""

    def values(self, server: str, metric: Metric) -> list[float]:
        """Sorted; empty when it was not measured there."""
        return sorted(sample.values[metric.key] for sample in self.samples.get(server, ()))

    def median(self, server: str, metric: Metric) -> float | None:
        values = self.values(server, metric)
        return statistics.median(values) if values else None

    @property
    def settled(self) -> bool:
        """Whether more runs would hardly change the medians."""
        for server in (name for name in ("here", BASELINE.name) if name in self.samples):
            if len(self.samples[server]) < FEWEST:
                return False
            for metric in self.case.metrics:
                values = self.values(server, metric)
                if values[-1] - values[0] > _CLOSE * abs(statistics.median(values)):
                    return False
        return True

    def ratio(self, metric: Metric) -> float | None:
        """Of the figures here to those of the baseline taken next to them: the median of the pairs."""
        pairs = zip(self.samples.get("here", ()), self.samples.get(BASELINE.name, ()), strict=False)
        ratios = [here.values[metric.key] / (base.values[metric.key] or 1e-9) for here, base in pairs]
        return statistics.median(ratios) if ratios else None

    def resident(self, server: str) -> float | None:
        samples = self.samples.get(server)
        return statistics.median(sample.resident for sample in samples) if samples else None


def measure(cases: Iterable[Case], kinds: Sequence[Kind], runs: int) -> Iterator[Result]:
    """Every case on every kind of server, in turn, so that all of them get the same of the machine's moods;
    ``runs`` times, or less often if the figures lie close together.

    A case that fails on another's server is left out there; one that fails here or on the baseline ends with
    the error in its result, and the next one follows.
    """
    for case in cases:
        result = Result(case)
        for kind in kinds:
            if case.baseline or kind is not BASELINE:
                result.samples[kind.name] = []
        for run in range(min(runs, case.runs)):
            for kind in [kind for kind in kinds if kind.name in result.samples]:
                print(
                    f"\r\033[K{case.title}: {kind.name}, run {run + 1}", end="", file=sys.stderr, flush=True
                )
                try:
                    with Server(kind, case.top_level) as server:
                        result.samples[kind.name].append(case.measure(server))
                except (OSError, RuntimeError, AssertionError) as error:
                    print(f"\r\033[K{kind.name}: {case.title}: {error!r}", file=sys.stderr)
                    if not kind.foreign:
                        result.error = f"{kind.name}: {error!r}"
                        break
                    del result.samples[kind.name]
            if result.error or result.settled:
                break
        print("\r\033[K", end="", file=sys.stderr, flush=True)
        yield result
