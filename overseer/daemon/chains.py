"""Chains as the daemon has them: where an action has a ``then``, and only there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from overseer.config import Config
from overseer.daemon.audit import Audit
from overseer.daemon.runs import CHAINS, RunHistory
from overseer.protocol import Start
from overseer.supervisor.hub import Hub

if TYPE_CHECKING:
    from overseer.chains.chains import Chains
    from overseer.history.records import ChainTrigger


class TaskChains:
    """Opens the chains, and has the audit say what they start."""

    def __init__(self, hub: Hub, audit: Audit, history: RunHistory) -> None:
        self._hub = hub
        self._audit = audit
        self._history = history
        self.chains: Chains | None = None

    def apply(self, config: Config) -> None:
        """Begin, if an action has a ``then``.

        Raises:
            RuntimeError: the system allows no more threads.
        """
        if self.chains is None and any(action.then is not None for action in config.actions.values()):
            from overseer.chains.chains import Chains

            paid = partial(self._history.paid, room=CHAINS)
            chains = Chains(self._hub, self._record, self._history.has, paid)
            self._hub.observe(chains.heard, CHAINS, chains.concerned)
            self.chains = chains

    def make_up(self) -> None:
        """Start what earlier servers have left unstarted."""
        for change in self._history.owed(CHAINS):
            if self.chains is not None:
                self.chains.make_up(change)
            else:
                self._history.paid(change.run_id, CHAINS)

    def _record(
        self, cause: ChainTrigger, action: str, params: Mapping[str, str], task_id: str, refusal: str
    ) -> None:
        self._audit.record_own(cause.by, Start("", action, "", params), error=refusal, task_id=task_id)
