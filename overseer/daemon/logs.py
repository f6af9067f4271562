"""The daemon's side of tasks' logs, which exist only with a ``data_dir``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from overseer.auth.rights import Principal
from overseer.config import Config
from overseer.errors import NotPermittedError, RequestError
from overseer.protocol import LogLine, LogMatch, LogsReply, LogsRequest, Matches, Search
from overseer.supervisor.hub import Hub
from overseer.util.timestamps import format_timestamp, parse_timestamp

if TYPE_CHECKING:
    from overseer.history.retention import Removed
    from overseer.logs.store import Logs

_NONE = "this server keeps no logs: its configuration has no data_dir"
_NOT_FOUND = "task not found"


class TaskLogs:
    """Creates the logs, and answers ``logs`` and ``search`` from them.

    Args:
        ours: whether ``data_dir`` is still this server's.
    """

    def __init__(self, config: Config, ours: Callable[[], bool] = lambda: True) -> None:
        self.logs: Logs | None = None
        if config.data_dir:
            from overseer.logs.search import Searches
            from overseer.logs.store import Logs

            self.logs = Logs(str(Path(config.data_dir).absolute() / "logs"), config.storage, ours)
            self._searches = Searches(self.logs.root)

    def apply(self, config: Config) -> None:
        """Apply the new configuration's bounds."""
        if self.logs is not None:
            self.logs.settings = config.storage

    def forget(self, runs: Sequence[Removed]) -> None:
        """Remove the lines of runs that the history has removed."""
        last: dict[str, int] = {}
        for run in runs:
            if run.last_seq is not None:
                last[run.task_id] = max(run.last_seq, last.get(run.task_id, 0))
        if self.logs is not None and last:
            self.logs.forget(last)

    def stop_searching(self) -> None:
        """End all searches, whose requests then fail."""
        if self.logs is not None:
            self._searches.close()

    def page(
        self,
        request: LogsRequest,
        hub: Hub,
        principal: Principal,
        recorded: Callable[[str, Principal], bool],
    ) -> LogsReply:
        """Lines of a task's log; none of a task that has written none, or never ran. ``recorded``: whether
        the history has a task, and the principal may see it.

        Raises:
            RequestError: there are no logs, no such task, or the log cannot be read.
        """
        if self.logs is None:
            raise RequestError(_NONE, code="not_configured")
        from overseer.logs.query import LogQuery, Page, read_page

        if sum(each is not None for each in (request.from_seq, request.tail, request.since)) > 1:
            raise RequestError("from_seq, tail and since are mutually exclusive", code="invalid")
        tail = request.tail
        if tail is None and request.from_seq is None and request.since is None:
            tail = request.limit
        query = LogQuery(
            request.limit,
            request.from_seq or 0,
            tail or 0,
            _text(request.since),
            request.stream,
            request.run_id,
            principal.scope,
        )
        reader = self.logs.reader_of(request.task_id)
        known = hub.listing.action_of(request.task_id)

        def read() -> Page | None:
            action = reader.last_run().action if known is None else known
            if not action:
                return None
            if not principal.sees(action):
                raise NotPermittedError(_NOT_FOUND, code="not_found")
            return read_page(reader, query)

        try:
            page = self.logs.read(read)
        except (OSError, ValueError) as error:
            raise RequestError(f"the log cannot be read: {error}") from None
        if page is None:
            if not recorded(request.task_id, principal):
                raise RequestError(_NOT_FOUND, code="not_found")
            page = Page(0, 0, max(query.from_seq, 1))
        lines = [
            LogLine(line.seq, parse_timestamp(line.ts), line.stream, line.data, line.truncated)
            for line in page.lines
        ]
        return LogsReply(request.id, tuple(lines), page.first_seq, page.last_seq, page.next_seq)

    def search(self, request: Search, principal: Principal, unwanted: Callable[[], bool]) -> Matches:
        """Matching lines of all logs, or of one; ``unwanted``: whether who asked is gone.

        Raises:
            RequestError: there are no logs, or the search failed.
        """
        if self.logs is None:
            raise RequestError(_NONE, code="not_configured")
        from overseer.logs.search import SearchQuery

        query = SearchQuery(
            request.query,
            request.regex,
            request.limit,
            request.task_id,
            request.action,
            _text(request.since),
            _text(request.until),
            principal.actions,
            request.after,
        )
        found = self._searches.search(query, unwanted)
        matches = [
            LogMatch(each.task_id, each.run_id, each.seq, parse_timestamp(each.ts), each.stream, each.data)
            for each in found.matches
        ]
        return Matches(request.id, tuple(matches), found.following)


def _text(moment: datetime | None) -> str:
    return "" if moment is None else format_timestamp(moment)
