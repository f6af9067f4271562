"""Searches logs in a separate process, which has a deadline and can be killed (``standalone.search``)."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from overseer.errors import RequestError
from overseer.logs.directory import name_of, task_of
from overseer.logs.lines import decode
from overseer.logs.standalone.segments import Text
from overseer.util.locks import Rank, assert_none_held, lock

DEADLINE_S = 10.0
_GRACE_S = 2.0  # beyond the deadline, for a process that misses its own alarm
_LOOK_S = 0.2  # how often it is looked whether the result is still wanted
_AT_ONCE = 2
_FOLDER = str(Path(__file__).parent / "standalone")
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); import search; search.main()"


@dataclass(frozen=True)
class SearchQuery:
    """What to search for, and in which lines.

    Attributes:
        since, until: times as written in logs; "": unbounded.
        scope: globs of the actions whose lines may be shown; None: all.
        after: ``following`` of the previous page.
    """

    query: str
    regex: bool
    limit: int
    task_id: str = ""
    action: str = ""
    since: str = ""
    until: str = ""
    scope: tuple[str, ...] | None = None
    after: str = ""


class Match(NamedTuple):
    """A matching line; ``ts`` as written."""

    task_id: str
    run_id: str
    seq: int
    ts: str
    stream: str
    data: str


@dataclass
class Matches:
    """A page of matches; ``following``: where to continue, "" at the end."""

    matches: list[Match] = field(default_factory=list)
    following: str = ""


class Searches:
    """Searches the logs in ``root``, a few searches at a time. Thread-safe."""

    def __init__(self, root: str, deadline: float = DEADLINE_S) -> None:
        self._root = root
        self._deadline = deadline
        self._lock = lock(Rank.LEAF, "searches")  # guards the fields below
        self._running: set[subprocess.Popen[bytes]] = set()
        self._places = _AT_ONCE
        self._closed = False

    def search(self, query: SearchQuery, unwanted: Callable[[], bool] = lambda: False) -> Matches:
        """The matches found within the deadline, or until nobody wants them.

        Raises:
            RequestError: the query is invalid, too many searches are running, or nothing was found in time.
        """
        assert_none_held("searching")
        if "\n" in query.query:
            problem = "query must be a single line, since lines are searched one by one"
            raise RequestError(problem, code="invalid")
        with self._lock:
            if not self._places or self._closed:
                raise RequestError("other searches are running: try again", code="full")
            self._places -= 1
        try:
            return self._run(json.dumps(self._asked(query)).encode(), unwanted)
        finally:
            with self._lock:
                self._places += 1

    def close(self) -> None:
        """Kill running searches, and accept no more."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for process in running:
            process.kill()

    def _asked(self, query: SearchQuery) -> dict[str, Any]:
        return {
            **asdict(query),
            "root": self._root,
            "names": [name_of(query.task_id)] if query.task_id else None,
            "after": _place_of(query.after),
            "deadline": self._deadline,
            "path": sys.path,
        }

    def _run(self, asked: bytes, unwanted: Callable[[], bool]) -> Matches:
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _PROGRAM, _FOLDER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={},
            )
        except OSError as error:
            raise RequestError(f"a search needs a process, which cannot be started: {error}") from None
        with self._lock:
            self._running.add(process)
            if self._closed:
                process.kill()
        try:
            said = self._answer_of(process, asked, unwanted)
        finally:
            with self._lock:
                self._running.discard(process)
            process.kill()
            process.wait()
        return self._read(said, process.returncode)

    def _answer_of(
        self, process: subprocess.Popen[bytes], asked: bytes, unwanted: Callable[[], bool]
    ) -> bytes:
        until = time.monotonic() + self._deadline + _GRACE_S
        given: bytes | None = asked  # it takes that once
        while True:
            try:
                return process.communicate(given, _LOOK_S)[0]
            except subprocess.TimeoutExpired:
                given = None
                if unwanted() or time.monotonic() > until:
                    process.kill()

    def _read(self, said: bytes, status: int) -> Matches:
        found = Matches()
        over = False
        for line in said.split(b"\n")[:-1]:
            what, *rest = json.loads(line)
            if what == "done":
                over = True
            elif what == "error":
                raise RequestError(f"query is not a valid regular expression: {rest[0]}", code="invalid")
            else:
                began, name, first, seq, *match = rest
                found.following = f"{began}/{first}/{seq}/{name}"
                if what == "match":
                    run_id, text = match
                    ((_, (ts,), stream, (data,), _),) = decode(Text(seq, f"{text}\n".encode(), []))
                    task_id = task_of(f"{self._root}/{name}")
                    found.matches.append(Match(task_id, run_id, seq, ts, stream, data))
        if over:
            found.following = ""
        elif status > 0:
            raise RequestError("the search failed")
        elif not found.following:
            raise RequestError(
                f"nothing was found within {self._deadline:g} s: narrow it down, by task, time or query"
            )
        return found


def _place_of(following: str) -> list[Any] | None:
    """Raises RequestError: it is not a cursor of ours."""
    if not following:
        return None
    try:
        began, first, seq, name = following.split("/", 3)
        return [began, name, int(first), int(seq)]
    except ValueError:
        raise RequestError("after must be the next of an earlier answer", code="invalid") from None
