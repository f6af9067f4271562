"""Output by HTTP: as text, as lines of JSON, or as server-sent events; what is stored, and what comes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from overseer.api.call import Call
from overseer.api.exchange import OUTPUT, Message
from overseer.api.media import EVENTS, LINES, TEXT, accepted, event, text_line
from overseer.api.problems import refused
from overseer.net.http import Response

_FOREVER = 10 * 365 * 86400.0  # seconds
_COMMENT_S = 15.0  # between signs of life, where an event stream has nothing else to say
_PAGE = 1000
_TOGETHER = 64 * 1024  # bytes that are sent at once
_END = ".end"  # ends the id of the last event


def of_task(call: Call) -> None:
    """A task's output: what is stored and, with ``follow``, what comes, until the task is over."""
    task_id = call.given["task_id"]
    writer = _Writer(call)
    since = _since(call)
    rows = call.exchange.ask("list", task_id=task_id)["tasks"]
    if not rows:
        raise refused(404, "task not found", code="not_found")
    last_seq = call.exchange.last_seq(task_id)
    resumed = call.request.headers.get("last-event-id", "")
    if resumed == f"{last_seq}{_END}" and _is_over(rows[0]):
        call.reply.send(Response(204))
        return
    if "tail" in call.own:
        since = max(0, last_seq - call.count("tail", 0))
    call.exchange.ask("subscribe", task_id=task_id, since_seq=since)
    if call.flag("follow"):
        over_at = last_seq if _is_over(rows[0]) else None
        since = since if over_at is None else min(since, over_at)
        writer.pass_on(call.exchange.messages(time.monotonic() + _FOREVER), task_id, since, over_at)
    else:
        writer.until(call.exchange.messages(time.monotonic() + 600.0), task_id, since, last_seq)


def of_run(call: Call) -> None:
    """The output of one run, also of one that is over, from the log."""
    run_id = call.path["run_id"]
    runs = call.exchange.ask("runs", run_id=run_id)["runs"]
    if not runs:
        raise refused(404, "no such run", code="not_found")
    task_id = runs[0]["task_id"]
    writer = _Writer(call)
    place: dict[str, object] = {"from_seq": _since(call) + 1}
    if "tail" in call.own:
        place = {"tail": call.count("tail", 0)}
    while True:
        page = call.exchange.ask("logs", task_id=task_id, run_id=run_id, limit=_PAGE, **place)
        for line in page["lines"]:
            writer.line({"type": "output", "task_id": task_id, **line})
        if not page["lines"] or page["next_seq"] > page["last_seq"] or "tail" in place:
            break
        place = {"from_seq": page["next_seq"]}
    writer.end()


def events(call: Call) -> None:
    """What happens to all tasks, as server-sent events that begin with all there are."""
    after = call.request.headers.get("last-event-id") or call.given.pop("after", None)
    state = call.exchange.ask("watch", after=after, **call.given)
    call.reply.begin(Response(200, content_type=EVENTS))
    if call.request.method == "HEAD":
        call.reply.end()
        return
    call.reply.write(event(json.dumps(state).encode(), id=state["cursor"], name="watching"))
    said = time.monotonic()
    for line in call.exchange.messages(time.monotonic() + _FOREVER):
        if line:
            message = json.loads(line)
            call.reply.write(event(line, id=message.get("cursor", ""), name=message["type"]))
        elif time.monotonic() - said < _COMMENT_S:
            continue
        else:
            call.reply.write(b": still here\n\n")
        said = time.monotonic()


def _since(call: Call) -> int:
    """The seq of the last line that the client has."""
    resumed = call.request.headers.get("last-event-id", "").removesuffix(_END)
    if resumed.isascii() and resumed.isdigit() and len(resumed) < 19:
        return int(resumed)
    since = call.given.get("since_seq", 0)
    if not isinstance(since, int) or since < 0:
        raise refused(
            422, f"since_seq must be a whole number, not {since!r}", code="invalid", param="since_seq"
        )
    return since


def _is_over(row: Message) -> bool:
    return row.get("status") in ("succeeded", "failed", "errored", "stopped")


