"""The definitions of actions: the configuration and its handlers, replaced as a whole by a reload."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from overseer.auth.rights import Principal
from overseer.config import ActionConfig, Config, StandingTask
from overseer.config.parameters import check_declared, hidden_of
from overseer.config.probes import check_start, values_of_start
from overseer.drivers.api import ActionHandler, driver_failure, said_of_action
from overseer.errors import NotPermittedError, OverseerError, RequestError
from overseer.protocol import PoolConfig, RetryPolicy
from overseer.supervisor.retry import effective_policy
from overseer.util.masking import log_failure, masked
from overseer.util.suggest import did_you_mean, ignored

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Definition:
    """One action. A task keeps the one it was accepted with, through queueing and restarts, until a reset.

    ``origin``: the configuration that it is from.
    """

    config: ActionConfig
    handler: ActionHandler
    origin: Config


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms a task runs by; replaced only by a reset or restart.

    Attributes:
        dedupe: tasks with equal ones are duplicates; None: never a duplicate.
        policy: the retry policy; None: it is never restarted.
        hidden: the parameters whose values are shown to nobody.
        standing: what the configuration says of it by name; None: nothing.
        params: its parameters.
    """

    definition: Definition
    dedupe: tuple[str, ...] | None
    policy: RetryPolicy | None
    hidden: frozenset[str] = frozenset()
    standing: StandingTask | None = None
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Definitions:
    """A configuration and the handler of each of its actions; immutable."""

    config: Config
    handlers: Mapping[str, ActionHandler]

    @property
    def pools(self) -> Mapping[str, PoolConfig | None]:
        """Each action's pool as configured; None: it has none of its own."""
        return {name: self.config.actions[name].task_pool for name in self.handlers}

    def of(self, action: str, principal: Principal) -> Definition:
        """The definition of an action.

        Raises:
            RequestError: no such action, or none that ``principal`` may see.
        """
        try:
            self.refuse_unknown(action, principal)
        except RequestError as error:
            hint = did_you_mean(action, filter(principal.sees, self.handlers))
            raise type(error)(f"{error.message}{hint}", code=error.code) from None
        return Definition(self.config.actions[action], self.handlers[action], self.config)

    def refuse_unknown(self, action: str, principal: Principal) -> None:
        """Raise what :meth:`of` does, without the hint, which is slow: for use under a lock."""
        if not action:
            raise RequestError("start: action is required (a string)", code="invalid")
        if action not in self.handlers:
            raise RequestError(f"unknown action: {action}", code="not_found")
        if not principal.sees(action):
            raise NotPermittedError(f"unknown action: {action}", code="not_found")

    def resolve(
        self, task_id: str, action: str, params: Mapping[str, str], principal: Principal
    ) -> tuple[str, dict[str, str], StandingTask | None]:
        """What a start is of: an action, parameters, and the standing task whose id it gives, if it does.

        Raises:
            RequestError: it gives a standing task's id and anything else than what the configuration says, or
                only an id, which is that of no standing task.
        """
        standing = self.config.tasks.get(task_id)
        hidden = standing is not None and not principal.sees(standing.action)
        if task_id and not action and (standing is None or hidden):
            kind = NotPermittedError if hidden else RequestError
            raise kind(f"no such task in the configuration: {task_id}", code="not_found")
        if standing is None:
            return action, dict(params), None
        if hidden:  # ids are shared by all
            raise NotPermittedError("this task_id cannot be used: take another one", code="conflict")
        if action not in ("", standing.action):
            raise RequestError(f"{task_id} is a standing task, and runs {standing.action}", code="conflict")
        if params and dict(params) != standing.params:
            raise RequestError(
                f"{task_id} is a standing task: its parameters are in the configuration", code="conflict"
            )
        return standing.action, dict(standing.params), standing

    def terms(
        self,
        action: str,
        params: Mapping[str, str],
        principal: Principal,
        asked_policy: RetryPolicy | None = None,
        standing: StandingTask | None = None,
    ) -> tuple[Terms, tuple[str, ...]]:
        """The terms of a start, and a warning for each parameter that its action does not have.

        Args:
            asked_policy: the retry policy that it gives, if it gives one.
            standing: what the configuration says of it by name, if anything.

        Raises:
            RequestError: its parameters are refused, or as :meth:`of`.
        """
        definition = self.of(action, principal)
        info = said_of_action(action, definition.handler)
        hidden = hidden_of(info.params, params)
        secrets = [params[name] for name in hidden]
        if definition.config.strict_params:
            for name in params:
                if name not in info.params:
                    known = ", ".join(info.params) or "none"
                    raise RequestError(
                        f"unknown parameter {name!r}; {action} has: {known}", param=name, code="invalid"
                    )
        try:
            check_declared(info.params, params)
            definition.handler.validate(dict(params))
            if definition.config.probed:
                as_templates_see = values_of_start(info.params, params)
                check_start(definition.config.ready, definition.config.health, as_templates_see)
        except BaseException as error:  # even SystemExit, which would end the client's thread
            message = driver_failure(error)
            if not isinstance(error, OverseerError):
                log_failure(_log, secrets, "action %s: the driver failed to validate parameters", action)
                message = f"the driver failed: {message}"
            param = getattr(error, "param", "")
            param = param if isinstance(param, str) else ""
            raise RequestError(masked(message, secrets), param=param, code="invalid") from None
        warnings = tuple(ignored(action, params, info.params)) if params else ()
        dedupe: tuple[str, ...] | None = None
        if dedupe_key := definition.config.dedupe_key or tuple(info.dedupe_key):
            defaults = {name: spec.default for name, spec in info.params.items() if spec is not None}
            dedupe = (action, *(params.get(name) or defaults.get(name) or "" for name in dedupe_key))
        config = self.config
        own = config.retry_for(action) if standing is None else config.standing_retry(standing)
        policy = effective_policy(asked_policy, own)
        return Terms(definition, dedupe, policy, hidden, standing, params), warnings

    def hidden(self, action: str, params: Mapping[str, str]) -> frozenset[str]:
        """The parameters whose values are shown to nobody; for an unknown action, all."""
        if action not in self.handlers:
            return frozenset(params)
        return hidden_of(said_of_action(action, self.handlers[action]).params, params)


class Current:
    """Holds the definitions in force. ``value`` is replaced under the hub's lock and may be read without it;
    code that depends on it staying the same rechecks under the lock."""

    def __init__(self, value: Definitions) -> None:
        self.value = value
