"""What a driver's author works with: handlers, factories, and the registry that finds them.

A driver is a module that registers a factory when it is imported. For each action of its type in the
configuration the factory makes a handler, and the handler starts one worker for each task::

    class SleepHandler(overseer.ActionHandler):
        def describe(self): return overseer.ActionInfo(self.name, "sleep")
        def validate(self, params): ...
        def start(self, task_id, params, callbacks):
            return overseer.start_worker(overseer.WorkerConfig(task_id, "sleep", ["5"]), callbacks)
"""

from __future__ import annotations

import importlib
import inspect
import logging
import threading
import traceback
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from overseer.config import Config, ConfigErrors
from overseer.errors import ConfigError, ConfigWarning, OverseerError, UnknownKeyWarning
from overseer.protocol import ActionInfo, ParamChoice, ParamSpec, PoolConfig, RetryPolicy
from overseer.workers.base import Worker, WorkerCallbacks

__all__ = [
    "ActionHandler",
    "ActionHandlerFactory",
    "ServiceHandler",
    "TaskSubmitter",
    "build_action_handlers",
    "describe_action",
    "driver_failure",
    "list_handlers",
    "load_drivers",
    "register_factory",
    "said_of_action",
]

_log = logging.getLogger(__name__)

_ENTRY_POINTS = "overseer.drivers"


class ActionHandler(ABC):
    """Runs the tasks of one action. Its methods are called from many threads, never with a lock held."""

    @abstractmethod
    def describe(self) -> ActionInfo:
        """The action as clients see it.

        The driver supplies the parameters. The rest comes from the configuration, whose ``description`` and
        ``dedupe_key`` win if it has them.
        """

    @abstractmethod
    def validate(self, params: Mapping[str, str]) -> None:
        """Check a start's parameters, as the client gave them, before it is admitted.

        Raises:
            ValidationError: they cannot be accepted; its text goes to the client.
        """

    @abstractmethod
    def start(self, task_id: str, params: Mapping[str, str], callbacks: WorkerCallbacks) -> Worker:
        """Start one run of a task and return its worker, whose life is reported through ``callbacks``.

        Called for the first run and again for each restart. Callbacks on other threads wait until it has
        returned, since ``started`` comes first.

        Raises:
            OverseerError: it cannot be started; the text goes to the client.
        """


class TaskSubmitter(Protocol):
    """How a service driver starts tasks."""

    def submit(self, action: str, task_id: str = "", params: Mapping[str, str] | None = None) -> str:
        """Start a task, or queue it, as a client would; an empty ``task_id`` has one generated.

        Returns:
            The task's id.

        Raises:
            SubmitError: it was refused, and why.
        """


class ServiceHandler(ActionHandler):
    """A handler with a background service of its own, such as a directory scanner."""

    @abstractmethod
    def run_service(self, stop: threading.Event, submitter: TaskSubmitter) -> None:
        """Called once, when the handler comes into use, on a thread of its own.

        Returns soon after ``stop`` is set: at the server's end, or when the action was changed or removed.
        """


@runtime_checkable
class ActionHandlerFactory(Protocol):
    """Makes the handlers of one driver type."""

    @property
    def type(self) -> str:
        """What the configuration says in ``type``; unique among all drivers."""

    def create(
        self,
        config: Mapping[str, Any],
        action_name: str,
        retry: RetryPolicy,
        pool: PoolConfig,
        dedupe_key: tuple[str, ...],
    ) -> ActionHandler:
        """Make the handler of one action.

        A ``create`` that has a parameter ``templates`` is given that key of the file as well: the dialect of
        its ``[[ ]]``. One that has ``secrets`` is given the names of the server's secrets.

        Args:
            config: the action's ``config`` mapping as the file has it; empty when it has none.
            retry: the action's policy merged over the top-level one.
            pool: the action's pool.
            dedupe_key: names of the parameters that make two tasks the same.

        Raises:
            ConfigError: ``config`` cannot be used; its ``path`` is relative to ``config``. ConfigErrors
                reports several problems at once.
        """


_registry: dict[str, ActionHandlerFactory] = {}
_drivers_loaded = False


def register_factory(factory: ActionHandlerFactory) -> None:
    """Make a driver type known; called by a driver's module when it is imported.

    Raises:
        ValueError: it is not a factory, its type is empty, or another factory has registered that type.
    """
    name = getattr(factory, "type", None)
    if not isinstance(name, str) or not name or not callable(getattr(factory, "create", None)):
        raise ValueError(f"a factory needs a type, a text, and a method create: {factory!r}")
    if isinstance(factory, type) and inspect.isfunction(factory.create):
        raise ValueError(f"register an instance of {factory!r}, not the class")
    other = _registry.get(name)
    if other is not None and other is not factory:
        raise ValueError(f"driver type {name!r} is registered already: by {other!r}, and now by {factory!r}")
    _registry[name] = factory


def list_handlers() -> tuple[str, ...]:
    """The driver types that actions can have, sorted: built-in, installed or registered."""
    load_drivers()
    return tuple(sorted(_registry))