class _Writer:
    """Writes lines in the form that the client accepts."""

    def __init__(self, call: Call) -> None:
        self._reply = call.reply
        self._type = accepted(call.request.headers.get("accept", ""), (TEXT, LINES, EVENTS))
        self._stream = call.own.get("stream")
        if self._stream not in (None, "stdout", "stderr"):
            raise refused(422, "stream must be stdout or stderr", code="invalid", param="stream")
        self._write: Callable[[Message, bytes], bytes] = {
            TEXT: lambda message, line: text_line(message),
            LINES: lambda message, line: line + b"\n",
            EVENTS: lambda message, line: event(line, id=str(message["seq"]), name="output"),
        }[self._type]
        self._last_seq = 0
        self._said = time.monotonic()
        self._unsent: list[bytes] = []  # lines that came together leave together
        self._size = 0
        call.exchange.before_wait = self._flush

    def line(self, message: Message, line: bytes = b"") -> None:
        """A line of output."""
        if not self._reply.begun:
            self._reply.begin(Response(200, content_type=self._type))
        self._last_seq = message["seq"]
        if self._stream in (None, message["stream"]):
            self._put(self._write(message, line or json.dumps(message).encode()))

    def other(self, message: Message, line: bytes) -> None:
        """Something else that happened; text has no place for it."""
        if not self._reply.begun:
            self._reply.begin(Response(200, content_type=self._type))
        if self._type == LINES:
            self._put(line + b"\n")
        elif self._type == EVENTS:
            last = message["type"] == "exited" and not message.get("will_restart")
            id = f"{self._last_seq}{_END}" if last else ""
            self._put(event(line, id=id, name=message["type"]))

    def _put(self, data: bytes) -> None:
        self._unsent.append(data)
        self._size += len(data)
        if self._size >= _TOGETHER:
            self._flush()

    def _flush(self) -> None:
        if self._unsent:
            data = b"".join(self._unsent)
            self._unsent, self._size = [], 0
            self._reply.write(data)

    def end(self) -> None:
        self._flush()
        if not self._reply.begun:
            self._reply.begin(Response(200, content_type=self._type))
        self._reply.end()

    def until(self, messages: Iterator[bytes], task_id: str, since: int, last_seq: int) -> None:
        """The lines after ``since`` up to ``last_seq``."""
        for line in messages if since < last_seq else ():
            message: dict[str, Any] = json.loads(line) if line else {}
            if message.get("task_id") != task_id:
                continue
            if line.startswith(OUTPUT):
                if message["seq"] <= last_seq:
                    self.line(message, line)
                if message["seq"] >= last_seq:
                    break
            elif message["type"] == "gap":
                self.other(message, line)
                if message["to_seq"] >= last_seq:
                    break
        self.end()

    def pass_on(self, messages: Iterator[bytes], task_id: str, since: int, over_at: int | None) -> None:
        """Everything that happens to a task after the line ``since``, until it is over. ``over_at``: it is,
        and this is the seq of its last line."""
        self._last_seq = since
        for line in messages:
            if not line:
                self._live()
                if over_at is not None and self._last_seq >= over_at:  # its end is not stored any more
                    break
                continue
            message: dict[str, Any] = json.loads(line)
            if message.get("task_id") != task_id:
                continue
            self._said = time.monotonic()
            if line.startswith(OUTPUT):
                self.line(message, line)
                continue
            if message["type"] == "gap":
                self._last_seq = max(self._last_seq, message["to_seq"])
            self.other(message, line)
            if _ends(message) and (over_at is None or self._last_seq >= over_at):
                break
        self.end()

    def _live(self) -> None:
        """Let the client see, where its form has a way to, that the connection is alive."""
        if not self._reply.begun:
            self._reply.begin(Response(200, content_type=self._type))
        if self._type == EVENTS and time.monotonic() - self._said > _COMMENT_S:
            self._reply.write(b": still here\n\n")
            self._said = time.monotonic()


def _ends(message: Message) -> bool:
    ended = message["type"] == "exited" and not message.get("will_restart")
    return ended or message["type"] == "dequeued"
