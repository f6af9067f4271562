"""A process supervisor that clients drive over one WebSocket.

The daemon is ``overseer.run_cli``. A program with drivers of its own imports this package, then its drivers,
which register themselves, and calls it::

    import overseer
    import my_drivers.converter  # calls overseer.register_factory(...)

    raise SystemExit(overseer.run_cli("1.2.0", "abc123"))

Everything that a driver needs is here as well; see ``docs/DRIVERS.md``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from overseer.cel import compile_cel as compile_cel
    from overseer.cel import eval_cel_bool as eval_cel_bool
    from overseer.config import Config as Config
    from overseer.config import ConfigErrors as ConfigErrors
    from overseer.config import config_text as config_text
    from overseer.config import load_config as load_config
    from overseer.daemon.cli import run_cli as run_cli
    from overseer.drivers.api import ActionHandler as ActionHandler
    from overseer.drivers.api import ActionHandlerFactory as ActionHandlerFactory
    from overseer.drivers.api import ServiceHandler as ServiceHandler
    from overseer.drivers.api import TaskSubmitter as TaskSubmitter
    from overseer.drivers.api import build_action_handlers as build_action_handlers
    from overseer.drivers.api import list_handlers as list_handlers
    from overseer.drivers.api import register_factory as register_factory
    from overseer.errors import CelError as CelError
    from overseer.errors import ConfigError as ConfigError
    from overseer.errors import ConfigWarning as ConfigWarning
    from overseer.errors import OverseerError as OverseerError
    from overseer.errors import RequestError as RequestError
    from overseer.errors import SpawnError as SpawnError
    from overseer.errors import SubmitError as SubmitError
    from overseer.errors import TemplateError as TemplateError
    from overseer.errors import UnknownKeyWarning as UnknownKeyWarning
    from overseer.errors import ValidationError as ValidationError
    from overseer.process.cgroup import Cgroup as Cgroup
    from overseer.process.policy import StopPolicy as StopPolicy
    from overseer.process.usage import Usage as Usage
    from overseer.protocol import ActionInfo as ActionInfo
    from overseer.protocol import ParamChoice as ParamChoice
    from overseer.protocol import ParamSpec as ParamSpec
    from overseer.protocol import PoolConfig as PoolConfig
    from overseer.protocol import RetryPolicy as RetryPolicy
    from overseer.supervisor.hub import Hub as Hub
    from overseer.supervisor.metrics import Metrics as Metrics
    from overseer.supervisor.pool.pool import PoolManager as PoolManager
    from overseer.util.sqlite import open_db as open_db
    from overseer.util.standstill import standstill as standstill
    from overseer.workers.base import OutputBatch as OutputBatch
    from overseer.workers.base import Worker as Worker
    from overseer.workers.base import WorkerCallbacks as WorkerCallbacks
    from overseer.workers.config import WorkerConfig as WorkerConfig
    from overseer.workers.starting import start_worker as start_worker
    from overseer.workers.thread import VirtualContext as VirtualContext
    from overseer.workers.thread import start_virtual_worker as start_virtual_worker

__version__ = "0.1.0"

# Loaded on first use: overseerctl and programs that use ``overseer.client`` do without the server, whose
# import takes a fifth of a second.
_HOMES = {
    "overseer.drivers.api": (
        "ActionHandler ActionHandlerFactory ServiceHandler TaskSubmitter build_action_handlers "
        "list_handlers register_factory"
    ),
    "overseer.cel": "compile_cel eval_cel_bool",
    "overseer.config": "Config ConfigErrors config_text load_config",
    "overseer.errors": (
        "CelError ConfigError ConfigWarning OverseerError RequestError SpawnError SubmitError "
        "TemplateError UnknownKeyWarning ValidationError"
    ),
    "overseer.supervisor.hub": "Hub",
    "overseer.protocol": "ActionInfo ParamChoice ParamSpec PoolConfig RetryPolicy",
    "overseer.supervisor.metrics": "Metrics",
    "overseer.supervisor.pool.pool": "PoolManager",
    "overseer.daemon.cli": "run_cli",
    "overseer.util.sqlite": "open_db",
    "overseer.util.standstill": "standstill",
    "overseer.workers.thread": "VirtualContext start_virtual_worker",
    "overseer.workers.base": "OutputBatch Worker WorkerCallbacks",
    "overseer.workers.config": "WorkerConfig",
    "overseer.workers.starting": "start_worker",
    "overseer.process.cgroup": "Cgroup",
    "overseer.process.policy": "StopPolicy",
    "overseer.process.usage": "Usage",
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}


if not TYPE_CHECKING:  # a type checker would believe every name otherwise
    __all__ = ["__version__", *_HOME_OF]

    def __getattr__(name: str) -> Any:
        module = _HOME_OF.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(importlib.import_module(module), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
