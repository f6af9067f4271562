"""The room's entry: creates the watches of runs."""

from __future__ import annotations

from overseer.config import ActionConfig
from overseer.config.probes import Values
from overseer.probes.resources import ProbeResources
from overseer.probes.watch import Watch
from overseer.supervisor.probing import Earlier, Findings, Prober, RunWatch


class Probes(Prober):
    """Probes all runs whose action has probes."""

    def __init__(self) -> None:
        self._resources = ProbeResources()

    def watch(
        self, findings: Findings, config: ActionConfig, values: Values, earlier: Earlier | None = None
    ) -> RunWatch:
        self._resources.start()
        return Watch(self._resources, findings, config, values, earlier)

    def close(self) -> None:
        self._resources.close()
