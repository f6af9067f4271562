"""Notices as the daemon has them: where a channel is configured, and only there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from overseer.config import Config
from overseer.daemon.runs import NOTICES, RunHistory
from overseer.errors import RequestError
from overseer.secrets.vault import Vault
from overseer.supervisor.hub import Hub

if TYPE_CHECKING:
    from overseer.notices.notices import Notices


class TaskNotices:
    """Opens the notices, and keeps them to the configuration."""

    def __init__(self, hub: Hub, history: RunHistory, vault: Vault) -> None:
        self._hub = hub
        self._history = history
        self._vault = vault
        self.notices: Notices | None = None

    def apply(self, config: Config, given: Mapping[str, Any] | None = None) -> None:
        """Begin, once there is a channel; or go by another configuration.

        Args:
            given: what this server's earlier program has exported.

        Raises:
            RuntimeError: the system allows no more threads.
        """
        if self.notices is not None:
            self.notices.apply(config)
        elif config.channels:
            from overseer.notices.notices import Notices
            from overseer.notices.storage import States

            notices = Notices(config, States(self._history.history, NOTICES), self._secret)
            notices.start(given)
            for change in self._history.owed(NOTICES) if given is None else ():
                notices.heard(change)
            try:
                self._hub.observe(notices.heard, NOTICES, notices.concerned)
            except RuntimeError:
                notices.close()
                raise
            self.notices = notices

    def test(self, channel: str, done: Callable[[str], None]) -> None:
        """See :meth:`Notices.test`. Raises RequestError."""
        if self.notices is None:
            raise RequestError("this server's configuration has no channels")
        self.notices.test(channel, done)

    def export(self) -> dict[str, Any] | None:
        """What another program has to know to go on; at a standstill."""
        return None if self.notices is None else self.notices.export()

    def _secret(self, config: Config, name: str) -> str:
        return self._vault.read(config.secrets, name)
