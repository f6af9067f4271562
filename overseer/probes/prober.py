"""The room's entry point: creates the watch of a run."""

from __future__ import annotations

from overseer.config import ActionConfig
from overseer.config.probes import Values
from overseer.probes.looker import Looker
from overseer.probes.watch import Watch
from overseer.supervisor.probing import Findings, Prober, RunWatch


class Probes(Prober):
    """Probes all runs whose actions have probes."""

    def __init__(self) -> None:
        self._looker = Looker()

    def watch(self, findings: Findings, config: ActionConfig, values: Values) -> RunWatch:
        self._looker.start()
        return Watch(self._looker, findings, config, values)

    def close(self) -> None:
        self._looker.close()
