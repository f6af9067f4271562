"""Workers that are Python functions."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from overseer.process.policy import StopPolicy
from overseer.workers.base import OutputBatch, RunContext, Worker, WorkerCallbacks
from overseer.workers.thread import Send, VirtualContext, abandoned_count, start_virtual_worker
from tests.workers.support import Recorder

PATIENCE = 30


def start(fn: object, grace: float = 5.0, max_line: int = 1000) -> tuple[Worker, Recorder]:
    recorder = Recorder()
    callbacks = replace(
        recorder.callbacks, run=RunContext("v", stop=StopPolicy(grace=grace), max_line=max_line)
    )
    return start_virtual_worker("v", fn, callbacks), recorder  # type: ignore[arg-type]


def end(recorder: Recorder) -> tuple[int, bool]:
    [(_, code, intentional, _)] = recorder.exits
    assert isinstance(recorder.events[-1], tuple), "on_exited comes last"
    return code, intentional


def until_none_is_abandoned() -> None:
    deadline = time.monotonic() + PATIENCE
    while abandoned_count() and time.monotonic() < deadline:
        time.sleep(0.001)  # there is no event for a thread's end
    assert abandoned_count() == 0


def test_a_function_is_a_run() -> None:
    def work(context: VirtualContext, send: Send) -> int:
        send("stdout", f"this is {context.task_id}")
        send("stderr", "oh")
        return 3

    worker, recorder = start(work)
    assert worker.wait(PATIENCE)
    assert (recorder.lines(), recorder.lines("stderr")) == (["this is v"], ["oh"])
    assert end(recorder) == (3, False)
    assert (worker.pid, worker.state, worker.exit_code, worker.signal) == (0, "exited", 3, "")
    assert repr(worker) == "<VirtualWorker 'v' pid 0 exited 3>"


@pytest.mark.parametrize(("result", "code"), [(None, 0), (0, 0), (True, 1), (-1, -1), (255, 255)])
def test_what_it_returns_is_the_exit_code(result: object, code: int) -> None:
    worker, recorder = start(lambda context, send: result)
    assert worker.wait(PATIENCE)
    assert end(recorder) == (code, False)
    assert recorder.batches == []


class Unspeakable(Exception):
    def __str__(self) -> str:
        return self.response.text  # type: ignore[attr-defined,no-any-return]  # it has none


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (ValueError("what\nnow"), ["what", "now"]),
        (KeyError(), ["KeyError"]),
        (SystemExit(4), ["4"]),
        (Unspeakable(), ["Unspeakable"]),
    ],
)
def test_an_exception_is_exit_code_1_and_its_text_on_stderr(error: BaseException, lines: list[str]) -> None:
    def fail(context: VirtualContext, send: Send) -> int:
        raise error

    worker, recorder = start(fail)
    assert worker.wait(PATIENCE)
    assert recorder.lines("stderr") == lines
    assert end(recorder) == (1, False)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("a", ["a"]),
        ("a\n", ["a"]),
        ("a\nb", ["a", "b"]),
        ("a\r\nb\r\n", ["a", "b"]),
        ("a\n\n", ["a", ""]),
        ("\n", [""]),
        ("ä\u2028\x85🎉", ["ä\u2028\x85🎉"]),
        ("\ud800", ["\ufffd\ufffd\ufffd"]),
    ],
)
def test_a_text_with_newlines_is_several_lines(text: str, lines: list[str]) -> None:
    worker, recorder = start(lambda context, send: send("stdout", text))
    assert worker.wait(PATIENCE)
    assert recorder.lines() == lines
    assert len(recorder.batches) == 1


def test_a_line_over_the_limit_is_cut() -> None:
    worker, recorder = start(lambda context, send: send("stdout", "123456\nab"), max_line=5)
    assert worker.wait(PATIENCE)
    batches = [(batch.lines, batch.truncated) for batch in recorder.batches]
    assert batches == [(["12345"], True), (["ab"], False)]


@pytest.mark.parametrize("arguments", [("stdin", "x"), ("stdout", b"x"), ("stdout", None)])
def test_sending_nonsense_is_the_function_s_own_error(arguments: tuple[str, str]) -> None:
    worker, recorder = start(lambda context, send: send(*arguments))
    assert worker.wait(PATIENCE)
    assert end(recorder) == (1, False)
    assert len(recorder.lines("stderr")) == 1


def test_a_stop_ends_its_waits() -> None:
    def work(context: VirtualContext, send: Send) -> int:
        send("stdout", "up")
        stopped = context.wait(60)
        send("stdout", f"{stopped} {context.stopped.is_set()}")
        return 7

    worker, recorder = start(work)
    recorder.words(1)
    worker.stop()
    worker.stop(60)
    assert worker.wait(PATIENCE)
    assert recorder.lines() == ["up", "True True"]
    assert end(recorder) == (7, True)
    worker.stop()
    assert repr(worker) == "<VirtualWorker 'v' pid 0 exited 7>"


def test_one_that_ignores_its_stop_is_abandoned_and_counted_until_it_returns() -> None:
    release, returned = threading.Event(), threading.Event()

    def deaf(context: VirtualContext, send: Send) -> int:
        send("stdout", "up")
        release.wait(PATIENCE)
        send("stdout", "too late")
        returned.set()
        return 0

    worker, recorder = start(deaf, grace=60)
    recorder.words(1)
    before = abandoned_count()
    worker.stop()
    assert not worker.wait(0.1)
    worker.stop(0.1)
    assert worker.wait(PATIENCE)
    assert end(recorder) == (-1, True)
    assert abandoned_count() == before + 1
    assert "abandoned" in recorder.log[0]
    release.set()
    assert returned.wait(PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while abandoned_count() != before and time.monotonic() < deadline:
        time.sleep(0.001)
    assert abandoned_count() == before
    assert recorder.lines() == ["up"]
    assert len(recorder.exits) == 1


def test_many_threads_send_and_each_keeps_its_order() -> None:
    inside = threading.Lock()
    recorder = Recorder()

    def on_output(batch: OutputBatch) -> None:
        assert inside.acquire(blocking=False), "two batches at once"
        recorder.callbacks.on_output(batch)
        time.sleep(0)  # let another in, if it can get in
        inside.release()

    def work(context: VirtualContext, send: Send) -> int:
        def some(thread: int) -> None:
            for number in range(100):
                send("stdout", f"{thread} {number}")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(some, range(8)))
        return 0

    callbacks = WorkerCallbacks(on_output, print, recorder.callbacks.on_exited)
    assert start_virtual_worker("v", work, callbacks).wait(PATIENCE)
    assert end(recorder) == (0, False)
    for thread in range(8):
        mine = [int(line.split()[1]) for line in recorder.lines() if line.startswith(f"{thread} ")]
        assert mine == list(range(100))


def test_a_listener_that_blocks_is_waited_for_before_the_exit_even_after_the_grace() -> None:
    entered, release = threading.Event(), threading.Event()
    events: list[str] = []

    def block(batch: OutputBatch) -> None:
        entered.set()
        release.wait(PATIENCE)
        events.append("output returned")

    worker = start_virtual_worker(
        "v",
        lambda context, send: send("stdout", "x"),  # type: ignore[func-returns-value]
        WorkerCallbacks(block, events.append, lambda *_: events.append("exited")),
    )
    assert entered.wait(PATIENCE)
    worker.stop(0.05)
    assert not worker.wait(0.2)
    release.set()
    assert worker.wait(PATIENCE)
    assert events[-2:] == ["output returned", "exited"]


@pytest.mark.parametrize("stopped_first", [True, False])
def test_a_stop_gives_up_on_a_listener_of_a_function_that_has_returned(
    monkeypatch: pytest.MonkeyPatch, stopped_first: bool
) -> None:
    monkeypatch.setattr("overseer.workers.thread._TAKEN_IN_S", 0.2)
    heard, go_on, returns = threading.Event(), threading.Event(), threading.Event()
    recorder = Recorder()

    def listen(batch: OutputBatch) -> None:
        heard.set()
        go_on.wait(PATIENCE)

    def work(context: VirtualContext, send: Send) -> int:
        threading.Thread(target=send, args=("stdout", "first\nsecond"), daemon=True).start()
        returns.wait(PATIENCE)
        return 4

    run = RunContext("v", stop=StopPolicy(grace=PATIENCE))
    worker = start_virtual_worker("v", work, replace(recorder.callbacks, on_output=listen, run=run))
    assert heard.wait(PATIENCE)
    if stopped_first:
        worker.stop()
        returns.set()
    else:
        returns.set()
        assert not worker.wait(0.3), "nobody has asked for its end: it waits"
        worker.stop()
    try:
        assert worker.wait(PATIENCE)
        assert end(recorder) == (4, stopped_first)
        assert "it was not taken in time" in recorder.log[0]
    finally:
        go_on.set()


def test_sending_from_within_on_output_is_refused_not_a_deadlock() -> None:
    sends: list[Send] = []
    problems: list[str] = []

    def again(batch: OutputBatch) -> None:
        try:
            sends[0]("stdout", "again")
        except RuntimeError as error:
            problems.append(str(error))

    def work(context: VirtualContext, send: Send) -> None:
        sends.append(send)
        send("stdout", "x")

    worker = start_virtual_worker("v", work, WorkerCallbacks(again, print, lambda *_: None))  # type: ignore[arg-type]
    assert worker.wait(PATIENCE)
    assert problems == ["send() called from within on_output"]


def test_a_grace_of_any_length_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    release = threading.Event()
    worker, recorder = start(lambda context, send: release.wait(PATIENCE) and 4, grace=1e18)
    worker.stop()
    assert not worker.wait(0.05)
    worker.stop(0)
    assert worker.wait(PATIENCE)
    assert end(recorder) == (-1, True)
    release.set()
    assert not caplog.records
    until_none_is_abandoned()


def test_stops_race_with_returns() -> None:
    def one(number: int) -> bool:
        worker, recorder = start(lambda context, send: context.wait(0.001) or 5)
        time.sleep(number % 5 * 0.0005)
        worker.stop(0)
        return worker.wait(PATIENCE) and len(recorder.exits) == 1

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(one, range(200)))
    until_none_is_abandoned()
