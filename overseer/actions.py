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
import logging
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from overseer.config import Config, ConfigErrors
from overseer.errors import ConfigError, ConfigWarning
from overseer.messages import ActionInfo, PoolConfig, RetryPolicy
from overseer.worker import Worker, WorkerCallbacks

__all__ = [
    "ActionHandler",
    "ActionHandlerFactory",
    "ServiceHandler",
    "TaskSubmitter",
    "build_action_handlers",
    "list_handlers",
    "load_drivers",
    "register_factory",
]

_log = logging.getLogger(__name__)

_ENTRY_POINTS = "overseer.drivers"


class ActionHandler(ABC):
    """Runs the tasks of one action. Its methods are called from many threads, never with a lock held."""

    @abstractmethod
    def describe(self) -> ActionInfo:
        """What clients are told of the action."""

    @abstractmethod
    def validate(self, params: Mapping[str, str]) -> None:
        """Check a start's parameters before it is admitted.

        Raises:
            ValidationError: they cannot be accepted; its text goes to the client.
        """

    @abstractmethod
    def start(self, task_id: str, params: Mapping[str, str], callbacks: WorkerCallbacks) -> Worker:
        """Start one run of a task and return its worker, whose life is reported through ``callbacks``.

        Called for the first run and again for each restart.

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
        """Called once, at start-up, on a thread of its own; returns soon after ``stop`` is set."""


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

        Args:
            config: the action's ``config`` mapping as the file has it.
            retry: the action's policy merged over the top-level one.
            pool: the action's pool.
            dedupe_key: names of the parameters that make two tasks the same.

        Raises:
            ConfigError: ``config`` cannot be used; its ``path`` is relative to ``config``.
        """


_registry: dict[str, ActionHandlerFactory] = {}
_drivers_loaded = False


def register_factory(factory: ActionHandlerFactory) -> None:
    """Make a driver type known; called by a driver's module when it is imported.

    Raises:
        ValueError: the type is empty, or another factory has it.
    """
    name = factory.type
    if not name:
        raise ValueError(f"a factory needs a type: {factory!r}")
    other = _registry.get(name)
    if other is not None and other is not factory:
        raise ValueError(f"driver type {name!r} is registered already: by {other!r}, and now by {factory!r}")
    _registry[name] = factory


def list_handlers() -> tuple[str, ...]:
    """The registered driver types, sorted."""
    return tuple(sorted(_registry))


def load_drivers() -> None:
    """Import the built-in driver and every driver installed under the entry point group ``overseer.drivers``.

    An entry point names a module, which registers itself, or a factory. One that fails is warned of and left
    out: an action that wants it will say so.
    """
    global _drivers_loaded
    if _drivers_loaded:
        return
    _drivers_loaded = True
    importlib.import_module("overseer.drivers.exec")
    for entry in entry_points(group=_ENTRY_POINTS):
        try:
            loaded = entry.load()
            if isinstance(loaded, ActionHandlerFactory):
                register_factory(loaded)
        except Exception as error:
            _log.warning("driver %s (%s) cannot be loaded: %s", entry.name, entry.value, error)


def build_action_handlers(config: Config) -> Mapping[str, ActionHandler]:
    """The handler of every action in the configuration, by name, read-only.

    Raises:
        ConfigErrors: actions of unknown types or with unusable settings, all of them, with their places.
    """
    load_drivers()
    handlers: dict[str, ActionHandler] = {}
    errors: list[ConfigError] = []
    for name, action in config.actions.items():
        factory = _registry.get(action.type)
        if factory is None:
            known = ", ".join(list_handlers())
            path: tuple[str | int, ...] = ("actions", name, "type")
            problem = ConfigError(f"unknown type {action.type!r}; known types: {known}", path=path)
            errors.append(problem.placed(path=path, file=config.file, line=config.line_of(path)))
            continue
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConfigWarning)
            try:
                handlers[name] = factory.create(
                    action.config, name, config.retry_for(name), config.pool_for(name), action.dedupe_key
                )
            except ConfigError as error:
                path = ("actions", name, "config", *error.path)
                errors.append(error.placed(path=path, file=config.file, line=config.line_of(path)))
        for warning in caught:
            if isinstance(warning.message, ConfigWarning):
                path = ("actions", name, "config", *warning.message.path)
                place = ConfigError(
                    warning.message.message, path=path, file=config.file, line=config.line_of(path)
                )
                _log.warning("%s", place)
    if errors:
        raise ConfigErrors(errors)
    return MappingProxyType(handlers)
