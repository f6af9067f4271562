"""Output by HTTP: as text, as lines of JSON, or as server-sent events; what is stored, and what comes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

from overseer.api.call import Call, first
from overseer.api.ends import has_ended, is_over, may_end
from overseer.api.exchange import Message
from overseer.api.media import (
    EVENTS,
    LINES,
    TEXT,
    accepted,
    as_events,
    as_text,
    event,
    last_seq,
    only_output,
)
from overseer.api.problems import STATUSES, RefusedError, refused
from overseer.net.http import Response

_FOREVER = 10 * 365 * 86400.0  # seconds
_COMMENT_S = 15.0  # between signs of life, where an event stream has nothing else to say
_LONGEST_S = 600.0  # for what is stored
_PAGE = 1000
_END = ".end"  # ends the id of what may be the last event; before it is when its run ended
_FORMS: dict[str, Callable[[bytes], bytes]] = {TEXT: as_text, LINES: bytes, EVENTS: as_events}


def of_task(call: Call) -> None:
    """A task's output: what is stored and, with ``follow``, what comes, until the task is over."""
    task_id = call.given["task_id"]
    writer = _Writer(call)
    since = _since(call)
    follow = call.flag("follow")
    rows = call.exchange.ask("list", task_id=task_id)["tasks"]
    if not rows:  # the server may have forgotten it, or be a later one
        _write_log(call, writer, since, _last_run(call, task_id), task_id=task_id)
        return
    row = rows[0]
    last_seq = call.exchange.last_seq(task_id)
    if _resumed(call) == f"{last_seq}.{row.get('last_exited_at')}{_END}" and is_over(row):
        call.reply.send(Response(204))
        return
    if "tail" in call.own:
        since = max(0, last_seq - call.count("tail", 0))
    call.exchange.ask("subscribe", task_id=task_id, since_seq=since)
    if follow:
        over_at = last_seq if is_over(row) else None
        writer.pass_on(
            task_id,
            since if over_at is None else min(since, over_at),
            over_at,
            lambda message: may_end(message, task_id),
            lambda: has_ended(call.exchange, task_id, row["created_at"]),
        )
    else:
        writer.until(task_id, since, last_seq)


def of_run(call: Call) -> None:
    """The output of one run: what is stored and, with ``follow``, what comes, until the run is over."""
    writer = _Writer(call)
    since = _since(call)
    follow = call.flag("follow")
    run = _run(call)
    task_id = run["task_id"]
    if follow and _goes_on(run):
        last_seq = call.exchange.last_seq(task_id)
        if "tail" in call.own:
            since = max(0, last_seq - call.count("tail", 0))
        since = max(since, run["first_seq"] - 1)
        call.exchange.ask("subscribe", task_id=task_id, since_seq=since)
        run = _run(call)
        if _goes_on(run):
            # An end that came before that answer is of the run before; the next one is this run's.
            call.exchange.drop(lambda message: message["type"] == "exited")
            writer.pass_on(
                task_id, since, None, lambda message: message["type"] == "exited", lambda: True
            )
            return
        call.exchange.ask("unsubscribe", task_id=task_id)
        call.exchange.passed.clear()
    _write_log(call, writer, since, run, task_id=task_id, run_id=run["run_id"])


def _run(call: Call) -> Message:
    return first(call.exchange.ask("runs", run_id=call.path["run_id"])["runs"], "no such run")


def _goes_on(run: Message) -> bool:
    return bool(run["status"] == "running")


def _last_run(call: Call, task_id: str) -> Message:
    """The last run of a task that is not listed any more."""
    try:
        runs = call.exchange.ask("runs", task_id=task_id, limit=1)["runs"]
    except RefusedError as error:
        if error.response.status != STATUSES["not_configured"]:
            raise
        runs = []
    return first(runs, "task not found")


def _write_log(call: Call, writer: _Writer, since: int, run: Message, **which: str) -> None:
    """What a log has after the line ``since`` and, with ``follow``, the end of its last ``run``."""
    follow = call.flag("follow") and not _goes_on(run)
    end = _end_of(run)
    if follow and _resumed(call).endswith(f".{end['ts']}{_END}"):
        call.reply.send(Response(204))
        return
    if "tail" in call.own:
        lines = call.exchange.ask("logs", **which, tail=1)["lines"]
        last_seq = lines[-1]["seq"] if lines else 0
        since = max(0, last_seq - call.count("tail", 0))
    from_seq = since + 1
    while True:
        page = call.exchange.ask("logs", **which, from_seq=from_seq, limit=_PAGE)
        lines = page["lines"]
        messages = ({"type": "output", "task_id": run["task_id"], **line} for line in lines)
        writer.write(writer.output(b"".join(map(_as_line, messages))))
        if lines:
            since = lines[-1]["seq"]
        if page["next_seq"] > page["last_seq"] or page["next_seq"] <= from_seq:
            break
        from_seq = page["next_seq"]
    if follow:
        writer.write_end(end, since)
    writer.end()


def _end_of(run: Message) -> Message:
    """The ``exited`` of a run that is over, as far as its row says."""
    names = ("exit_code", "signal", "reason", "duration_ms", "cpu_ms", "max_rss", "host")
    return {
        "type": "exited",
        "task_id": run["task_id"],
        "intentional": run.get("reason") in ("stopped", "shutdown"),
        "ts": run.get("ended", run["started"]),
        **{name: run[name] for name in names if name in run},
    }


def _as_line(message: Message) -> bytes:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def _resumed(call: Call) -> str:
    """The id of the last event that the client has."""
    return call.request.headers.get("last-event-id", "")


