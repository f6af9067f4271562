"""Checks before the start whether the files that the server needs can be had."""

from __future__ import annotations

import os
from pathlib import Path

from overseer.config import Config, ConfigErrors, ErrorCollector, parse_listen
from overseer.drivers.api import build_action_handlers
from overseer.errors import ConfigError, OverseerError
from overseer.net.listeners import check_socket_path, group_id
from overseer.util.files import open_to_append
from overseer.util.hanging_disk import HangingError, patiently


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
    found += _impossible(config)
    if found:
        raise ConfigErrors(found)


def check_actions(config: Config) -> None:
    """Check what drivers read themselves; nothing is warned of.

    Raises:
        ConfigErrors: what is wrong with it, keys that they do not know included: these may be why.
    """
    collector = ErrorCollector()
    with collector.step():
        build_action_handlers(config, unknown=collector.errors.append, warned=lambda warning: None)
    collector.raise_errors()


def check_settings(config: Config) -> None:
    """Check what takes effect without a restart, as :func:`check_files` does.

    Raises:
        ConfigErrors: a setting needs what this server does not have.
    """
    if found := _impossible(config):
        raise ConfigErrors(found)


def _impossible(config: Config) -> list[ConfigError]:
    """The settings that need what there is not."""
    found = []
    if config.clients.on_lag == "catch_up" and not config.data_dir:
        found.append(config.placed(ConfigError("it needs the logs of a data_dir"), "clients", "on_lag"))
    if config.data_dir and config.storage.compress == "zstd":
        from overseer.logs.standalone.segments import NO_ZSTD, can_zstd

        if not can_zstd():
            found.append(config.placed(ConfigError(NO_ZSTD), "storage", "compress"))
    return found


def _problem(path: str) -> str:
    """What prevents appending to a file, which may not exist yet."""
    if not path:
        return ""
    try:
        patiently(
            lambda: os.close(open_to_append(path, 0, make=False)), f"the disk of {path} does not respond"
        )
    except HangingError as error:
        return str(error)
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
    try:
        return patiently(lambda: _what_prevents(path), f"the disk of {path} does not respond")
    except HangingError as error:
        return str(error)


def _what_prevents(path: str) -> str:
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
