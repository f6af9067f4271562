"""Probes as the daemon has them: their room is entered with the first run that is looked at."""

from __future__ import annotations

from overseer.supervisor.probing import Prober


def make_probes() -> Prober:
    """What looks at runs."""
    from overseer.probes.prober import Probes  # few need it

    return Probes()
