"""Runs, watches and streams processes over one WebSocket.

The daemon is ``overseer.run_cli``. A program with drivers of its own imports this package, then its drivers,
which register themselves, and calls it::

    import overseer
    import my_drivers.converter  # calls overseer.register_factory(...)

    raise SystemExit(overseer.run_cli("1.2.0", "abc123"))

What a driver needs is here as well; ``docs/DRIVERS.md`` shows how it goes together.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from overseer.actions import (
        ActionHandler,
        ActionHandlerFactory,
        ServiceHandler,
        TaskSubmitter,
        build_action_handlers,
        list_handlers,
        register_factory,
    )
    from overseer.cel import compile_cel, eval_cel_bool
    from overseer.config import Config, ConfigErrors, config_text, load_config
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
    from overseer.hub import Hub
    from overseer.messages import ActionInfo, ParamSpec, PoolConfig, RetryPolicy
    from overseer.metrics import Metrics
    from overseer.pool import PoolManager
    from overseer.run import run_cli
    from overseer.store import open_db
    from overseer.virtual import VirtualContext, start_virtual_worker
    from overseer.worker import OutputBatch, StopPolicy, Worker, WorkerCallbacks, WorkerConfig, start_worker

__version__ = "0.1.0"

__all__ = [
    "ActionHandler",
    "ActionHandlerFactory",
    "ActionInfo",
    "CelError",
    "Config",
    "ConfigError",
    "ConfigErrors",
    "ConfigWarning",
    "Hub",
    "Metrics",
    "OutputBatch",
    "OverseerError",
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
    "start_virtual_worker",
    "start_worker",
]

# Loaded when they are first asked for: overseerctl, and programs that use ``overseer.client``, need none of
# the server, which would cost them a fifth of a second.
_HOMES = {
    "overseer.actions": (
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
    "overseer.hub": ("Hub",),
    "overseer.messages": ("ActionInfo", "ParamSpec", "PoolConfig", "RetryPolicy"),
    "overseer.metrics": ("Metrics",),
    "overseer.pool": ("PoolManager",),
    "overseer.run": ("run_cli",),
    "overseer.store": ("open_db",),
    "overseer.virtual": ("VirtualContext", "start_virtual_worker"),
    "overseer.worker": (
        "OutputBatch",
        "StopPolicy",
        "Worker",
        "WorkerCallbacks",
        "WorkerConfig",
        "start_worker",
    ),
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
