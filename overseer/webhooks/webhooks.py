"""Answers the requests of other services, and starts what they ask for."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

from overseer.api.media import JSON
from overseer.api.problems import RefusedError, of_error, of_response, refused
from overseer.auth.peer import Peer
from overseer.auth.throttle import Failures
from overseer.cel import eval_cel_bool
from overseer.config import Config
from overseer.config.notices import key_of
from overseer.config.webhooks import WebhookConfig, compile_when
from overseer.errors import CelError, SpawnError, SubmitError, TemplateError
from overseer.history.records import Trigger
from overseer.net.encoding import json_body
from overseer.net.http import HOOKS, BadRequest, Request, Response
from overseer.supervisor.hub import Hub
from overseer.util.awake_clock import awake
from overseer.util.locks import Rank, lock
from overseer.util.standstill import standstill
from overseer.webhooks.deliveries import Deliveries
from overseer.webhooks.places import Places
from overseer.webhooks.signatures import SHOWN, Unproven, check, check_head

_log = logging.getLogger(__name__)

_AT_ONCE = 32  # bodies in memory, whose senders may be anybody
_PATIENCE_S = 5.0  # for which a delivery waits for one of these places
_SECRET_S = 10.0  # for which a secret is kept: a stranger's request must not run the program that prints it
# Proofs and other secrets, which conditions and templates do not see.
_PRIVATE = frozenset(
    (
        "authorization",
        "cookie",
        "x-gitlab-token",
        "x-hub-signature",
        "x-hub-signature-256",
        "webhook-signature",
    )
)
_compiled = lru_cache(maxsize=256)(compile_when)

Record = Callable[[Peer, str, str, Mapping[str, str], bool, str, str], None]


@dataclass(frozen=True, slots=True)
class _Delivery:
    """The contents of a proven request."""

    name: str
    hook: WebhookConfig
    peer: Peer
    id: str
    values: Mapping[str, Any]


class Webhooks:
    """Answers on the threads of connections.

    Args:
        config: the configuration in force.
        secret: reads one of its secrets; raises SpawnError.
        refused: reports a refusal; strangers may cause any number of them.
        record: called with each delivery: its sender, the webhook, the action and its parameters, whether it
            was proven, the id of the task, and why it started none.
    """

    def __init__(
        self,
        hub: Hub,
        config: Callable[[], Config],
        secret: Callable[[str], str],
        refused: Callable[[Peer, str], None],
        record: Record,
    ) -> None:
        self._hub = hub
        self._config = config
        self._secret = secret
        self._refused = refused
        self._record = record
        self._bodies = Places(_AT_ONCE, _PATIENCE_S)
        self._failures = Failures()
        self._deliveries = Deliveries()
        self._lock = lock(Rank.LEAF, "webhooks")  # guards the rest
        self._secrets: dict[str, tuple[float, str]] = {}
        self.started = 0
        self.refusals = 0

    def export(self) -> dict[str, Any]:
        """What another program has to know to go on, see :meth:`restore`; at a standstill."""
        return {"deliveries": self._deliveries.export(), "failures": self._failures.export()}

    def restore(self, data: Mapping[str, Any]) -> None:
        self._deliveries.restore(data["deliveries"])
        self._failures.restore(data["failures"])

    def answer(self, request: Request, *, stranger: bool) -> Response:
        """Answer a request below :data:`HOOKS`.

        Args:
            stranger: its sender's address is not trusted.

        Raises:
            OSError: the connection broke.
        """
        try:
            response = self._start(self._proven(request, stranger))
        except BadRequest as error:
            response = of_response(error.response)
        except RefusedError as error:
            response = error.response
        with self._lock:
            self.started += response.status == 202
            self.refusals += response.status >= 400
        return response

    def _proven(self, request: Request, stranger: bool) -> _Delivery:
        """Establish who sent a request before looking at what it says."""
        name = request.path.removeprefix(HOOKS)
        hook = self._config().webhooks.get(name)
        if hook is None or (stranger and hook.secret is None):
            raise refused(404, "there is no such webhook", code="not_found")
        if request.method != "POST":
            raise refused(405, "the method must be POST", ("Allow", "POST"), code="invalid")
        peer, headers = request.peer, request.headers
        if hook.secret is None and "origin" in headers:
            self._refused(peer, f"a web page wanted to use the webhook {name}, which has no secret")
            raise refused(403, "web pages may not call webhooks", code="not_permitted")
        wait = self._failures.wait(peer)
        if wait and hook.scheme in SHOWN:
            self._too_many(wait)
        assert request.body is not None
        try:
            if hook.secret is not None:
                check_head(hook.scheme, headers)
            with self._bodies.one(peer.source) as has_place:
                if not has_place:
                    raise refused(503, "too many requests at once", ("Retry-After", "1"), code="full")
                limits = self._config().limits
                body = request.body.read(limits.max_message, awake.after(limits.handshake_timeout))
                id = "" if hook.secret is None else check(hook.scheme, self._key(name, hook), headers, body)
                document = _document(body)
        except Unproven as error:
            if error.guess:
                self._failures.add(peer)
                if wait:  # neither the log nor the audit is for strangers to fill
                    self._too_many(wait)
            self._refused(peer, f"webhook {name}: {error.reason}")
            self._record(peer, name, hook.action, {}, False, "", f"webhook {name}: {error.reason}")
            raise refused(401, error.reason, code="not_permitted") from None
        except _NotJson as error:
            self._record(peer, name, hook.action, {}, True, "", str(error))
            raise refused(400, str(error), code="invalid") from None
        shown = {key: text for key, text in headers.items() if key not in _PRIVATE}
        named = {key.replace("-", "_"): text for key, text in shown.items()}
        return _Delivery(name, hook, peer, id, {"body": document, "headers": {**named, **shown}})

    def _start(self, delivery: _Delivery) -> Response:
        name, hook = delivery.name, delivery.hook
        nothing = _unmet(hook.when, delivery.values)
        params: dict[str, str] = {}
        try:
            with standstill:  # whoever knows that it was taken knows what it has started
                if not nothing and not self._deliveries.take(name, delivery.id):
                    nothing = "this delivery has been taken before"
                if nothing:
                    self._record(delivery.peer, name, hook.action, {}, True, "", f"nothing to do: {nothing}")
                    return Response(200, json_body({"message": f"nothing to do: {nothing}"}), JSON)
                for param, template in hook.params.items():
                    params[param] = template.render(delivery.values)
                task_id = self._hub.submit(hook.action, "", params, Trigger("webhook", f"webhook:{name}"))
        except (SubmitError, TemplateError) as error:
            self._deliveries.give_back(name, delivery.id)
            self._record(delivery.peer, name, hook.action, params, True, "", str(error))
            _log.warning("webhook %s: %s is not started: %s", name, hook.action, error)
            refusal = SubmitError(str(error), code="invalid") if isinstance(error, TemplateError) else error
            names = ("code", "param", "existing_task_id")
            more = {name: getattr(refusal, name) for name in names}
            raise of_error({"message": str(error), **more}) from None
        except BaseException:
            self._deliveries.give_back(name, delivery.id)  # the sender tries again
            raise
        self._record(delivery.peer, name, hook.action, params, True, task_id, "")
        return Response(202, json_body({"task_id": task_id}), JSON)

    def _too_many(self, wait: int) -> NoReturn:
        raise refused(429, "too many wrong signatures from here", ("Retry-After", str(wait)), code="too_many")

    def _key(self, name: str, hook: WebhookConfig) -> str:
        """The webhook's secret."""
        assert hook.secret is not None
        source = hook.secret.secret
        if not source:
            return hook.secret.text
        with self._lock:
            until, value = self._secrets.get(source, (0.0, ""))
        if awake() >= until:
            try:
                value = self._secret(source)
                if hook.scheme == "standard":
                    key_of(value)
            except (SpawnError, ValueError) as error:
                _log.error("webhook %s: %s", name, error)
                raise refused(503, "the server cannot read its secret", code="unavailable") from None
            with self._lock:
                self._secrets[source] = (awake() + _SECRET_S, value)
        return value


class _NotJson(Exception):
    pass


def _document(body: bytes) -> Any:
    """A body as JSON; an empty one is an empty object."""
    try:
        return json.loads(body, parse_constant=_refuse) if body.strip() else {}
    except RecursionError:
        raise _NotJson("the body is nested too deeply") from None
    except ValueError as error:
        raise _NotJson(f"the body is not JSON: {error}") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _unmet(when: str, values: Mapping[str, Any]) -> str:
    """Why a condition is not met; "": it is."""
    if not when:
        return ""
    try:
        return "" if eval_cel_bool(_compiled(when), values) else "its condition (when) is not met"
    except CelError as error:
        return f"its condition (when) cannot be decided: {error}"
