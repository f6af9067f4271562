"""Warnings about probes, and the room that probes runs, loaded for the first run that needs it."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping

from overseer.cel import compile_cel
from overseer.config import Config
from overseer.config.parameters import Parameter
from overseer.config.probes import HealthConfig, ReadyConfig
from overseer.drivers.api import ActionHandler, describe_action
from overseer.drivers.lint import warn_of_open_params
from overseer.errors import ConfigError, ConfigWarning
from overseer.protocol import ParamSpec
from overseer.supervisor.probing import Prober
from overseer.templates import compile_template


def make_probes() -> Prober:
    """Create what probes runs."""
    from overseer.probes.prober import Probes  # few need it

    return Probes()


def probe_advice(config: Config) -> list[str]:
    """Warnings about probes that cannot do what they are for, each with its place."""
    advice = []
    for name, action in config.actions.items():
        found: list[tuple[tuple[str, ...], str]] = []
        ready, health = action.ready, action.health
        if ready is not None and ready.notify and action.type != "exec":
            problem = "only a process that its driver starts by start_worker has a NOTIFY_SOCKET"
            found.append((("ready", "notify"), problem))
        if health is not None and health.on_failure == "restart" and config.retry_for(name).empty:
            problem = "an unhealthy run is stopped, and without a retry nothing starts it again"
            found.append((("health",), problem))
        for key, probes in (("ready", ready), ("health", health)):
            program = probes.exec[0] if probes is not None and probes.exec else ""
            # A path that is not absolute is looked up in the task's directory.
            known = program[:1] == "/" or not (program and ("/" in program or "[[" in program))
            if program and known and shutil.which(program) is None:
                found.append(((key, "exec"), f"there is no program {program}"))
        advice += [str(config.placed(ConfigError(text), "actions", name, *path)) for path, text in found]
    for name, task in config.tasks.items():
        for other, condition in task.depends_on.items():
            needed = config.tasks[other].action
            if condition == "healthy" and config.actions[needed].health is None:
                problem = f"{other} is never healthy: its action, {needed}, has no health"
                advice.append(str(config.placed(ConfigError(problem), "tasks", name, "depends_on")))
    return advice


def open_params_advice(config: Config, handlers: Mapping[str, ActionHandler]) -> list[str]:
    """Warnings about parameters that could do more in a probe's program than they should."""
    advice = []
    for name, action in config.actions.items():
        for key, probes in (("ready", action.ready), ("health", action.health)):
            if probes is None or not probes.exec:
                continue
            params = describe_action(config, name, handlers[name]).params
            for problem, place in _open_params(probes, params):
                error = ConfigError(problem)
                advice.append(str(config.placed(error, "actions", name, key, "exec", place)))
    return advice


def _open_params(
    probes: ReadyConfig | HealthConfig, params: Mapping[str, ParamSpec | None]
) -> list[tuple[str, int]]:
    """Each of them, and which word of the command line it is about."""
    parameters = {
        name: Parameter(spec, compile_cel(spec.validate) if spec.validate else None)
        for name, spec in ((name, spec or ParamSpec()) for name, spec in params.items())
    }
    words = [compile_template(text, probes.dialect, probes.booleans) for text in probes.exec]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConfigWarning)
        warn_of_open_params(words[0], words[1:], parameters)
    found = []
    for each in caught:
        if isinstance(each.message, ConfigWarning):
            path = each.message.path
            found.append((each.message.message, int(path[1]) + 1 if len(path) > 1 else 0))
    return found
