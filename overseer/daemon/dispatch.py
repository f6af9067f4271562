"""Dispatches a client's messages to the hub, and answers errors that the hub has not answered."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from overseer import protocol
from overseer.auth.peer import Peer
from overseer.auth.rights import Principal
from overseer.auth.throttle import RequestRate
from overseer.daemon.audit import Audit
from overseer.daemon.clusters import clusters_of
from overseer.daemon.logs import TaskLogs
from overseer.daemon.notices import TaskNotices
from overseer.daemon.reload import Reloader
from overseer.daemon.runs import RunHistory
from overseer.daemon.schedules import TaskSchedules
from overseer.daemon.upgrade import Asked, Upgrades
from overseer.errors import NotPermittedError, RequestError
from overseer.net.outbox import Outbox
from overseer.supervisor.clients import Client, DeferredFlush
from overseer.supervisor.hub import Hub
from overseer.supervisor.output.subscription import Wishes
from overseer.supervisor.task import Requester
from overseer.util.standstill import standstill
from overseer.util.threads import run_on_thread
from overseer.util.websocket_frame import CloseCode

_log = logging.getLogger(__name__)

_SEARCHES = 2  # of one client at a time


class Dispatcher:
    """Handles one client's messages, on the connection's own thread; searches on threads of their own.

    The client's rights are checked here; the hub hides from it what it may not see.

    Args:
        requests_per_second: 0: no limit.
        on_lag: the default for subscriptions; "": depends on whether there are logs.
        manifest: builds the manifest document for a principal.
    """

    def __init__(
        self,
        hub: Hub,
        outbox: Outbox,
        peer: Peer,
        *,
        limits: protocol.MessageLimits,
        requests_per_second: int,
        on_lag: str,
        manifest: Callable[[Principal], Mapping[str, Any]],
        audit: Audit,
        reloader: Reloader,
        history: RunHistory,
        logs: TaskLogs,
        notices: TaskNotices,
        schedules: TaskSchedules,
        upgrades: Upgrades,
    ) -> None:
        self._upgrades = upgrades
        self._hub = hub
        self._peer = peer
        self._principal = peer.principal
        self._limits = limits
        self._per_second = requests_per_second
        self._rate = RequestRate(requests_per_second)
        self._catches_up = logs.logs is not None
        default = on_lag or ("catch_up" if self._catches_up else "block")
        # A viewer may not hold up a task.
        self._viewer = self._principal.role == "viewer"
        if self._viewer and default == "block":
            default = "catch_up" if self._catches_up else "drop"
        self._manifest = manifest
        self._audit = audit
        self._reloader = reloader
        self._history = history
        self._logs = logs
        self._notices = notices
        self._searching = threading.BoundedSemaphore(_SEARCHES) if self._catches_up else None
        self._schedules = schedules
        self._unanswered: dict[str, str] = {}  # by id
        self.client = Client(outbox, default, self._principal)
        hub.connect(self.client)
        if peer.sign_in is not None:
            peer.sign_in.attach(outbox)

    def receive(self, data: str | bytes) -> None:
        """Handle one message; errors are answered, never raised."""
        request_id = ""
        try:
            in_time = self._rate.allows()  # malformed messages count as well
            request = protocol.parse_request(data, self._limits)
            request_id = request.id
            if not in_time:
                limit = f"{self._per_second} a second is the limit (limits.requests_per_second)"
                raise RequestError(f"too many requests: {limit}", code="too_many")
            if isinstance(request, protocol.Search | protocol.NotifyTest):
                self._unanswered[request_id] = data if isinstance(data, str) else data.decode()
            if isinstance(request, protocol.Search) and self._searching is not None:
                self._search(request, self._searching)
            else:
                self._serve(request)
        except Exception as error:
            self._refuse(request_id, error)

    def _search(self, request: protocol.Search, searching: threading.BoundedSemaphore) -> None:
        """Serve it on a thread of its own: it may take ten seconds, and a stop that comes meanwhile must not
        wait. More of them than are ever carried out at once are refused without a wait."""

        def serve() -> None:
            try:
                self._serve(request)
            except Exception as error:
                self._refuse(request.id, error)
            finally:
                searching.release()

        if searching.acquire(blocking=False):
            run_on_thread(serve, f"search-{request.id}")
        else:
            raise RequestError("other searches are running: try again", code="full")

    def _refuse(self, request_id: str, error: Exception) -> None:
        if not isinstance(error, RequestError):
            _log.error("a request failed", exc_info=error)
            self._reply(protocol.Error(id=request_id, message="internal error; see the server's log"))
        elif not error.answered:
            self._reply(
                protocol.Error(
                    id=error.id or request_id,
                    message=error.message,
                    existing_task_id=error.existing_task_id,
                    param=error.param,
                    code=error.code,
                )
            )

    def _tested(self, request: protocol.NotifyTest, why: str) -> None:
        """Answer, on whatever thread, what came of a test of a channel."""
        if why:
            self._reply(protocol.Error(request.id, f"not delivered to {request.channel}: {why}"))
        else:
            self._reply(protocol.NotifyTested(request.id, request.channel))

    def _upgraded(self, request: protocol.Upgrade, said: protocol.Upgraded | RequestError) -> None:
        """Answer, on whatever thread, what came of an upgrade, if this is still the same program."""
        if isinstance(said, RequestError):
            self._record(request, error=said.message)
            self._reply(protocol.Error(request.id, said.message, code=said.code))
        else:
            self._reply(replace(said, id=request.id))

    def closed(self) -> None:
        """Called when the connection is gone."""
        self._hub.disconnect(self.client)
        if self.client.outbox.close_code == CloseCode.TRY_AGAIN_LATER:
            _log.warning("closed a client that did not read its messages: %s", self._peer)
        if self._peer.sign_in is not None:
            self._peer.sign_in.detach(self.client.outbox)

    @property
    def busy(self) -> bool:
        """Whether a replay from a log is under way."""
        return self.client.replaying

    def unanswered(self) -> list[str]:
        """The requests that other threads are to answer, which can be carried out again; at a standstill."""
        return list(self._unanswered.values())

    def _reply(self, event: protocol.Event) -> None:
        with standstill, DeferredFlush() as out:
            out.send(self.client, event)
            self._unanswered.pop(getattr(event, "id", ""), None)

    def _serve(self, request: protocol.Request) -> None:
        """Handle a request if its sender is permitted to make it, and record it."""
        try:
            missing = self._principal.missing(request.type, getattr(request, "action", ""))
            if missing:
                raise NotPermittedError(missing)
            task_id = self._handle(request)
        except RequestError as error:
            self._record(request, allowed=not isinstance(error, NotPermittedError), error=error.message)
            raise
        except Exception as error:
            self._record(request, error=f"failed: {type(error).__name__}")
            raise
        self._record(request, task_id=task_id)

    def _record(
        self, request: protocol.Request, *, allowed: bool = True, error: str = "", task_id: str = ""
    ) -> None:
        self._audit.record(self._peer, request, allowed=allowed, error=error, task_id=task_id)

    def _wishes(self, request: protocol.Start | protocol.Subscribe) -> Wishes:
        """What the subscription that is requested is to be like; ``on_lag`` ``""``: the client's default.

        Raises:
            RequestError: there are no logs to catch up from.
        """
        on_lag = request.on_lag
        if on_lag == "catch_up" and not self._catches_up:
            raise RequestError(
                "on_lag catch_up needs logs, and this server's configuration has no data_dir",
                code="not_configured",
            )
        if on_lag == "block" and request.catch_up and self._catches_up:
            on_lag = "catch_up"
        elif on_lag == "block" and self._viewer:
            on_lag = ""
        return Wishes(on_lag, request.partial, request.raw, request.usage)

    def _handle(self, request: protocol.Request) -> str:
        """Carry out a request; returns the id of the task it started, if any."""
        hub, client, principal = self._hub, self.client, self._principal
        requester = Requester(client, request.id)
        match request:
            case protocol.Start():
                return hub.start(
                    request.action,
                    request.task_id,
                    request.params,
                    retry_policy=request.retry_policy,
                    force=request.force,
                    wishes=self._wishes(request),
                    requester=requester,
                )
            case protocol.Stop():
                hub.stop(request.task_id, requester)
            case protocol.Reset():
                hub.reset(request.task_id, requester)
            case protocol.Restart():
                hub.restart(request.task_id, requester)
            case protocol.Forget():
                hub.listing.forget(request.task_id, requester)
            case protocol.Signal():
                hub.interaction.signal(request.task_id, request.signal, requester)
            case protocol.Input():
                hub.interaction.give_input(request.task_id, request.content, request.eof, requester)
            case protocol.Resize():
                hub.interaction.resize(request.task_id, request.rows, request.cols, requester)
            case protocol.Pause() | protocol.Resume():
                self._reply(self._schedules.pause(request, principal))

            case protocol.Replay():
                hub.subscriptions.replay(
                    client, request.id, request.task_id, request.since, request.since_seq
                )
            case protocol.Subscribe():
                wishes = self._wishes(request)
                hub.subscriptions.subscribe(client, request.id, request.task_id, request.since_seq, wishes)
            case protocol.Unsubscribe():
                hub.subscriptions.unsubscribe(client, request.id, request.task_id)
            case protocol.Watch():
                hub.watchers.watch(client, request, "catch_up" if self._catches_up else "drop")
            case protocol.Unwatch():
                hub.watchers.unwatch(requester)

            case protocol.PoolInfoRequest():
                hub.pools.info(request.action, requester)
            case protocol.SetPool():
                hub.pools.change(
                    request.action, request.limit, request.queue_size, request.excess, requester
                )
            case protocol.Move():
                hub.pools.move(request, requester)
            case protocol.Purge():
                hub.pools.purge(request.action, requester)

            case protocol.NotifyTest():
                self._notices.test(request.channel, partial(self._tested, request))
            case protocol.Upgrade():
                asked = Asked(request.check, request.force, request.wait_ms)
                self._upgrades.request(client, request.id, partial(self._upgraded, request), asked)
            case protocol.Reload():
                self._reloader.reload(
                    lambda changes: self._reply(replace(changes, id=request.id)), dry_run=request.dry_run
                )

            case protocol.List():
                hub.listing.tell(client, request)
            case protocol.GraphRequest():
                hub.standing.tell(requester)
            case protocol.ClusterRequest():
                clusters = clusters_of(hub.definitions.handlers, principal)
                self._reply(protocol.ClusterReply(id=request.id, clusters=clusters))
            case protocol.SchedulesRequest():
                self._schedules.tell(request, client)
            case protocol.RunsRequest():
                self._reply(self._history.answer(request, principal))
            case protocol.RunStatsRequest():
                self._reply(self._history.sums(request, principal))
            case protocol.LogsRequest():
                self._reply(self._logs.page(request, hub, principal, self._history.shows))
            case protocol.Search():
                self._reply(self._logs.search(request, principal, lambda: client.outbox.closed))
            case protocol.Describe():
                action = request.action
                hub.tell_of_definitions(
                    requester,
                    lambda: protocol.Actions(request.id, tuple(hub.actions(action, principal))),
                )
            case protocol.UsageRequest():
                hub.usage.tell(request.task_id, requester)
            case protocol.MetricsRequest():
                hub.metrics_view.tell(requester, request.action, request.task_id)
            case protocol.ManifestRequest():
                hub.tell_of_definitions(
                    requester, lambda: protocol.ManifestReply(request.id, self._manifest(principal))
                )
        return ""
