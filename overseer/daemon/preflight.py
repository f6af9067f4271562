"""Checks before the start of what a well-formed configuration can still get wrong, and security advice."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from shutil import which

from overseer.config import Config, ConfigErrors, parse_listen
from overseer.config.chains import follow_ups
from overseer.config.storage import StorageConfig
from overseer.drivers.api import ActionHandler, describe_action
from overseer.errors import ConfigError, OverseerError
from overseer.net.listeners import check_socket_path, group_id
from overseer.process import can_look
from overseer.util.files import open_to_append
from overseer.util.suggest import did_you_mean
from overseer.util.timestamps import now


def check_files(config: Config, *, listens: bool) -> None:
    """Check that the files the server needs can be created, without creating any.

    Args:
        listens: whether the server opens the address in the configuration itself.

    Raises:
        ConfigErrors: a directory or a group does not exist, or something else is in a file's place.
    """
    found: list[ConfigError] = []

    def check(key: str, problem: str) -> None:
        if problem:
            found.append(config.placed(ConfigError(problem), key))

    check("data_dir", _directory_problem(config.data_dir))
    check("log_file", _problem(config.log_file))
    check("audit_file", _problem(config.audit_file))
    listen = parse_listen(config.listen)
    if listens and listen.kind == "unix":
        for key, look, name in (
            ("listen", check_socket_path, listen.path),
            ("socket_group", group_id, config.socket_group),
        ):
            try:
                look(name)
            except OverseerError as error:
                check(key, str(error))
    if config.clients.on_lag == "catch_up" and not config.data_dir:
        found.append(config.placed(ConfigError("it needs the logs of a data_dir"), "clients", "on_lag"))
    if config.data_dir and config.storage.compress == "zstd":
        from overseer.logs.standalone.segments import NO_ZSTD, can_zstd

        if not can_zstd():
            found.append(config.placed(ConfigError(NO_ZSTD), "storage", "compress"))
    if found:
        raise ConfigErrors(found)


def _problem(path: str) -> str:
    """What prevents appending to a file, which may not exist yet."""
    if not path:
        return ""
    try:
        os.close(open_to_append(path, 0, make=False))
    except FileNotFoundError:
        parent = Path(path).parent
        return "" if parent.is_dir() else f"no such directory {parent}"
    except OSError as error:
        said = error.strerror or str(error)
        return f"{path} {said.removeprefix('it ')}" if said.startswith("it ") else f"{path}: {said}"
    return ""


def _directory_problem(path: str) -> str:
    """What prevents having a directory, which may not exist yet."""
    if not path:
        return ""
    directory = Path(path)
    try:
        if directory.exists():
            if not directory.is_dir():
                return f"{path} is not a directory"
        elif not directory.parent.is_dir():
            return f"no such directory {directory.parent}"
        else:
            directory = directory.parent
    except OSError as error:
        return f"{path}: {error.strerror or error}"
    if os.access(directory, os.W_OK | os.X_OK) or os.statvfs(directory).f_flag & os.ST_RDONLY:
        return ""  # a read-only disk may recover, and does not prevent the start
    return f"{directory} cannot be written to"


def storage_advice(config: Config) -> list[str]:
    """A warning of a ``storage`` that is for nothing, with its place."""
    if config.data_dir or config.storage == StorageConfig():
        return []
    return [str(config.placed(ConfigError("nothing is stored without a data_dir"), "storage"))]


def boot_advice(config: Config, handlers: Mapping[str, ActionHandler]) -> list[str]:
    """Warnings about actions that should be resumed but cannot be, each with its location."""
    advice = []
    for name, action in config.actions.items():
        if action.on_boot != "resume":
            continue
        params = describe_action(config, name, handlers[name]).params
        secret = [each for each, spec in params.items() if spec is not None and spec.type == "secret"]
        problem = ""
        if not config.data_dir:
            problem = "nothing can be resumed without a data_dir"
        elif secret:
            problem = f"tasks with a value for {', '.join(secret)} cannot be resumed: secrets are not stored"
        if problem:
            advice.append(str(config.placed(ConfigError(problem), "actions", name, "on_boot")))
    return advice


def schedule_advice(config: Config) -> list[str]:
    """Warnings about schedules, each with its place."""
    found: list[tuple[str, tuple[str | int, ...]]] = []
    scheduled = [name for name, task in config.tasks.items() if task.schedule]
    if scheduled and not config.data_dir:
        problem = (
            "without a data_dir the server forgets when it ends what it has started, skipped and paused, and "
            "makes up for nothing that it missed"
        )
        found.append((problem, (scheduled[0], "schedule")))
    for name in scheduled:
        schedules = config.tasks[name].schedule
        for number, schedule in enumerate(schedules):
            if schedule.at is not None and schedule.at < now():
                place = (number, "at") if len(schedules) > 1 else ("at",)
                found.append(("is in the past, and starts nothing", (name, "schedule", *place)))
    return [str(config.placed(ConfigError(problem), "tasks", *place)) for problem, place in found]


def standing_advice(config: Config, handlers: Mapping[str, ActionHandler]) -> list[str]:
    """Warnings about standing tasks that would not start as they should, each with its place."""
    advice = []
    for name, task in config.tasks.items():
        if task.autostart == "last" and not config.data_dir:
            problem = "without a data_dir nobody knows what was running: it is never started"
            advice.append(str(config.placed(ConfigError(problem), "tasks", name, "autostart")))
        if problem := _params_problem(config, handlers, task.action, task.params):
            place = ("params",) if task.params else ()
            advice.append(str(config.placed(ConfigError(problem), "tasks", name, *place)))
    return advice


def chain_advice(config: Config, handlers: Mapping[str, ActionHandler]) -> list[str]:
    """Warnings about starts in chains that would be refused, each with its place."""
    advice = []
    for name, action in config.actions.items():
        for path, follow_up in follow_ups(action):
            problem = _params_problem(config, handlers, follow_up.action, follow_up.params)
            if problem:
                advice.append(str(config.placed(ConfigError(problem), "actions", name, "then", *path)))
    return advice


def webhook_advice(config: Config, handlers: Mapping[str, ActionHandler]) -> list[str]:
    """Warnings about webhooks: starts that would be refused, and secrets that others can read, each with its
    place."""
    advice = []
    listen = parse_listen(config.listen)
    for name, hook in config.webhooks.items():
        problems = [_params_problem(config, handlers, hook.action, hook.params)]
        if hook.scheme == "gitlab" and not (hook.insecure or config.tls.cert or listen.is_local):
            problems.append(f"scheme gitlab shows its secret, and {listen} is reached by others without TLS")
        if listen.kind == "stdio":
            problems.append("nothing reaches it: the server listens on stdio")
        advice += [str(config.placed(ConfigError(each), "webhooks", name)) for each in problems if each]
    return advice


def _params_problem(
    config: Config, handlers: Mapping[str, ActionHandler], action: str, given: Collection[str]
) -> str:
    """Why a start with these parameters would be refused; "": it would not."""
    declared = describe_action(config, action, handlers[action]).params
    missing = [each for each, spec in declared.items() if spec is None or spec.default is None]
    if lacking := [each for each in missing if each not in given]:
        return f"{action} needs the parameter {lacking[0]}, which is not given here"
    if unknown := [each for each in given if each not in declared]:
        return f"{action} has no parameter {unknown[0]}{did_you_mean(unknown[0], declared)}"
    return ""


def notice_advice(config: Config) -> list[str]:
    """Warnings about notices, each with its place."""
    advice = []
    if config.notify and not config.data_dir:
        problem = "without a data_dir the server forgets at its end which notices it has sent or not yet sent"
        advice.append(str(config.placed(ConfigError(problem), "notify")))
    used = {name for rule in config.notify for name in rule.to}
    for name in config.channels.keys() - used:
        advice.append(str(config.placed(ConfigError("no rule in notify names it"), "channels", name)))
    for name, channel in config.channels.items():
        if channel.exec and which(channel.exec[0]) is None:
            missing = ConfigError("there is no such program")
            advice.append(str(config.placed(missing, "channels", name, "exec")))
    for number, rule in enumerate(config.notify):
        for each in rule.actions:
            if not any(fnmatchcase(name, each) for name in config.actions):
                problem = f"no action matches {each}{did_you_mean(each, config.actions)}"
                advice.append(str(config.placed(ConfigError(problem), "notify", number, "actions")))
    return advice


def security_advice(config: Config, *, asks: bool) -> list[str]:
    """Security warnings about a configuration, each with its location.

    Args:
        asks: whether clients must identify themselves: there are tokens.
    """
    listen = parse_listen(config.listen)
    advice = []
    if not listen.is_local and not asks and config.trusted_cidrs is None and not config.tls.client_ca:
        problem = (
            f"{listen} can be reached from other machines, and anyone in a network of this one may start "
            "its actions: set OVERSEER_TOKEN or auth.tokens, or trusted_cidrs, or listen on "
            f"127.0.0.1:{listen.port}"
        )
        advice.append(str(config.placed(ConfigError(problem), "listen")))
    if config.tls.cert and listen.kind != "tcp":
        advice.append(str(config.placed(ConfigError(f"not used: {listen} is not a TCP address"), "tls")))
    return advice


def system_advice() -> list[str]:
    """What the server needs and the system withholds, a sentence each."""
    if can_look():
        return []
    return [
        "/proc shows no processes: a stop ends only the process group of its task, and nothing ends the "
        "tasks of a server that is killed; mount a proc file system there"
    ]
