"""Runs, watches and streams processes over one WebSocket.

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
    from overseer.cel import compile_cel, eval_cel_bool
    from overseer.config import Config, ConfigErrors, config_text, load_config
    from overseer.daemon.cli import run_cli
    from overseer.drivers.api import (
        ActionHandler,
        ActionHandlerFactory,
        ServiceHandler,
        TaskSubmitter,
        build_action_handlers,
        list_handlers,
        register_factory,
    )
    from overseer.errors import (
        CelError,
        ConfigError,
        ConfigWarning,
        OverseerError,
        RequestError,
        SpawnError,
        SubmitError,
        TemplateError,
        UnknownKeyWarning,
        ValidationError,
    )
    from overseer.process.cgroup import Cgroup
    from overseer.process.policy import StopPolicy
    from overseer.process.usage import Usage
    from overseer.protocol import ActionInfo, ParamChoice, ParamSpec, PoolConfig, RetryPolicy
    from overseer.supervisor.hub import Hub
    from overseer.supervisor.metrics import Metrics
    from overseer.supervisor.pool.pool import PoolManager
    from overseer.util.sqlite import open_db
    from overseer.util.standstill import standstill
    from overseer.workers.base import OutputBatch, Worker, WorkerCallbacks
    from overseer.workers.config import WorkerConfig
    from overseer.workers.starting import start_worker
    from overseer.workers.thread import VirtualContext, start_virtual_worker

__version__ = "0.1.0"

__all__ = [
    "ActionHandler",
    "ActionHandlerFactory",
    "ActionInfo",
    "CelError",
    "Cgroup",
    "Config",
    "ConfigError",
    "ConfigErrors",
    "ConfigWarning",
    "Hub",
    "Metrics",
    "OutputBatch",
    "OverseerError",
    "ParamChoice",
    "ParamSpec",
    "PoolConfig",
    "PoolManager",
    "RequestError",
    "RetryPolicy",
    "ServiceHandler",
    "SpawnError",
    "StopPolicy",
    "SubmitError",
    "TaskSubmitter",
    "TemplateError",
    "UnknownKeyWarning",
    "Usage",
    "ValidationError",
    "VirtualContext",
    "Worker",
    "WorkerCallbacks",
    "WorkerConfig",
    "__version__",
    "build_action_handlers",
    "compile_cel",
    "config_text",
    "eval_cel_bool",
    "list_handlers",
    "load_config",
    "open_db",
    "register_factory",
    "run_cli",
    "standstill",
    "start_virtual_worker",
    "start_worker",
]

# Loaded on first use: overseerctl and programs that use ``overseer.client`` do without the server, whose
# import takes a fifth of a second.
_HOMES = {
    "overseer.drivers.api": (
        "ActionHandler",
        "ActionHandlerFactory",
        "ServiceHandler",
        "TaskSubmitter",
        "build_action_handlers",
        "list_handlers",
        "register_factory",
    ),
    "overseer.cel": ("compile_cel", "eval_cel_bool"),
    "overseer.config": ("Config", "ConfigErrors", "config_text", "load_config"),
    "overseer.errors": (
        "CelError",
        "ConfigError",
        "ConfigWarning",
        "OverseerError",
        "RequestError",
        "SpawnError",
        "SubmitError",
        "TemplateError",
        "UnknownKeyWarning",
        "ValidationError",
    ),
    "overseer.supervisor.hub": ("Hub",),
    "overseer.protocol": ("ActionInfo", "ParamChoice", "ParamSpec", "PoolConfig", "RetryPolicy"),
    "overseer.supervisor.metrics": ("Metrics",),
    "overseer.supervisor.pool.pool": ("PoolManager",),
    "overseer.daemon.cli": ("run_cli",),
    "overseer.util.sqlite": ("open_db",),
    "overseer.util.standstill": ("standstill",),
    "overseer.workers.thread": ("VirtualContext", "start_virtual_worker"),
    "overseer.workers.base": ("OutputBatch", "Worker", "WorkerCallbacks"),
    "overseer.workers.config": ("WorkerConfig",),
    "overseer.workers.starting": ("start_worker",),
    "overseer.process.cgroup": ("Cgroup",),
    "overseer.process.policy": ("StopPolicy",),
    "overseer.process.usage": ("Usage",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # a type checker would believe every name otherwise

    def __getattr__(name: str) -> Any:
        module = _HOME_OF.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(importlib.import_module(module), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
