"""The room that probes runs, loaded for the first run that needs it."""

from __future__ import annotations

from overseer.supervisor.probing import Prober


def make_probes() -> Prober:
    """Create what probes runs."""
    from overseer.probes.prober import Probes  # few need it

    return Probes()
