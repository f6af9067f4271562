"""Starting a task and waiting for its end."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from overseer.api.call import Call, bare, json_answer
from overseer.api.ends import has_ended, is_over, may_end
from overseer.api.exchange import Message
from overseer.api.media import JSON, OUTPUT, TEXT, accepted, text_line
from overseer.api.problems import RefusedError, refused
from overseer.auth.rights import Principal
from overseer.net.http import Response
from overseer.util.dataclass_json import from_plain, to_plain
from overseer.util.hashes import sha256
from overseer.util.ids import new_uuid
from overseer.util.locks import Rank, assert_held, lock
from overseer.util.timestamps import now, parse_timestamp

_LINES = 1000  # of output that are kept for an answer, unless it is to have fewer
_BYTES = 16 * 2**20  # of these
_KEYS = 10_000  # Idempotency-Keys that are remembered
_KEY_S = 86400.0  # and for how long
_KEY_LENGTH = 255


@dataclass(slots=True)
class _Key:
    """What was asked for with an Idempotency-Key, and what came of it.

    Attributes:
        asked: a hash.
        task_id: of the task, which is named before it is asked for.
        at: monotonic.
        answer: once it is known.
        open: whoever was to hear the answer is gone, so whether there is such a task is to be found out.
    """

    asked: str
    task_id: str
    at: float = field(default_factory=time.monotonic)
    answer: Message | None = None
    open: bool = False


class Keys:
    """The starts that came with an Idempotency-Key; safe from any thread."""

    def __init__(self) -> None:
        self._lock = lock(Rank.LEAF, "idempotency")
        self._changed = threading.Condition(self._lock)
        self._keys: OrderedDict[tuple[Principal, str], _Key] = OrderedDict()

    def start(self, call: Call) -> tuple[Message, bool]:
        """Start the task, or find the one that was; the answer, and whether it was."""
        key = call.request.headers.get("idempotency-key", "")
        if not key:
            return call.ask(), False
        if len(key) > _KEY_LENGTH:
            raise refused(422, f"an Idempotency-Key has at most {_KEY_LENGTH} characters")
        asked = sha256(json.dumps(call.given, sort_keys=True).encode()).hexdigest()
        place = (call.request.peer.principal, key)
        mine, again = self._turn(place, asked, call.given.get("task_id") or new_uuid())
        if mine.answer is not None:
            return mine.answer, True
        answer: Message | None = None
        refusal = False
        try:
            if again and (row := call.exchange.task(mine.task_id)):
                # A task of that name may have been there before.
                asked_at = now() - timedelta(seconds=time.monotonic() - mine.at)
                answer = row if parse_timestamp(row["created_at"]) >= asked_at else None
            answer = answer or call.ask(task_id=mine.task_id)
        except RefusedError as error:
            refusal = error.response.status != 504  # else it may still be carried out
            raise
        finally:
            with self._lock:
                mine.answer, mine.open = answer, answer is None
                if refusal and self._keys.get(place) is mine:
                    del self._keys[place]
                self._changed.notify_all()
        return answer, again

    def _turn(self, place: tuple[Principal, str], asked: str, task_id: str) -> tuple[_Key, bool]:
        """What is known of a key; without an answer it is the caller's turn to ask, perhaps again."""
        with self._lock:
            self._forget_old_locked()
            while (key := self._keys.get(place)) is not None:
                if key.asked != asked:
                    raise refused(422, "this Idempotency-Key was used for another request")
                if key.answer is not None:
                    return key, True
                if key.open:
                    key.open = False
                    return key, True
                if not self._changed.wait(60.0):
                    raise refused(409, "the request with this Idempotency-Key is still being carried out")
            key = self._keys[place] = _Key(asked, task_id)
            return key, False

    def export(self) -> list[Any]:
        """All of them, for :meth:`restore`."""
        with self._lock:
            return [
                [to_plain(principal), name, key.asked, key.task_id, key.at, key.answer]
                for (principal, name), key in self._keys.items()
            ]

    def restore(self, data: Iterable[Any]) -> None:
        """Go on with those of the program before this one."""
        with self._lock:
            for principal, name, asked, task_id, at, answer in data:
                key = _Key(asked, task_id, at, answer, open=answer is None)
                self._keys[from_plain(Principal, principal), name] = key

    def _forget_old_locked(self) -> None:
        assert_held(self._lock)
        at = time.monotonic()
        while self._keys:
            oldest = next(iter(self._keys.values()))
            if len(self._keys) < _KEYS and at - oldest.at < _KEY_S:
                break
            self._keys.popitem(last=False)


KEYS = Keys()