def events(call: Call) -> None:
    """What happens to all tasks, as server-sent events that begin with all there are."""
    after = call.request.headers.get("last-event-id") or call.given.pop("after", None)
    state = call.exchange.ask("watch", after=after, **call.given)
    call.reply.begin(Response(200, content_type=EVENTS))
    if call.request.method == "HEAD":
        call.reply.end()
        return
    call.reply.write(event(json.dumps(state).encode(), id=state["cursor"], name="watching"))
    for _ in _follow(call, _as_events, events=True):
        pass


def _follow(call: Call, form: Callable[[bytes], bytes], *, events: bool) -> Iterator[bool]:
    """Pass on what comes, as :meth:`Exchange.pass_on`, with a comment now and then in a stream of events."""
    said = time.monotonic()
    for came in call.exchange.pass_on(time.monotonic() + _FOREVER, form, call.reply.offer):
        if came:
            said = time.monotonic()
        elif events and time.monotonic() - said > _COMMENT_S:
            call.reply.write(b": still here\n\n")
            said = time.monotonic()
        yield came


def _as_events(lines: bytes) -> bytes:
    events = []
    for line in lines.split(b"\n")[:-1]:
        message = json.loads(line)
        events.append(event(line, id=message.get("cursor", ""), name=message["type"]))
    return b"".join(events)


def _since(call: Call) -> int:
    """The seq of the last line that the client has."""
    resumed = _resumed(call).partition(".")[0]
    if resumed.isascii() and resumed.isdigit() and len(resumed) < 19:
        return int(resumed)
    since = call.given.get("since_seq", 0)
    if not isinstance(since, int) or since < 0:
        raise refused(
            422, f"since_seq must be a whole number, not {since!r}", code="invalid", param="since_seq"
        )
    return since


class _Writer:
    """Writes lines in the form that the client accepts."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._reply = call.reply
        self._type = accepted(call.request.headers.get("accept", ""), (TEXT, LINES, EVENTS))
        self._stream = call.own.get("stream")
        if self._stream not in (None, "stdout", "stderr"):
            raise refused(422, "stream must be stdout or stderr", code="invalid", param="stream")
        self._form = _FORMS[self._type]
        self._last_seq = 0
        self._over = False
        self._after: list[bytes] = []  # messages that came with the one that was the last, and after it

    def write(self, data: bytes) -> None:
        self._begin()
        self._reply.write(data)

    def end(self) -> None:
        self._begin()
        self._reply.end()

    def _begin(self) -> None:
        if not self._reply.begun:
            self._reply.begin(Response(200, content_type=self._type))

    def until(self, task_id: str, since: int, last_seq: int) -> None:
        """The lines after ``since`` up to ``last_seq``."""

        def made(lines: bytes) -> bytes:
            return self._made(lines, task_id, last_seq, lambda _: self._last_seq >= last_seq)

        self._begin()
        if since < last_seq:
            for _ in self._call.exchange.pass_on(time.monotonic() + _LONGEST_S, made, self._reply.offer):
                if self._over:
                    break
        self.end()

    def pass_on(
        self,
        task_id: str,
        since: int,
        over_at: int | None,
        may_end: Callable[[Message], bool],
        has_ended: Callable[[], bool],
    ) -> None:
        """Everything that happens to a task after the line ``since``, until a message ``may_end`` what is
        followed, and it ``has_ended``. ``over_at``: it has already, and this is the seq of its last line."""

        def all_read() -> bool:
            return over_at is None or self._last_seq >= over_at

        def made(lines: bytes) -> bytes:
            return self._made(lines, task_id, None, lambda message: may_end(message) and all_read())

        self._begin()
        self._last_seq = since
        for came in _follow(self._call, made, events=self._type == EVENTS):
            if self._over:
                self._call.exchange.read_again(self._after)
                self._over = has_ended()
            # Once nothing more comes of what is over, its end is not stored any more.
            if self._over or (not came and over_at is not None and all_read()):
                break
        self.end()

    def _made(self, lines: bytes, task_id: str, up_to: int | None, ends: Callable[[Message], bool]) -> bytes:
        """What is written of these messages, the one that ``ends`` it being the last; with ``up_to``, only
        output, and none after that seq."""
        if only_output(lines) and (up_to is None or last_seq(lines) < up_to):
            self._last_seq = last_seq(lines)
            return self.output(lines)
        written = []
        whole = lines.splitlines(keepends=True)
        for number, line in enumerate(whole, 1):
            message = json.loads(line)
            if message.get("task_id") != task_id:
                continue
            if message["type"] == "output":
                self._last_seq = message["seq"]
                if up_to is None or self._last_seq <= up_to:
                    written.append(self.output(line))
            elif up_to is None or message["type"] == "gap":
                self._last_seq = max(self._last_seq, message.get("to_seq", 0))
                written.append(self._other(message, line, ends))
            if ends(message):
                self._over = True
                self._after = [line.rstrip(b"\n") for line in whole[number:]]
                break
        return b"".join(written)

    def output(self, lines: bytes) -> bytes:
        """Lines of output, those of the stream that is wanted."""
        if self._stream is not None:
            mine = b'"stream":"%b"' % self._stream.encode()
            lines = b"".join([line for line in lines.splitlines(keepends=True) if mine in line])
        return self._form(lines)

    def write_end(self, end: Message, last_seq: int) -> None:
        """The ``exited`` after the line with this seq."""
        self._last_seq = last_seq
        self.write(self._other(end, _as_line(end), lambda message: True))

    def _other(self, message: Message, line: bytes, ends: Callable[[Message], bool]) -> bytes:
        """Something else that happened; text has no place for it."""
        if self._type == LINES:
            return line
        if self._type == TEXT:
            return b""
        last = message["type"] == "exited" and ends(message)
        id = f"{self._last_seq}.{message['ts']}{_END}" if last else ""
        return event(line.rstrip(b"\n"), id=id, name=message["type"])
