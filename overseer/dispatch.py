"""From a client's message to the hub, and the one place where an error becomes a reply."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from overseer.clients import Client, Mail
from overseer.errors import RequestError
from overseer.hub import Hub
from overseer.messages import (
    Actions,
    Describe,
    Error,
    Event,
    List,
    ManifestReply,
    ManifestRequest,
    MessageLimits,
    MetricsReply,
    MetricsRequest,
    PoolInfoReply,
    PoolInfoRequest,
    Purge,
    Purged,
    Replay,
    Request,
    Reset,
    SetPool,
    Start,
    Stop,
    Subscribe,
    Tasks,
    Unsubscribe,
    parse_request,
)
from overseer.net.outbox import Outbox
from overseer.task import Requester

__all__ = ["Session"]

_log = logging.getLogger(__name__)


class Session:
    """One client's conversation; its methods are called on the connection's own thread.

    Args:
        hub: what the requests are for.
        outbox: where the replies go.
        limits: of messages.
        on_lag: what subscriptions mean that do not say.
        manifest: makes the manifest document.
    """

    def __init__(
        self,
        hub: Hub,
        outbox: Outbox,
        limits: MessageLimits,
        on_lag: str,
        manifest: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._hub = hub
        self._limits = limits
        self._manifest = manifest
        self._client = Client(outbox, on_lag)
        hub.connect(self._client)

    def receive(self, data: str | bytes) -> None:
        """Handle one message; whatever is wrong with it is answered, never raised."""
        request_id = ""
        try:
            request = parse_request(data, self._limits)
            request_id = request.id
            self._handle(request)
        except RequestError as error:
            self._reply(
                Error(
                    id=error.id or request_id,
                    message=error.message,
                    existing_task_id=error.existing_task_id,
                )
            )
        except Exception:
            _log.exception("a request failed")
            self._reply(Error(id=request_id, message="internal error; the server's log says more"))

    def closed(self) -> None:
        """The connection is gone."""
        self._hub.disconnect(self._client)

    def _reply(self, event: Event) -> None:
        with Mail() as mail:
            mail.send(self._client, event)

    def _handle(self, request: Request) -> None:
        hub, client = self._hub, self._client
        match request:
            case Start():
                hub.start(
                    request.action,
                    request.task_id,
                    request.params,
                    retry_policy=request.retry_policy,
                    force=request.force,
                    on_lag=request.on_lag,
                    requester=Requester(client, request.id),
                )
            case Stop():
                hub.stop(request.task_id)
            case Reset():
                hub.reset(request.task_id, Requester(client, request.id))
            case List():
                self._reply(Tasks(id=request.id, tasks=tuple(hub.tasks(request.since))))
            case Replay():
                hub.replay(client, request.task_id, request.since, request.since_seq)
            case Subscribe():
                hub.subscribe(client, request.id, request.task_id, request.since_seq, request.on_lag)
            case Unsubscribe():
                hub.unsubscribe(client, request.id, request.task_id)
            case Describe():
                self._reply(Actions(id=request.id, actions=tuple(hub.actions(request.action))))
            case PoolInfoRequest():
                self._reply(
                    PoolInfoReply(id=request.id, action=request.action, pool=hub.pool_info(request.action))
                )
            case SetPool():
                pool = hub.set_pool(request.action, request.limit, request.queue_size, request.excess)
                self._reply(PoolInfoReply(id=request.id, action=request.action, pool=pool))
            case Purge():
                self._reply(Purged(id=request.id, action=request.action, count=hub.purge(request.action)))
            case MetricsRequest():
                self._reply(self._metrics(request))
            case ManifestRequest():
                self._reply(ManifestReply(id=request.id, manifest=self._manifest()))

    def _metrics(self, request: MetricsRequest) -> MetricsReply:
        if request.action:
            return MetricsReply(id=request.id, action=self._hub.action_metrics(request.action))
        if request.task_id:
            return MetricsReply(id=request.id, task=self._hub.task_metrics(request.task_id))
        return MetricsReply(id=request.id, global_=self._hub.metrics())
