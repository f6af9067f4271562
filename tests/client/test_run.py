"""Running a task as one runs a program: its end, its output, and what happens if it fails."""

from __future__ import annotations

import threading
import typing

import pytest

from overseer.client import (
    Client,
    Reason,
    Refusal,
    RefusedError,
    ReplyTimeoutError,
    RunStatus,
    Status,
    Stream,
    TaskFailedError,
    TaskNotRunError,
)
from overseer.errors import REFUSALS
from overseer.protocol import EXIT_REASON, RUN_STATUS, STATUS
from tests.faults.support import wait_until
from tests.harness import Daemon

WAIT_S = 30.0


def test_a_run_returns_how_it_ended_and_all_that_it_said(client: Client) -> None:
    done = client.run("echo", text="a b")
    assert (done.stdout, done.stderr, done.exit_code, done.failed) == ("a b\n", "err\n", 3, True)
    assert sorted(done.lines) == [("stderr", "err"), ("stdout", "a b")]
    assert (done.status, done.reason, done.signal, done.missed) == ("failed", "exited", "", 0)
    counted = client.run("count", n=5000, check=True)
    assert counted.output == "".join(f"{number}\n" for number in range(1, 5001))
    assert counted.status == "succeeded"


def test_a_failure_is_raised_where_that_is_asked_for(client: Client) -> None:
    with pytest.raises(TaskFailedError, match=r"exited with 3:\n  ") as caught:
        client.run("echo", check=True)
    error = caught.value
    assert (error.exit_code, error.reason, error.signal) == (3, "exited", "")
    assert sorted(error.last_lines) == ["err", "hi"]
    assert sorted(error.output.splitlines()) == ["err", "hi"]
    assert error.finished.status == "failed"
    assert error.exited is error.finished.exited
    # Other codes may be a success, as the action says.
    assert client.run("codes", code=3, check=True).exit_code == 3
    # Restarts are included.
    with pytest.raises(TaskFailedError, match="exited with 9") as caught:
        client.run("hopeless", check=True)
    assert caught.value.output == "no\n" * 3


def test_one_that_takes_too_long_is_stopped(client: Client) -> None:
    with pytest.raises(ReplyTimeoutError, match=r"too-long was not over after 0.2 s, and was stopped"):
        client.run("sleep", task_id="too-long", timeout=0.2)
    (info,) = [task for task in client.tasks() if task.task_id == "too-long"]
    assert info.status == "stopped"


def test_a_start_waits_for_room_for_as_long_as_it_is_told(daemon: Daemon, client: Client) -> None:
    tasks = [client.start("one", task_id=f"room-{number}") for number in range(3)]  # one runs, two wait
    with pytest.raises(RefusedError) as refused:
        client.start("one")
    assert refused.value.code == "full"
    with pytest.raises(RefusedError, match="full"):
        client.start("one", wait_for_room="100ms")
    leave = threading.Timer(0.2, tasks[0].stop)
    leave.start()
    late = client.start("one", task_id="room-late", wait_for_room=WAIT_S)
    leave.join()
    assert late.status == "queued"
    late.stop()
    for task in tasks[1:]:
        task.stop()
    with pytest.raises(TaskNotRunError):
        late.wait(WAIT_S)
    wait_until(lambda: not client.pool("one").running, timeout=WAIT_S, what="an empty pool")


def test_a_client_that_is_closed_waits_for_no_room(daemon: Daemon, client: Client) -> None:
    tasks = [client.start("one", task_id=f"shut-{number}") for number in range(3)]
    with Client(daemon.url) as other:
        threading.Timer(0.2, other.close).start()
        with pytest.raises(ConnectionError):
            other.start("one", wait_for_room=WAIT_S)
    for task in reversed(tasks):
        task.stop()
    wait_until(lambda: not client.pool("one").running, timeout=WAIT_S, what="an empty pool")


def test_a_handle_has_the_status_that_the_list_has(client: Client) -> None:
    def listed(task_id: str) -> str:
        (info,) = [task for task in client.tasks() if task.task_id == task_id]
        return info.status

    ended = client.start("echo", task_id="status-failed")
    ended.wait(WAIT_S)
    assert ended.status == listed("status-failed") == "failed"
    assert client.start("count", task_id="status-well").wait(WAIT_S).exit_code == 0
    assert client.subscribe("status-well").status == listed("status-well") == "succeeded"
    sleeper = client.start("sleep", task_id="status-runs")
    assert sleeper.status == listed("status-runs") == "running"
    sleeper.stop()
    sleeper.wait(WAIT_S)
    assert sleeper.status == listed("status-runs") == "stopped"
    waiting = client.start("patient", task_id="status-again")
    wait_until(lambda: waiting.status == "restarting", timeout=WAIT_S, what="its restart")
    waiting.stop()


@pytest.mark.parametrize(
    ("type", "words"),
    [
        (Status, STATUS.words),
        (RunStatus, RUN_STATUS.words),
        (Reason, EXIT_REASON.words),
        (Refusal, tuple(REFUSALS)),
        (Stream, ("stdout", "stderr")),
    ],
)
def test_the_types_have_the_words_of_the_protocol(type: object, words: tuple[str, ...]) -> None:
    assert typing.get_args(type) == tuple(words)
