"""What start-up, reloads and ``--check`` warn of: well-formed files that do not do what they seem to."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from itertools import chain

from overseer.cel import compile_cel
from overseer.config import Config, parse_listen
from overseer.config.chains import follow_ups
from overseer.config.parameters import Parameter
from overseer.config.probes import HealthConfig, ReadyConfig
from overseer.config.storage import StorageConfig
from overseer.drivers.api import ActionHandler, describe_action
from overseer.drivers.lint import warn_of_open_params
from overseer.errors import ConfigError, ConfigWarning
from overseer.process.standalone.tree import can_look
from overseer.protocol import ParamSpec
from overseer.secrets.vault import advice as secrets_advice
from overseer.templates import compile_template
from overseer.util.suggest import did_you_mean
from overseer.util.thread_warnings import collected
from overseer.util.timestamps import now

_Found = Iterator[tuple[str, tuple[str | int, ...]]]
"""Problems, each with the path of the key that it is about."""
_Handlers = Mapping[str, ActionHandler]


def advice(config: Config, handlers: _Handlers, secrets: Mapping[str, str], *, asks: bool) -> list[str]:
    """All warnings about a file, each with its location if it has one.

    Args:
        secrets: the values of variables, by name.
        asks: whether clients must identify themselves: there are tokens.
    """
    found = chain(
        _storage(config),
        _boot(config, handlers),
        _standing(config, handlers),
        _chains(config, handlers),
        _notices(config),
        _webhooks(config, handlers),
        _schedules(config),
        _probes(config),
        _open_params(config, handlers),
    )
    return [
        *_placed(config, _security(config, asks)),
        *secrets_advice(config, secrets),
        *_placed(config, found),
    ]


def system_advice() -> list[str]:
    """What the server needs and the system withholds."""
    if can_look():
        return []
    return [
        "/proc shows no processes: a stop ends only the process group of its task, and nothing ends the "
        "tasks of a server that is killed; mount a proc file system there"
    ]


def _placed(config: Config, found: Iterable[tuple[str, tuple[str | int, ...]]]) -> list[str]:
    return [str(config.placed(ConfigError(problem), *path)) for problem, path in found]


def _security(config: Config, asks: bool) -> _Found:
    listen = parse_listen(config.listen)
    if not listen.is_local and not asks and config.trusted_cidrs is None and not config.tls.client_ca:
        problem = (
            f"{listen} can be reached from other machines, and anyone in a network of this one may start "
            "its actions: set OVERSEER_TOKEN or auth.tokens, or trusted_cidrs, or listen on "
            f"127.0.0.1:{listen.port}"
        )
        yield problem, ("listen",)
    if config.tls.cert and listen.kind != "tcp":
        yield f"not used: {listen} is not a TCP address", ("tls",)


def _storage(config: Config) -> _Found:
    if not config.data_dir and config.storage != StorageConfig():
        yield "nothing is stored without a data_dir", ("storage",)


def _boot(config: Config, handlers: _Handlers) -> _Found:
    """Actions that should be resumed but cannot be."""
    for name, action in config.actions.items():
        if action.on_boot != "resume":
            continue
        path = "actions", name, "on_boot"
        params = describe_action(config, name, handlers[name]).params
        secret = [each for each, spec in params.items() if spec is not None and spec.type == "secret"]
        if not config.data_dir:
            yield "nothing can be resumed without a data_dir", path
        elif secret:
            names = ", ".join(secret)
            yield f"tasks with a value for {names} cannot be resumed: secrets are not stored", path


def _schedules(config: Config) -> _Found:
    scheduled = [name for name, task in config.tasks.items() if task.schedule]
    if scheduled and not config.data_dir:
        problem = (
            "without a data_dir the server forgets when it ends what it has started, skipped and paused, and "
            "makes up for nothing that it missed"
        )
        yield problem, ("tasks", scheduled[0], "schedule")
    for name in scheduled:
        schedules = config.tasks[name].schedule
        for number, schedule in enumerate(schedules):
            if schedule.at is not None and schedule.at < now():
                path = (number, "at") if len(schedules) > 1 else ("at",)
                yield "is in the past, and starts nothing", ("tasks", name, "schedule", *path)


def _standing(config: Config, handlers: _Handlers) -> _Found:
    """Standing tasks that would not start as they should."""
    for name, task in config.tasks.items():
        if task.autostart == "last" and not config.data_dir:
            problem = "without a data_dir, what was running is not recorded: it is never started"
            yield problem, ("tasks", name, "autostart")
        if problem := _params_problem(config, handlers, task.action, task.params):
            yield problem, ("tasks", name, "params") if task.params else ("tasks", name)


def _chains(config: Config, handlers: _Handlers) -> _Found:
    """Starts in chains that would be refused."""
    for name, action in config.actions.items():
        for path, follow_up in follow_ups(action.then):
            if problem := _params_problem(config, handlers, follow_up.action, follow_up.params):
                yield problem, ("actions", name, "then", *path)


def _webhooks(config: Config, handlers: _Handlers) -> _Found:
    """Starts that would be refused, and secrets that others can read."""
    listen = parse_listen(config.listen)
    for name, hook in config.webhooks.items():
        path = "webhooks", name
        if problem := _params_problem(config, handlers, hook.action, hook.params):
            yield problem, path
        if hook.scheme == "gitlab" and not (hook.insecure or config.tls.cert or listen.is_local):
            yield f"scheme gitlab shows its secret, and {listen} is reached by others without TLS", path
        if listen.kind == "stdio":
            yield "nothing reaches it: the server listens on stdio", path


def _params_problem(config: Config, handlers: _Handlers, action: str, given: Collection[str]) -> str:
    """Why a start with these parameters would be refused; "": it would not."""
    declared = describe_action(config, action, handlers[action]).params
    missing = [each for each, spec in declared.items() if spec is None or spec.default is None]
    if lacking := [each for each in missing if each not in given]:
        return f"{action} needs the parameter {lacking[0]}, which is not given here"
    if unknown := [each for each in given if each not in declared]:
        return f"{action} has no parameter {unknown[0]}{did_you_mean(unknown[0], declared)}"
    return ""


def _notices(config: Config) -> _Found:
    if config.notify and not config.data_dir:
        problem = "without a data_dir the server forgets at its end which notices it has sent or not yet sent"
        yield problem, ("notify",)
    used = {name for rule in config.notify for name in rule.to}
    for name in config.channels.keys() - used:
        yield "no rule in notify names it", ("channels", name)
    for name, channel in config.channels.items():
        if channel.exec and shutil.which(channel.exec[0]) is None:
            yield f"program not found: {channel.exec[0]}", ("channels", name, "exec")
    for number, rule in enumerate(config.notify):
        for each in rule.actions:
            if not any(fnmatchcase(name, each) for name in config.actions):
                problem = f"no action matches {each}{did_you_mean(each, config.actions)}"
                yield problem, ("notify", number, "actions")


def _probes(config: Config) -> _Found:
    """Probes that cannot do what they are for."""
    for name, action in config.actions.items():
        path = "actions", name
        ready, health = action.ready, action.health
        if ready is not None and ready.notify and action.type != "exec":
            problem = "only a process that its driver starts by start_worker has a NOTIFY_SOCKET"
            yield problem, (*path, "ready", "notify")
        if health is not None and health.on_failure == "restart" and config.retry_for(name).empty:
            problem = "an unhealthy run is stopped, and without a retry nothing starts it again"
            yield problem, (*path, "health")
        for key, probes in (("ready", ready), ("health", health)):
            program = probes.exec[0] if probes is not None and probes.exec else ""
            # A path that is not absolute is looked up in the task's directory.
            known = program[:1] == "/" or not (program and ("/" in program or "[[" in program))
            if program and known and shutil.which(program) is None:
                yield f"program not found: {program}", (*path, key, "exec")
    for name, task in config.tasks.items():
        for other, condition in task.depends_on.items():
            needed = config.tasks[other].action
            if condition == "healthy" and config.actions[needed].health is None:
                problem = f"{other} is never healthy: its action, {needed}, has no health"
                yield problem, ("tasks", name, "depends_on")


def _open_params(config: Config, handlers: _Handlers) -> _Found:
    """Parameters that could do more in a probe's program than they should."""
    for name, action in config.actions.items():
        for key, probes in (("ready", action.ready), ("health", action.health)):
            if probes is not None and probes.exec:
                params = describe_action(config, name, handlers[name]).params
                for problem, word in _open_words(probes, params):
                    yield problem, ("actions", name, key, "exec", word)


def _open_words(
    probes: ReadyConfig | HealthConfig, params: Mapping[str, ParamSpec | None]
) -> list[tuple[str, int]]:
    """Each of them, and which word of the command line it is about."""
    parameters = {
        name: Parameter(spec, compile_cel(spec.validate) if spec.validate else None)
        for name, spec in ((name, spec or ParamSpec()) for name, spec in params.items())
    }
    words = [compile_template(text, probes.dialect, probes.booleans) for text in probes.exec]
    with collected(ConfigWarning) as said:
        warn_of_open_params(words[0], words[1:], parameters)
    return [(each.message, int(each.path[1]) + 1 if len(each.path) > 1 else 0) for each in said]
