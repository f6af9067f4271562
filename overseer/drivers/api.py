"""The interface for drivers: handlers, factories, and the registry that finds them.

A driver is a module that registers a factory when it is imported. The factory creates a handler for each
action of its type, and the handler starts a worker for each run of a task::

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
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Set
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from overseer.config import Config, ConfigErrors
from overseer.config.presentation import PRESENTED
from overseer.errors import ConfigError, ConfigWarning, OverseerError, UnknownKeyWarning
from overseer.protocol import ActionInfo, ClusterInfo, ParamChoice, ParamSpec, PoolConfig, RetryPolicy
from overseer.util.thread_warnings import collected
from overseer.workers.base import Worker, WorkerCallbacks

_log = logging.getLogger(__name__)

_ENTRY_POINTS = "overseer.drivers"
_BUILT_IN = {"exec": "overseer.drivers.exec", "dask": "overseer.drivers.dask"}


class ActionHandler(ABC):
    """Runs the tasks of one action. Its methods are called from many threads, never with a lock held."""

    @abstractmethod
    def describe(self) -> ActionInfo:
        """The action as clients see it.

        The driver supplies the parameters; a ``description`` or ``dedupe_key`` in the configuration wins.
        """

    @abstractmethod
    def validate(self, params: Mapping[str, str]) -> None:
        """Check a start's parameters, as the client gave them, before the task is admitted.

        Raises:
            ValidationError: they are not acceptable; its text goes to the client.
        """

    @abstractmethod
    def start(self, task_id: str, params: Mapping[str, str], callbacks: WorkerCallbacks) -> Worker:
        """Start one run of a task and return its worker, which reports through ``callbacks``.

        Called for the first run and for each restart. Callbacks on other threads are held back until it has
        returned, so that ``started`` comes first.

        Raises:
            OverseerError: it cannot be started; the text goes to the client.
        """

    def resume(self, task_id: str, callbacks: WorkerCallbacks) -> WorkerCallbacks | None:
        """Wrap the callbacks of a run that a server's earlier program has started, as ``start`` wrapped them.

        Called when the server is upgraded, for a process of :func:`start_worker` or a worker that is
        ``portable``; ``start`` is not called again. None: a run whose callbacks ``start`` has wrapped cannot
        go on in another program.
        """
        return None

    def take_up(self, task_id: str, data: Any, callbacks: WorkerCallbacks) -> Worker:
        """Make a ``portable`` worker again from what its ``hand_over`` has said in an earlier program.

        Nothing of it may go on before its ``resume``, which is not called when this is only tried.
        """
        raise NotImplementedError

    def remote_cluster(self) -> RemoteCluster | None:
        """The cluster that its tasks run on; None: they run on this machine."""
        return None


class RemoteCluster(Protocol):
    """Other machines that tasks run on."""

    @property
    def address(self) -> str: ...

    def look(self, actions: Collection[str], whole: bool) -> ClusterInfo:
        """What it is like now, as far as these actions go.

        Args:
            whole: whether to show as well what others do there.
        """

    def figures(self, actions: Collection[str]) -> tuple[bool, int, Mapping[str, int]]:
        """Whether it is connected, how many tasks of these actions wait, and how many run, by host. Does not
        block."""


class TaskSubmitter(Protocol):
    """How a service driver starts tasks."""

    def submit(self, action: str, task_id: str = "", params: Mapping[str, str] | None = None) -> str:
        """Start or queue a task, as a client would; an empty ``task_id`` generates one.

        Returns:
            The task's id.

        Raises:
            SubmitError: it was refused.
        """


class ServiceHandler(ActionHandler):
    """A handler with a background service of its own, such as a directory scanner.

    Attributes:
        restartable: an upgrade of the server may end its service, and begin it again in the new program,
            without being asked to: nothing is lost by that.
    """

    restartable = False

    @abstractmethod
    def run_service(self, stop: threading.Event, submitter: TaskSubmitter) -> None:
        """Run the service. Called once, on a thread of its own, when the handler comes into use.

        Must return soon after ``stop`` is set: at shutdown, or when the action is changed or removed.
        """


@runtime_checkable
class ActionHandlerFactory(Protocol):
    """Creates the handlers of one driver type."""

    @property
    def type(self) -> str:
        """The value of ``type`` in the configuration; unique among all drivers."""

    def create(
        self,
        config: Mapping[str, Any],
        action_name: str,
        retry: RetryPolicy,
        pool: PoolConfig,
        dedupe_key: tuple[str, ...],
    ) -> ActionHandler:
        """Create the handler of one action.

        A ``create`` with a parameter ``templates`` is also passed that key of the file, the dialect of its
        ``[[ ]]``; one with ``secrets``, the names of the server's secrets.

        Args:
            config: the action's ``config`` mapping as written in the file; empty if it has none.
            retry: the action's policy merged over the top-level one.
            pool: the action's pool.
            dedupe_key: names of the parameters by which two tasks are considered the same.

        Raises:
            ConfigError: ``config`` cannot be used; its ``path`` is relative to ``config``. ConfigErrors
                reports several problems at once.
        """


_registry: dict[str, ActionHandlerFactory] = {}
_drivers_loaded = False


def register_factory(factory: ActionHandlerFactory) -> None:
    """Register a driver type; called by a driver's module when it is imported.

    Raises:
        ValueError: it is not a factory, its type is empty, or another factory has the same type.
    """
    name = getattr(factory, "type", None)
    if not isinstance(name, str) or not name or not callable(getattr(factory, "create", None)):
        raise ValueError(f"a factory needs a type (a text) and a method create: {factory!r}")
    if isinstance(factory, type) and inspect.isfunction(factory.create):
        raise ValueError(f"register an instance of {factory!r}, not the class")
    other = _registry.get(name)
    if other is not None and other is not factory:
        raise ValueError(f"driver type {name!r} is already registered by {other!r}; {factory!r} tried again")
    _registry[name] = factory


def list_handlers() -> tuple[str, ...]:
    """The driver types that actions can have, sorted: built-in, installed or registered."""
    load_drivers()
    return tuple(sorted(_registry))


def load_drivers(wanted: Set[str] | None = None) -> None:
    """Import the built-in drivers that are wanted, and all those of the entry point group
    ``overseer.drivers``.

    An entry point names a module, which registers itself, or a factory. One that fails is skipped with a
    warning; an action that needs it is reported later.

    Args:
        wanted: the types needed; if all are registered, installed drivers are not searched for.
    """
    global _drivers_loaded
    for name, module in _BUILT_IN.items():
        if wanted is None or name in wanted:
            importlib.import_module(module)
    if _drivers_loaded or (wanted is not None and _registry.keys() >= wanted):
        return
    _drivers_loaded = True
    from importlib.metadata import entry_points  # takes more than a megabyte

    for entry in entry_points(group=_ENTRY_POINTS):
        try:
            loaded = entry.load()
            if not inspect.ismodule(loaded):
                register_factory(loaded)
        except (Exception, SystemExit) as error:
            what = driver_failure(error)
            _log.warning("driver %s (%s) cannot be loaded: %s", entry.name, entry.value, what)


def build_action_handlers(
    config: Config,
    unknown: Callable[[ConfigError], None] | None = None,
    warned: Callable[[ConfigError], None] | None = None,
) -> Mapping[str, ActionHandler]:
    """The handlers of all actions in the configuration, by name, read-only.

    Args:
        unknown: called with each key that its driver does not know; without it they are as other warnings.
        warned: called with each other warning of a driver; without it they are logged.

    Raises:
        ConfigErrors: all actions of unknown types or with unusable settings, with their locations.
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
        with collected(ConfigWarning) as said:
            try:
                handlers[name] = create_handler(factory, config, name)
            except ConfigError as error:
                placed = config.placed(error, "actions", name, "config")
                errors += placed.errors if isinstance(placed, ConfigErrors) else [placed]
        for warning in said:
            about = ConfigError(warning.message, path=warning.path)
            placed = config.placed(about, "actions", name, "config")
            if str(placed) in map(str, errors):
                continue  # an unknown key, of which its errors speak as well
            if unknown is not None and isinstance(warning, UnknownKeyWarning):
                unknown(placed)
            elif warned is not None:
                warned(placed)
            else:
                _log.warning("%s", placed)
    if errors:
        raise ConfigErrors(errors)
    return MappingProxyType(handlers)


