"""Reloads the configuration while the server runs.

Everything is loaded and built first, and swapped in under the hub's lock only if nothing is wrong. What did
not change stays: the handlers of unchanged actions, with their state, and pools whose settings in the file
are the same, even if a ``set_pool`` has changed them since.

From there on there is no way back. A part of the server that cannot go over, most likely for lack of a
thread, stays as it was and keeps no other from it; the requester is told, and the next reload tries again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from overseer.config import Config, ErrorCollector, parse_config, read_config
from overseer.daemon.preflight import check_actions
from overseer.daemon.systemd import Notifier
from overseer.drivers.api import ActionHandler, build_action_handlers
from overseer.errors import ConfigError, OverseerError, RequestError
from overseer.protocol import Reloaded
from overseer.schema.fields import fields_of
from overseer.schema.nodes import MapNode
from overseer.supervisor.definitions import Definitions
from overseer.supervisor.hub import Hub
from overseer.util.locks import Rank, lock
from overseer.util.standstill import standstill
from overseer.util.threads import DaemonThread, answer

_log = logging.getLogger(__name__)

_READ_S = 10.0  # for reading and checking all files
_TURN_S = _READ_S + 2.0  # for an earlier reload to finish
_STUCK = 8  # threads that may hang on unresponsive disks

# Top-level keys that take effect only after a restart: sockets and files that are opened once.
_RESTART = frozenset(("listen", "socket_mode", "socket_group", "db", "data_dir", "log_file", "audit_file"))


_Loaded = tuple[Definitions, "Prepared", Reloaded]


def compare(old: Config, new: Config) -> Reloaded:
    """What a reload from ``old`` to ``new`` changes, in actions including what they inherit."""
    differing = [
        key.name
        for key in fields_of(Config)
        if key.name != "actions" and not _same(getattr(old, key.name), getattr(new, key.name))
    ]
    return Reloaded(
        id="",
        added=tuple(name for name in new.actions if name not in old.actions),
        changed=tuple(
            name
            for name in new.actions
            if name in old.actions and not _same(_effective(old, name), _effective(new, name))
        ),
        removed=tuple(name for name in old.actions if name not in new.actions),
        settings=tuple(name for name in differing if name not in _RESTART),
        restart_needed=tuple(name for name in differing if name in _RESTART),
        warnings=new.warnings,
    )


def summary(changes: Reloaded) -> str:
    """The changes in one line, for the log."""
    parts = [
        f"{what} {', '.join(names)}"
        for what, names in (
            ("added", changes.added),
            ("changed", changes.changed),
            ("removed", changes.removed),
            ("settings", changes.settings),
            ("only after a restart:", changes.restart_needed),
        )
        if names
    ]
    return "; ".join(parts) or "no changes"


@dataclass(frozen=True, slots=True)
class Prepared:
    """The part of a new configuration that the hub does not handle, read and checked.

    Attributes:
        settings: top-level keys whose files have new contents.
        advise: what to warn of, given the handlers of its actions.
        provide: gives the hub the secrets that runs by the new definitions read.
        parts: put it into effect once the hub has these; by what they are, for people.
        enforce: called afterwards, closes clients that are no longer admitted.
    """

    settings: tuple[str, ...]
    advise: Callable[[Mapping[str, ActionHandler]], Iterable[str]]
    provide: Callable[[], None]
    parts: Mapping[str, Callable[[Config], None]]
    enforce: Callable[[], None]


class Reloader:
    """Replaces a running server's configuration by the file's current one. Thread-safe.

    Args:
        prepare: called with a new configuration before anything has changed; raises ConfigError.
        started: the configuration in which the settings that need a restart are in effect.
    """

    def __init__(
        self, path: str, hub: Hub, prepare: Callable[[Config], Prepared], started: Config
    ) -> None:
        self._path = path
        self._hub = hub
        self._prepare = prepare
        self._started = started
        # One reload at a time; notified when one is over.
        self._turn = threading.Condition(lock(Rank.LEAF, "reload"))
        self._busy = False
        # Reading threads, including those of abandoned reloads that still hang.
        self._reading: set[threading.Thread] = set()
        self._succeeded = True  # the last reload did
        self._success_at = time.time()  # when the last successful one was

    def gauges(self) -> Mapping[str, tuple[str, float]]:
        """For monitoring: help text and value, by name."""
        return {
            "config_last_reload_successful": ("Whether the last reload succeeded", float(self._succeeded)),
            "config_last_reload_success_timestamp_seconds": (
                "When the configuration in force was read, in seconds since 1970",
                self._success_at,
            ),
        }

    def differs(self) -> bool:
        """Whether the file, as far as it can be read again, is another than the one in effect."""
        try:
            return read_config(self._path, again=True) != self._hub.definitions.config.source
        except OverseerError:
            return False

    def on_signal(self, manager: Notifier) -> None:
        """SIGHUP: reload, and tell the manager what came of it."""
        manager.reloading()
        try:
            self.reload(lambda changes: manager.ready(f"configuration reloaded: {summary(changes)}"))
        except RequestError:
            manager.ready("the new configuration has errors; the previous one stays in force")
        except Exception:
            _log.exception("reloading the configuration failed")
            manager.ready("reloading the configuration failed")

    def reload(self, tell: Callable[[Reloaded], None], *, dry_run: bool = False) -> None:
        """Read the file and, unless ``dry_run``, put it into effect and log the result.

        ``tell`` gets the answer once the changes are in effect, but before clients that are no longer
        admitted are closed: the requester may be one of them.

        Raises:
            RequestError: the file cannot be used; nothing has changed.
        """
        with self._turn:
            if not self._turn.wait_for(lambda: not self._busy, _TURN_S):
                # No queue may build up behind a reload that hangs, perhaps on a dead disk.
                _log.error("the configuration was not reloaded: an earlier reload is still under way")
                raise RequestError("an earlier reload is still under way")
            self._busy = True
        try:
            with self._refusing(dry_run):
                definitions, prepared, changes = self._load_in_time()
                if dry_run:
                    tell(replace(changes, dry_run=True))
                    return
                with standstill:
                    left = self._apply(definitions, prepared)
            try:
                self._succeeded, self._success_at = not left, time.time()
                _log.info("configuration reloaded: %s", summary(changes))
                for warning in changes.warnings:
                    _log.warning("%s", warning)
                tell(replace(changes, warnings=(*changes.warnings, *left)))
            finally:
                prepared.enforce()
        finally:
            with self._turn:
                self._busy = False
                self._turn.notify()

    def _apply(self, definitions: Definitions, prepared: Prepared) -> tuple[str, ...]:
        """Put a configuration into effect; returns a sentence about each part that has stayed as it was.

        Raises:
            RequestError: the server is shutting down; nothing has changed.
        """
        prepared.provide()
        left: list[str] = []
        try:
            self._hub.redefine(definitions)
        except Exception as error:
            if self._hub.definitions is not definitions:
                raise
            left.append(_not_applied("actions", error))
        for name, apply in prepared.parts.items():
            try:
                apply(definitions.config)
            except Exception as error:
                left.append(_not_applied(name, error))
        return tuple(left)

    @contextmanager
    def _refusing(self, dry_run: bool) -> Iterator[None]:
        """Log what is wrong, and raise it as a RequestError."""
        try:
            yield
        except Exception as error:
            reason = str(error)
            if isinstance(error, OSError):
                reason = f"{error.filename or self._path}: {error.strerror or error}"
            if not dry_run:
                self._succeeded = False
                _log.error("the configuration was not reloaded: %s", reason)
            if isinstance(error, OverseerError | OSError):
                raise RequestError(reason) from None
            raise

    def _load_in_time(self) -> _Loaded:
        """As ``_load``, on a thread that is abandoned if it takes too long: the disk may be gone."""
        found: Future[_Loaded] = Future()

        def load() -> _Loaded:
            try:
                return self._load()
            finally:
                self._reading.discard(threading.current_thread())

        if len(self._reading) >= _STUCK:
            raise RequestError(f"{_STUCK} earlier reloads still wait for an unresponsive disk")
        thread = DaemonThread(target=lambda: answer(found, load), name="reload-read")
        self._reading.add(thread)
        try:
            thread.start()
        except RuntimeError as error:
            self._reading.discard(thread)
            raise RequestError(f"the files cannot be read: {error}") from None
        if not wait([found], _READ_S).done:
            raise RequestError(f"reading the files takes longer than {_READ_S:g} s: is their disk there?")
        return found.result()

    def _load(self) -> _Loaded:
        new = parse_config(self._path, read_config(self._path, again=True), further=check_actions)
        if not new.file:
            raise RequestError(f"{self._path}: no such file")
        if isinstance(new.tree, MapNode) and not new.tree.entries:
            # A full disk, or an editor at work, leaves such a file; it is never intended.
            raise RequestError(f"{self._path}: the file is empty")
        old = self._hub.definitions
        changes = compare(old.config, new)
        collector = ErrorCollector()
        warned: list[ConfigError] = []
        with collector.step():
            prepared = self._prepare(new)
        with collector.step():
            handlers = self._handlers(old, new, {*changes.added, *changes.changed}, warned.append)
        collector.raise_errors()
        changes = replace(
            changes,
            settings=tuple(dict.fromkeys((*changes.settings, *prepared.settings))),
            restart_needed=compare(self._started, new).restart_needed,
            warnings=(*changes.warnings, *map(str, warned), *prepared.advise(handlers)),
        )
        return Definitions(new, handlers), prepared, changes

    def _handlers(
        self, old: Definitions, new: Config, wanted: set[str], warned: Callable[[ConfigError], None]
    ) -> Mapping[str, ActionHandler]:
        # If secrets were removed, the other actions are checked as well: they may name one of these.
        gone = old.config.secrets.keys() - new.secrets.keys()
        subset = {name: action for name, action in new.actions.items() if gone or name in wanted}
        built = build_action_handlers(replace(new, actions=subset), warned=warned)
        return {name: built[name] if name in wanted else old.handlers[name] for name in new.actions}


def _not_applied(part: str, error: Exception) -> str:
    """Say, and log, that a part of the server has not gone over to the new configuration."""
    problem = f"{part}: not as the file says, until the next reload: {error}"
    _log.error("%s", problem, exc_info=None if isinstance(error, OverseerError | RuntimeError) else error)
    return problem


def _effective(config: Config, action: str) -> tuple[Any, ...]:
    return (config.actions[action], config.retry_for(action), config.pool_for(action), config.templates)


def _same(one: Any, other: Any) -> bool:
    """Equality that tells ``1.10`` from ``1.1`` in a driver's raw settings, by their texts."""
    return one == other and repr(one) == repr(other) and _texts(one) == _texts(other)


def _texts(value: Any) -> Any:
    """The texts of the numbers in an action's raw settings."""
    if isinstance(value, tuple | list):
        return [_texts(each) for each in value]
    if isinstance(value, dict):
        return [(name, _texts(each)) for name, each in value.items()]
    raw = getattr(value, "config", None)
    return str(value) if raw is None else _texts(raw)