def start(call: Call) -> Response:
    """Start a task: 201 if it runs, 202 if it is queued; 200 if its end came while it was waited for, 202 if
    an upgrade has cut that short."""
    until = call.wait_until
    answer, repeated = KEYS.start(call)
    warnings = answer.get("warnings", [])
    task_id = answer["task_id"]
    if until and repeated:
        call.exchange.ask("subscribe", task_id=task_id, since_seq=0)
        row = call.exchange.task(task_id)
        if not row or is_over(row):
            return _ended(call, task_id, call.exchange.send("unsubscribe", task_id=task_id), warnings)
    if until and (end := _wait(call, task_id, until, warnings)) is not None:
        return end
    row = call.exchange.task(task_id)
    started = "pid" in answer and not (until and call.exchange.hastened)  # what was waited for is to come
    body = {**(row or {"task_id": task_id}), **({"warnings": warnings} if warnings else {})}
    return json_answer(body, 201 if started else 202, _location(task_id))


def wait_for_end(call: Call) -> Response:
    """Do what is asked of a task; with ``wait``, answer with its end if that comes in time."""
    task_id = call.given["task_id"]
    until = call.wait_until
    if until:
        since = max(0, call.exchange.last_seq(task_id) - call.count("lines", _LINES))
        call.exchange.ask("subscribe", task_id=task_id, since_seq=since)
    sent = call.exchange.send(call.operation.request.type, **call.given)
    # A stop is not answered; a refusal of it comes before the answer to what is asked next.
    row = call.exchange.task(task_id, sent)
    if until:
        if (end := _wait(call, task_id, until)) is not None:
            return end
        row = call.exchange.task(task_id)
    return json_answer(row, 202, _location(task_id))


def _location(task_id: str) -> tuple[str, str]:
    return "Location", f"/api/v1/tasks/{quote(task_id, safe='')}"


class _Tail:
    """The last lines of output, of which an answer is made."""

    def __init__(self, most: int) -> None:
        self.lines: deque[bytes] = deque()
        self._most = most
        self._size = 0

    def add(self, line: bytes) -> None:
        self.lines.append(line)
        self._size += len(line)
        while len(self.lines) > self._most or (self._size > _BYTES and len(self.lines) > 1):
            self._size -= len(self.lines.popleft())


def _wait(call: Call, task_id: str, until: float, warnings: Sequence[str] = ()) -> Response | None:
    tail = _Tail(call.count("lines", _LINES))
    created_at = call.exchange.task(task_id).get("created_at")
    for line in call.exchange.messages(until):
        if line.startswith(OUTPUT):
            tail.add(line)
        elif line and may_end(json.loads(line), task_id) and has_ended(call.exchange, task_id, created_at):
            return _answer(call, task_id, tail, warnings)
        if call.exchange.hastened:
            break
    return None


def _ended(call: Call, task_id: str, mark: str, warnings: Sequence[str]) -> Response:
    """The answer for a task that was over already: its lines come before the answer to ``mark``."""
    tail = _Tail(call.count("lines", _LINES))
    for line in call.exchange.messages(time.monotonic() + 60.0):
        if line.startswith(OUTPUT):
            tail.add(line)
        elif line and json.loads(line).get("id") == mark:
            break
    return _answer(call, task_id, tail, warnings)


def _answer(call: Call, task_id: str, tail: _Tail, warnings: Sequence[str]) -> Response:
    info = call.exchange.task(task_id)
    output = [json.loads(line) for line in tail.lines]
    end = {
        "task_id": task_id,
        "action": info.get("action", ""),
        "status": info.get("status", "stopped"),
        "exit_code": info.get("last_exit_code"),
        "signal": info.get("last_signal", ""),
        "reason": info.get("reason", ""),
        "duration_ms": info.get("duration_ms"),
    }
    if accepted(call.request.headers.get("accept", ""), (JSON, TEXT)) == JSON:
        shown = [{name: line[name] for name in ("seq", "ts", "stream", "data")} for line in output]
        return json_answer({**end, **({"warnings": warnings} if warnings else {}), "output": shown})
    headers = (
        ("Overseer-Task-Id", quote(task_id)),
        ("Overseer-Status", end["status"]),
        ("Overseer-Exit-Code", "" if end["exit_code"] is None else str(end["exit_code"])),
        *(("Overseer-Warning", quote(warning, safe=" ,;:?")) for warning in warnings),
    )
    return Response(200, b"".join(map(text_line, output)), TEXT, headers)


def upgrade(call: Call) -> Response:
    """Upgrade the server, or try whether that can be done. As this connection does not outlive an upgrade,
    the answer is 202 as soon as that begins; what came of it is where Location says."""
    sent = call.exchange.send(call.operation.request.type, **call.given)
    answer = call.exchange.answer_unless_hastened(sent)
    if answer is None:
        return json_answer({"detail": "it has begun"}, 202, ("Location", "/api/v1/upgrade"))
    return json_answer(bare(answer))
