"""The daemon's side of the history of runs, which exists only with a ``data_dir``."""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from overseer.auth.rights import Principal
from overseer.config import Config
from overseer.daemon.audit import Audit
from overseer.errors import ConfigError, OverseerError, RequestError
from overseer.history.records import Recorder
from overseer.process.registry import registry
from overseer.protocol import RunInfo, RunsReply, RunsRequest, RunStatsReply, RunStatsRequest, RunTrigger
from overseer.supervisor.hub import Hub
from overseer.supervisor.intents import returns
from overseer.supervisor.observers import Change
from overseer.supervisor.owed_follow_ups import change_in
from overseer.util.timestamps import now

if TYPE_CHECKING:
    from overseer.history.inheritance import Interrupted
    from overseer.history.records import Run
    from overseer.history.retention import Removed
    from overseer.history.store import History

_log = logging.getLogger(__name__)

# Who owes something to the ends of tasks.
CHAINS = "chains"
NOTICES = "notices"

_PERIODS = 1000  # of a time, at most
_NONE = "this server keeps no history of runs: its configuration has no data_dir"


class RunHistory:
    """Opens the history, and answers ``runs`` from it."""

    def __init__(
        self,
        config: Config,
        removed: Callable[[Sequence[Removed]], None],
        has_task: Callable[[str], bool],
    ) -> None:
        """``removed`` is called with the runs that retention removes; ``has_task`` tells whether there is a
        task of an id, without waiting."""
        self.history: History | None = None
        self.returning: Collection[str] = ()  # ids of tasks that are still to be brought back
        self._config = config
        if config.data_dir:
            from overseer.history.store import History  # imported only if configured, as SQLite loads slowly

            self.history = History(
                config.data_dir,
                config.storage,
                registry.server_id,
                removed,
                in_use=lambda task_id: task_id in self.returning or has_task(task_id),
            )
        self.recorder = self.history or Recorder()  # where the hub records its runs

    @property
    def lock(self) -> int:
        """The descriptor that locks its directory, or -1."""
        return -1 if self.history is None else self.history.directory.lock

    def has_directory(self) -> bool:
        """Whether ``data_dir`` is still this server's."""
        return self.history is not None and self.history.has_directory()

    def adopt(self, lock: int, *, back: bool) -> None:
        """Use the lock that the program before this one has taken; ``back``: a newer one has failed."""
        if self.history is not None and lock >= 0:
            self.history.directory.adopt(lock)
            if back:
                self.history.put_back()

    def settle(self, seconds: float) -> None:
        """Wait until what is queued has been stored, for at most so many seconds."""
        if self.history is not None:
            self.history.settle(seconds)

    def start(self) -> None:
        """Open the history.

        Raises:
            ConfigError: the directory cannot be used.
        """
        if self.history is None:
            return
        try:
            self.history.start()
        except OverseerError as error:
            raise self._config.placed(ConfigError(str(error)), "data_dir") from None
        except OSError as error:
            raise self._config.placed(ConfigError(directory_problem(error)), "data_dir") from None

    def resume(self, hub: Hub, audit: Audit, over: threading.Event) -> set[str]:
        """Restart what was running or waiting when the previous server ended; ``over`` is set when this one
        does.

        Returns the ids of the tasks that were running.
        """
        if self.history is None:
            return set()
        inherited = self.history.inherited
        lost = self._close_unstarted(self.history, inherited.unstarted, hub.definitions.config)
        to_resume = [*inherited.to_resume, *lost]
        hub.standing.restore(inherited.intents)
        if not to_resume:
            hub.standing.start_waiting()
            return set()
        from overseer.daemon.boot import Resumption

        resumption = Resumption(hub, self.history, audit, over)
        ids = resumption.begin(to_resume)
        self.returning = resumption.left
        return ids

    def _close_unstarted(
        self, history: History, unstarted: Sequence[Run], config: Config
    ) -> Sequence[Interrupted]:
        """Record the tasks that were queued when the previous server was killed as lost, and return them;
        standing ones that are started again are not."""
        lost = []
        for run in unstarted:
            if run.task_id in config.tasks and returns(config, run.task_id):
                history.forget_queued(run)
            else:
                lost.append(history.lost_in_queue(run))
        return lost

    def owed(self, room: str) -> list[Change]:
        """What previous servers were still to do, and were killed before."""
        changes = []
        for owed in () if self.history is None else self.history.inherited.owed:
            if owed.room == room:
                try:
                    changes.append(change_in(owed))
                except (KeyError, TypeError, ValueError):
                    _log.exception("what is to follow the end of a run cannot be read")
                    self.paid(owed.run_id, room)
        return changes

    def paid(self, run_id: str, room: str) -> None:
        """Note that a room owes nothing to the end of a run any more."""
        self.recorder.paid(run_id, room)

    def has(self, task_id: str) -> bool:
        """Whether a task of this id is on record."""
        return self.history is not None and self.history.number(task_id) > 0

    def shows(self, task_id: str, principal: Principal) -> bool:
        """Whether there is a run of this id, perhaps one that never began, that the principal may see.

        Raises:
            RequestError: the history cannot be read.
        """
        if self.history is None or not self.has(task_id):
            return False
        from overseer.history.pages import Query

        return bool(self.history.page(Query(task_id, limit=1), principal.scope)[0])

    def apply(self, config: Config) -> None:
        """Apply the new configuration's bounds."""
        if self.history is not None:
            self.history.config = config.storage

    def answer(self, request: RunsRequest, principal: Principal) -> RunsReply:
        """A page of runs.

        Raises:
            RequestError: there is no history, it cannot be read, or ``before`` is not one of its cursors.
        """
        if self.history is None:
            raise RequestError(_NONE, code="not_configured")
        from overseer.history.pages import Query

        query = Query(
            request.task_id,
            request.action,
            request.state,
            request.reason,
            request.since,
            request.until,
            request.limit,
            _cursor(request.before),
            request.run_id,
        )
        runs, following = self.history.page(query, principal.scope)
        if principal.scope is not None:  # it might follow what is not shown
            runs = [_without_origin(run) if run.trigger.type == "chain" else run for run in runs]
        return RunsReply(request.id, tuple(runs), "" if following is None else str(following))

    def sums(self, request: RunStatsRequest, principal: Principal) -> RunStatsReply:
        """Runs summed up.

        Raises:
            RequestError: there is no history, it cannot be read, or its parts cannot be made.
        """
        if self.history is None:
            raise RequestError(_NONE, code="not_configured")
        from overseer.history.pages import Query
        from overseer.history.stats import Division

        if request.every:
            if request.since is None:
                raise RequestError("every needs since, from which the periods are counted", code="invalid")
            periods = ((request.until or now()) - request.since).total_seconds() / request.every
            if periods > _PERIODS:
                raise RequestError(f"every would make more than {_PERIODS} periods", code="invalid")
        query = Query(request.task_id, request.action, since=request.since, until=request.until)
        division = Division(request.by_action, request.every)
        return RunStatsReply(request.id, tuple(self.history.sums(query, principal.scope, division)))


def _without_origin(run: RunInfo) -> RunInfo:
    """The run, without the task whose end it follows."""
    return replace(run, trigger=RunTrigger("chain"))


def _cursor(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise RequestError("before must be the next of an earlier answer", code="invalid")
    return int(text)


def directory_problem(error: OSError) -> str:
    """Why a data directory cannot be used."""
    if error.errno == errno.ENOENT:
        return f"{error.filename}: its parent directory does not exist"
    return f"{error.filename}: {error.strerror or error}"
