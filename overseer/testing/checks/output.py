"""Checks: what becomes of the output."""

from __future__ import annotations

import threading
import time

import pytest

from overseer.testing import contract
from overseer.testing.checks.base import Checks, expect
from overseer.testing.contract import Broken
from overseer.testing.leaks import memory
from overseer.testing.run import Run
from overseer.testing.server import Server
from overseer.workers.base import OutputBatch

_MANY = 50_000
_LONG = 1 << 20  # bytes of a line
_FLOOD = 64 << 20  # bytes printed to a consumer that takes none
_ROOM = 24 << 20  # bytes of these that may be under way: pipes, sockets, buffers, the allocator
_WATCHED_S = 1.0  # seconds in which memory does not grow, while on_output blocks, until it counts as bounded
_STEP = 1 << 18  # bytes more that count as growth
_SECRET = "k1t-s3cret-value"


class _Numbers:
    """Takes what ``counts`` prints; keeps none of it."""

    def __init__(self, width: int) -> None:
        self._width = width
        self.last = 0
        self.wrong = ""

    def take(self, batch: OutputBatch) -> None:
        for line in batch.lines if not self.wrong and batch.stream == "stdout" else ():
            wanted = f"{self.last + 1:0{self._width}d}"
            if line != wanted:
                self.wrong = f"after line {self.last} of {len(wanted)} digits came {_brief(line)}"
                return
            self.last += 1


