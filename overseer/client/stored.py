"""The requests about the server's logs, and sums of its runs."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from overseer.client.arguments import (
    Moment,
    Seconds,
    TaskId,
    moment_of,
    name_of,
    optional_id,
    seconds_of,
    task_id_of,
    text_of,
)
from overseer.client.errors import ClientError
from overseer.client.requests import PAGE, Requests
from overseer.protocol import (
    ActionInfo,
    LogLine,
    LogMatch,
    LogsReply,
    LogsRequest,
    Matches,
    RunStats,
    RunStatsReply,
    RunStatsRequest,
    Search,
)


class StoredRequests(Requests):
    def run_stats(
        self,
        task_id: TaskId | None = None,
        *,
        action: ActionInfo | str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        every: Seconds | None = None,
        by_action: bool = False,
        timeout: Seconds | None = None,
    ) -> tuple[RunStats, ...]:
        """The runs of the history summed up: how many there were, what became of them, how long they took.
        ``since`` and ``until`` bound their starts. Apart for each action (``by_action``), and for each
        ``every`` (whole seconds) from ``since`` on, where any began.

        Raises:
            RefusedError: the server keeps no history (``data_dir``), or ``every`` makes too many parts.
        """
        request = RunStatsRequest(
            "",
            task_id=optional_id(task_id),
            action=name_of(action),
            since=moment_of(since),
            until=moment_of(until, "until"),
            every=ceil(seconds_of(every, "every") or 0),
            by_action=by_action,
        )
        return self._expect(RunStatsReply, request, timeout, repeat=True).stats

    def logs(
        self,
        task_id: TaskId,
        *,
        run_id: str = "",
        from_seq: int | None = None,
        tail: int | None = None,
        since: Moment | None = None,
        stream: str = "",
        limit: int = 100,
        timeout: Seconds | None = None,
    ) -> tuple[LogLine, ...]:
        """Lines of a task's log: from ``from_seq`` or ``since`` on, at most ``limit`` of them (0: all), or
        the last ``tail`` (at most 1000). Without any of these the last ``limit`` (at most 1000; 0: all
        there are). The server may have forgotten the task.

        Raises:
            ClientError: a ``limit`` above 1000, and nowhere to begin.
            RefusedError: the server keeps no logs (``data_dir``), or knows no such task and has no log of it.
        """
        if tail is None and from_seq is None and since is None:
            if limit > PAGE:
                raise ClientError(
                    f"from the end, {PAGE} lines can be read at most, not {limit}: say where to begin, as "
                    "with from_seq=1"
                )
            from_seq, tail = (None, limit) if limit else (0, None)
        request = LogsRequest(
            id="",
            task_id=task_id_of(task_id),
            run_id=text_of(run_id, "run_id", empty=True),
            from_seq=from_seq,
            tail=tail,
            since=moment_of(since),
            stream=text_of(stream, "stream", empty=True),
        )
        found: list[LogLine] = []
        while True:
            page = request.tail or min(limit - len(found) if limit else PAGE, PAGE)
            reply = self._expect(LogsReply, replace(request, limit=page), timeout, repeat=True)
            found += reply.lines
            if request.tail is not None or (limit and len(found) >= limit) or reply.next_seq > reply.last_seq:
                return tuple(found)
            if not reply.lines and reply.next_seq == request.from_seq:  # the end of the run
                return tuple(found)
            request = replace(request, from_seq=reply.next_seq, since=None)

    def search(
        self,
        query: str,
        *,
        regex: bool = False,
        task_id: TaskId | None = None,
        action: ActionInfo | str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        limit: int = 100,
        timeout: Seconds | None = None,
    ) -> tuple[LogMatch, ...]:
        """Lines of logs that contain a string or, with ``regex``, match an expression: from the newest parts
        of the logs back, and from each part the last ones. At most ``limit``; 0: all.

        Raises:
            RefusedError: the server keeps no logs (``data_dir``), or found nothing in time.
        """
        request = Search(
            id="",
            query=text_of(query, "query"),
            regex=regex,
            task_id=optional_id(task_id),
            action=name_of(action),
            since=moment_of(since),
            until=moment_of(until, "until"),
        )
        return self._pages(Matches, request, lambda reply: reply.matches, limit, timeout)