def load_drivers(wanted: Set[str] | None = None) -> None:
    """Import the built-in driver and every driver installed under the entry point group ``overseer.drivers``.

    An entry point names a module, which registers itself, or a factory. One that fails is
    skipped with a warning, and an action that needs it is reported later.

    Args:
        wanted: the types that are needed; if all are known, installed drivers are not looked for.
    """
    global _drivers_loaded
    importlib.import_module("overseer.drivers.exec")
    if _drivers_loaded or (wanted is not None and _registry.keys() >= wanted):
        return
    _drivers_loaded = True
    from importlib.metadata import entry_points  # which takes more than a megabyte

    for entry in entry_points(group=_ENTRY_POINTS):
        try:
            loaded = entry.load()
            if not inspect.ismodule(loaded):
                register_factory(loaded)
        except (Exception, SystemExit) as error:
            what = driver_failure(error)
            _log.warning("driver %s (%s) cannot be loaded: %s", entry.name, entry.value, what)


def build_action_handlers(
    config: Config, unknown: Callable[[ConfigError], None] | None = None
) -> Mapping[str, ActionHandler]:
    """The handler of every action in the configuration, by name, read-only.

    Args:
        unknown: called with each key that its driver does not know; without it they are logged.

    Raises:
        ConfigErrors: actions of unknown types or with unusable settings, all of them, with their places.
    """
    load_drivers({action.type for action in config.actions.values()})
    handlers: dict[str, ActionHandler] = {}
    errors: list[ConfigError] = []
    for name, action in config.actions.items():
        factory = _registry.get(action.type)
        if factory is None:
            problem = ConfigError(f"unknown type {action.type!r}; known types: {', '.join(list_handlers())}")
            errors.append(config.placed(problem, "actions", name, "type"))
            continue
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConfigWarning)
            try:
                handlers[name] = _create(factory, config, name)
            except ConfigError as error:
                placed = config.placed(error, "actions", name, "config")
                errors += placed.errors if isinstance(placed, ConfigErrors) else [placed]
        for warning in caught:
            if isinstance(warning.message, ConfigWarning):
                about = ConfigError(warning.message.message, path=warning.message.path)
                placed = config.placed(about, "actions", name, "config")
                if unknown is not None and isinstance(warning.message, UnknownKeyWarning):
                    unknown(placed)
                else:
                    _log.warning("%s", placed)
            else:
                warnings.showwarning(warning.message, warning.category, warning.filename, warning.lineno)
    if errors:
        raise ConfigErrors(errors)
    return MappingProxyType(handlers)


def _create(factory: ActionHandlerFactory, config: Config, name: str) -> ActionHandler:
    """Have the factory make the handler of an action; whatever it raises becomes a ConfigError."""
    action = config.actions[name]
    try:
        offered = {"templates": config.templates, "secrets": tuple(config.secrets)}
        more = {each: value for each, value in offered.items() if _takes(factory, each)}
        handler: object = factory.create(
            action.config, name, config.retry_for(name), config.pool_for(name), action.dedupe_key, **more
        )
    except ConfigError:
        raise
    except OverseerError as error:
        raise ConfigError(driver_failure(error)) from error
    except (Exception, SystemExit) as error:
        raise ConfigError(f"the driver {action.type!r} failed: {driver_failure(error)}") from error
    if not isinstance(handler, ActionHandler):
        raise ConfigError(f"the driver {action.type!r} made {handler!r}, which is no ActionHandler")
    return handler


def _takes(factory: ActionHandlerFactory, parameter: str) -> bool:
    try:
        return parameter in inspect.signature(factory.create).parameters
    except (TypeError, ValueError):
        return False


def said_of_action(name: str, handler: ActionHandler) -> ActionInfo:
    """What its driver says of an action, checked; nothing if it fails, which is logged."""
    try:
        return _checked(handler.describe())
    except (Exception, SystemExit):
        _log.exception("action %s: the driver failed to describe it", name)
        return ActionInfo(name, "")


def describe_action(config: Config, name: str, handler: ActionHandler) -> ActionInfo:
    """An action as clients see it: what its driver says, overruled by the configuration.

    If the driver fails, the configuration alone has to do.
    """
    action = config.actions[name]
    info = said_of_action(name, handler)
    retry = config.retry_for(name)
    return replace(
        info,
        name=name,
        type=action.type,
        description=action.description or info.description,
        task_pool=config.pool_for(name),
        retry=None if retry.empty else retry,
        dedupe_key=action.dedupe_key or tuple(info.dedupe_key),
        timeout_ms=max(1, round(action.timeout * 1000)) if action.timeout else 0,
        success_codes=action.success_codes,
        on_boot="" if action.on_boot == "none" else action.on_boot,
        ready="" if action.ready is None else action.ready.described,
        health="" if action.health is None else action.health.described,
    )


def _checked(info: object) -> ActionInfo:
    if not isinstance(info, ActionInfo):
        raise TypeError(f"describe() returned {info!r}, which is no ActionInfo")
    for name, spec in info.params.items():
        if not isinstance(spec, ParamSpec | None):
            raise TypeError(f"describe() says {spec!r} of the parameter {name!r}: neither ParamSpec nor None")
        if spec is not None and not all(isinstance(each, ParamChoice) for each in spec.choices):
            raise TypeError(f"describe() says {spec.choices!r} of {name!r}, which are not all ParamChoice")
    return info


def driver_failure(error: BaseException) -> str:
    """What went wrong in a driver, in one line: the text of an error raised on purpose, else also its kind
    and place."""
    try:
        said = str(error)
    except BaseException:  # a driver's own error may fail even at this
        said = "an error that cannot say what it is"
    if isinstance(error, OverseerError):
        return said
    text = ": ".join(filter(None, [type(error).__name__, " ".join(said.split())]))
    frames = traceback.extract_tb(error.__traceback__)
    return f"{text} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else text