def create_handler(factory: ActionHandlerFactory, config: Config, name: str) -> ActionHandler:
    """Have the factory create the handler of an action in the configuration.

    Raises:
        ConfigError: whatever the driver raises; its path is relative to the action's ``config``.
    """
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
        raise ConfigError(f"the driver {action.type!r} made {handler!r}, which is not an ActionHandler")
    return handler


def _takes(factory: ActionHandlerFactory, parameter: str) -> bool:
    try:
        return parameter in inspect.signature(factory.create).parameters
    except (TypeError, ValueError):
        return False


def said_of_action(name: str, handler: ActionHandler) -> ActionInfo:
    """A driver's description of an action, checked; an empty one if it fails, which is logged."""
    try:
        return _checked(handler.describe())
    except (Exception, SystemExit):
        _log.exception("action %s: the driver failed to describe it", name)
        return ActionInfo(name, "")


def describe_action(config: Config, name: str, handler: ActionHandler) -> ActionInfo:
    """An action as clients see it: its driver's description, overridden by the configuration.

    If the driver fails, the configuration alone is used.
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
        then=None if action.then is None else action.then.described,
        ready="" if action.ready is None else action.ready.described,
        health="" if action.health is None else action.health.described,
        **{key: getattr(action, key) for key in PRESENTED},
    )


def _checked(info: object) -> ActionInfo:
    if not isinstance(info, ActionInfo):
        raise TypeError(f"describe() returned {info!r}, which is not an ActionInfo")
    for name, spec in info.params.items():
        if not isinstance(spec, ParamSpec | None):
            raise TypeError(f"describe() says {spec!r} for {name!r}, which is neither a ParamSpec nor None")
        if spec is not None and not all(isinstance(each, ParamChoice) for each in spec.choices):
            raise TypeError(f"describe() says {spec.choices!r} for {name!r}, which are not all ParamChoice")
    return info


def driver_failure(error: BaseException) -> str:
    """A driver's failure in one line: a deliberate error's text; for others also the type and location."""
    try:
        said = str(error)
    except BaseException:  # a driver's own exception may raise even here
        said = "an error whose text cannot be read"
    if isinstance(error, OverseerError):
        return said
    text = ": ".join(filter(None, [type(error).__name__, " ".join(said.split())]))
    frames = traceback.extract_tb(error.__traceback__)
    return f"{text} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else text
