"""Webhooks as the daemon has them: where the configuration has any, and only there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from overseer.auth.peer import Peer
from overseer.auth.rights import Principal
from overseer.config import Config
from overseer.daemon.audit import Audit
from overseer.net.endpoint import Hooks
from overseer.net.http import HOOKS, Request, Response
from overseer.protocol import Start
from overseer.secrets.vault import Vault
from overseer.supervisor.hub import Hub
from overseer.util.once import Once

if TYPE_CHECKING:
    from overseer.webhooks.webhooks import Webhooks


class TaskWebhooks(Hooks):
    """Loads them once they are used, and has the audit say what they start.

    Args:
        config: the configuration in force.
        refused: reports the refusal of a stranger.
    """

    def __init__(
        self,
        hub: Hub,
        config: Callable[[], Config],
        vault: Vault,
        refused: Callable[[Peer, str], None],
        audit: Audit,
    ) -> None:
        self._hub = hub
        self._config = config
        self._vault = vault
        self._refused = refused
        self._audit = audit
        self._webhooks = Once(self._make)
        self._given: Any = None  # what the program before this one knew, while nobody has used them

    @property
    def enabled(self) -> bool:
        return bool(self._config().webhooks)

    def takes(self, request: Request) -> bool:
        # HEAD and OPTIONS are answered alike for all paths.
        plain = request.method not in ("HEAD", "OPTIONS")
        return plain and request.path.startswith(HOOKS) and self.enabled

    def answer(self, request: Request, *, stranger: bool) -> Response:
        return self._webhooks().answer(request, stranger=stranger)

    def counters(self) -> Mapping[str, tuple[str, float]]:
        """For monitoring: help text and value, by name."""
        if not self.enabled:
            return {}
        made = self._webhooks.made
        started, refused = (self._webhooks().started, self._webhooks().refusals) if made else (0, 0)
        return {
            "webhook_starts": ("Starts by webhooks", started),
            "webhook_refused": ("Requests to webhooks that were refused", refused),
        }

    def _make(self) -> Webhooks:
        from overseer.webhooks.webhooks import Webhooks

        webhooks = Webhooks(self._hub, self._config, self._secret, self._refused, self._record)
        if self._given is not None:
            webhooks.restore(self._given)
            self._given = None
        return webhooks

    def export(self) -> Any:
        """What another program has to know to go on; at a standstill."""
        return self._webhooks().export() if self._webhooks.made else self._given

    def restore(self, data: Any) -> None:
        self._given = data

    def _secret(self, name: str) -> str:
        return self._vault.read(self._config().secrets, name)

    def _record(
        self,
        peer: Peer,
        name: str,
        action: str,
        params: Mapping[str, str],
        proven: bool,
        task_id: str,
        error: str,
    ) -> None:
        if proven:
            peer = replace(peer, principal=Principal(f"webhook:{name}", "operator"))
        start = Start("", action, "", params)
        self._audit.record(peer, start, allowed=proven, error=error, task_id=task_id)
