"""The API by HTTP, which is loaded when somebody first uses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from overseer.auth.rights import Principal
from overseer.config import Config, LimitsConfig
from overseer.net.endpoint import Service
from overseer.net.handler import Handler
from overseer.net.http import Reply, Request, Response
from overseer.net.limits import ConnectionLimits
from overseer.net.readable_outbox import ReadableOutbox
from overseer.util.locks import Rank, lock
from overseer.util.once import Once

if TYPE_CHECKING:
    from overseer.api.service import Api

API_PATH = "/api/v1/"


class WebApi(Service):
    """See :class:`overseer.api.service.Api`, which has the same arguments."""

    def __init__(
        self, limits: Callable[[], LimitsConfig], describe: Callable[[Principal], Mapping[str, Any]]
    ) -> None:
        self._limits = limits
        self._describe = describe
        self._api = Once(self._make)
        self._counting = lock(Rank.LEAF, "api requests")
        self._requests = 0
        self._given: Any = None  # what the program before this one knew, while nobody has used it

    def _make(self) -> Api:
        from overseer.api.outcome import KEYS
        from overseer.api.service import Api

        KEYS.restore(self._given or ())
        self._given = None
        return Api(self._limits, self._describe)

    def export(self) -> Any:
        """What another program has to know to go on; at a standstill."""
        if not self._api.made:
            return self._given
        from overseer.api.outcome import KEYS

        return KEYS.export()

    def restore(self, data: Any) -> None:
        self._given = data

    def serve(self, request: Request, handler: Handler, outbox: ReadableOutbox, reply: Reply) -> None:
        with self._counting:
            self._requests += 1
        self._api().serve(request, handler, outbox, reply)

    def counters(self) -> Mapping[str, tuple[str, float]]:
        """For monitoring: help text and value, by name; nothing until it is used."""
        return {"api_requests": ("Requests to the API by HTTP", self._requests)} if self._requests else {}

    def refusal(self, response: Response) -> Response:
        return self._api().refusal(response)


def connection_limits(config: Config) -> ConnectionLimits:
    """The bounds of every connection."""
    return ConnectionLimits(
        buffer=config.clients.buffer,
        stall_timeout=config.clients.stall_timeout,
        max_message=config.limits.max_message,
        max_connections=config.limits.max_connections,
        handshake_timeout=config.limits.handshake_timeout,
        ping_interval=config.clients.keepalive,
    )
