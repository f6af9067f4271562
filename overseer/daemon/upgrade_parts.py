"""The parts of a server that its upgrade needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from overseer.auth.digest import Digest
    from overseer.config import Config
    from overseer.daemon.chains import TaskChains
    from overseer.daemon.gate import Gate
    from overseer.daemon.lazy_api import WebApi
    from overseer.daemon.notices import TaskNotices
    from overseer.daemon.runs import RunHistory
    from overseer.daemon.schedules import TaskSchedules
    from overseer.daemon.signals import SignalLoop
    from overseer.daemon.totals import Totals
    from overseer.daemon.webhooks import TaskWebhooks
    from overseer.net.server import Server
    from overseer.supervisor.hub import Hub


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a server whose state is handed over."""

    hub: Hub
    server: Server
    gate: Gate
    history: RunHistory
    schedules: TaskSchedules
    chains: TaskChains
    notices: TaskNotices
    api: WebApi
    webhooks: TaskWebhooks
    signals: SignalLoop
    totals: Totals
    upgrades: tuple[int, int]  # carried out, and failed
    version: str
    started_at: float
    started: Config  # the configuration that the server was started with
    variables: Mapping[str, Digest]
    secrets: Mapping[str, str]

    @property
    def busy(self) -> bool:
        """Whether something is under way that follows from what observers have heard."""
        chains, notices = self.chains.chains, self.notices.notices
        return bool((chains and chains.busy) or (notices and notices.busy))