class OutputChecks(Checks):
    def test_lines_arrive_as_they_were_written(self) -> None:
        self._prints("first", "", "  a space at both ends ", "\u00fc\u2713\U0001f600", "a\tb", "last")

    def test_a_single_line_arrives(self) -> None:
        self._prints("only")

    def test_a_run_without_output_has_none(self) -> None:
        self._prints()

    def test_a_large_output_arrives_whole_and_in_order(self) -> None:
        self._check_counting(_MANY, 30)

    def test_long_lines_arrive_whole(self) -> None:
        self._check_counting(3, _LONG)

    def test_a_line_that_is_too_long_is_cut(self) -> None:
        with self._server(self._counting(2, 5000)) as server:
            run = server.run(max_line=1000).start().finish()
            for number, batch in enumerate(run.batches, 1):
                cut = len(batch.lines) == 1 and batch.truncated
                seen = f"a batch of {len(batch.lines)} lines, truncated: {batch.truncated}"
                expect(cut, contract.LONG_LINES, f"with 1000 for max_line, 5000 bytes arrived in {seen}")
                length = len(batch.lines[0].encode())
                seen = f"line {number} arrived with {length} bytes, not 1000"
                expect(length <= 1000, contract.LONG_LINES, seen)
            expect(len(run.batches) == 2, contract.LONG_LINES, f"two lines arrived as {run.count}")

    def test_bytes_that_are_not_utf8_are_replaced(self) -> None:
        self._prints_bytes(b"a\xffb\n\xc3\x28\n\xe2\x82\n", ["a\ufffdb", "\ufffd(", "\ufffd\ufffd"])

    def test_a_last_line_without_an_end_arrives(self) -> None:
        self._prints_bytes(b"one\ntwo", ["one", "two"])

    def test_a_line_arrives_when_it_is_written(self) -> None:
        script = self._talking()
        lines = list(script.lines or ())
        with self._server(script) as server:
            run = self._started(server)
            came = run.lines["stdout"][: len(lines)]
            expect(came == lines, contract.ORDER, f"the lines were {came!r}, not {lines!r}")
            run.stop()
            run.finish()

    def test_output_waits_while_it_is_not_taken_and_none_is_lost(self) -> None:
        width = 1000
        numbers, go_on = _Numbers(width), threading.Event()

        def take(batch: OutputBatch) -> None:
            go_on.wait()
            numbers.take(batch)

        with self._server(self._counting(_FLOOD // width, width)) as server:
            run = server.run(taker=take, keep=False)
            try:
                before = memory()
                run.start()
                run.wait_for_lines(1, contract.ORDER)
                grown = self._watch_memory(server, before)
            finally:
                go_on.set()
            mib = f"{grown / (1 << 20):.0f} MiB"
            seen = f"memory had grown by {mib} while on_output had taken {run.count} lines of 1 kB"
            expect(grown <= _ROOM, contract.PRESSURE, seen)
            self._counted(run, numbers, _FLOOD // width)

    def _watch_memory(self, server: Server, before: int) -> int:
        """The most by which memory, that of the processes of the run included, grows until it grows no more.

        A program's own memory at its start does not count: it is measured from its first look.
        """
        own = memory(*server.processes()) - memory()
        latest, most = time.monotonic() + self.patience, 0
        until = time.monotonic() + _WATCHED_S
        while time.monotonic() < min(until, latest) and most <= _ROOM:
            grown = memory(*server.processes()) - own - before
            if grown > most + _STEP:
                most, until = grown, time.monotonic() + _WATCHED_S
            time.sleep(0.02)
        return most

    def test_a_batch_that_cannot_be_taken_is_lost_and_no_other(self) -> None:
        refused = threading.Event()

        def refuse(batch: OutputBatch) -> None:
            if not refused.is_set():
                refused.set()
                raise RuntimeError("a batch that is refused on purpose")

        with self._server(self._talking()) as server:
            run = server.run(taker=refuse).start()
            run.wait_for_lines(1)
            run.stop()
            run.finish(contract.OUTPUT_RAISES)
        counting = self.counts(_MANY, 30)
        if counting is None:
            return
        refused.clear()
        with self._server(counting) as server:
            run = server.run(taker=refuse).start().finish(contract.OUTPUT_RAISES)
            seen = f"{run.count} of {_MANY} lines came, the refused ones included"
            expect(run.count == _MANY, contract.OUTPUT_RAISES, seen)

    def test_secrets_are_masked(self) -> None:
        script, lines = self._printing(f"before {_SECRET} after")
        if not any(_SECRET in line for line in lines):
            pytest.skip("the driver does not print what it is told to")
        with self._server(script) as server:
            run = server.run(secrets=[_SECRET]).start().finish()
            if run.worker.hides_secrets:
                shown = [line for line in run.lines["stdout"] if _SECRET in line]
                expect(not shown, contract.SECRETS, f"a line was {shown!r}")

    def _prints(self, *lines: str) -> None:
        script, expected = self._printing(*lines)
        with self._server(script) as server:
            run = server.run().start().finish()
            self._same(run, expected)
            code = 0 if script.code is None else script.code
            expect(run.exits[0][1] == code, contract.CODE, f"the exit code was {run.exits[0][1]}, not {code}")

    def _prints_bytes(self, data: bytes, lines: list[str]) -> None:
        with self._server(self._given(self.prints_bytes(data), "prints_bytes")) as server:
            run = server.run().start().finish()
            came = run.lines["stdout"]
            expect(came == lines, contract.UTF8, f"{data!r} arrived as {came!r}, not {lines!r}")

    def _same(self, run: Run, lines: list[str]) -> None:
        came = run.lines["stdout"]
        if came == lines:
            return
        pairs = enumerate(zip(came, lines, strict=False))
        at = next((n for n, (got, wanted) in pairs if got != wanted), min(len(came), len(lines)))
        got, wanted = (_brief(each[at]) if at < len(each) else "no more lines" for each in (came, lines))
        raise Broken(contract.ORDER, f"after {at} lines came {got}, not {wanted}")

    def _check_counting(self, last: int, width: int) -> None:
        numbers = _Numbers(width)
        with self._server(self._counting(last, width)) as server:
            run = server.run(taker=numbers.take, keep=False).start()
            self._counted(run, numbers, last)

    def _counted(self, run: Run, numbers: _Numbers, last: int) -> None:
        self._wait_while_lines_come(run)
        run.finish()
        expect(not numbers.wrong, contract.ORDER, numbers.wrong)
        expect(numbers.last == last, contract.ORDER, f"{numbers.last} lines came, not {last}")

    def _wait_while_lines_come(self, run: Run) -> None:
        seen, since = -1, time.monotonic()
        while not run.exits and time.monotonic() - since < self.patience:
            if run.count != seen:
                seen, since = run.count, time.monotonic()
            time.sleep(0.02)


def _brief(line: str) -> str:
    return repr(line) if len(line) < 80 else f"{line[:30]!r}...{line[-30:]!r} ({len(line)} characters)"
