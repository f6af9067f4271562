"""What programs naturally pass is taken; what is nothing of the kind is said so, and harms nobody."""

from __future__ import annotations

import enum
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID

import pytest

from overseer.client import Client, RefusedError
from overseer.client.arguments import moment_of, params_of, policy_of, seconds_of, task_id_of
from overseer.client.pending_request import PendingRequest
from overseer.protocol import ExcessConfig, RetryPolicy
from overseer.util.durations import MAX_DURATION, nanoseconds
from overseer.util.timestamps import now
from tests.client.conftest import ACTIONS
from tests.harness import Daemon

WAIT_S = 30
ID = UUID("1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed")


class Colour(enum.Enum):
    RED = "red"
    SEVEN = 7


class Mode(enum.StrEnum):
    FAST = "fast"


class Index:
    def __index__(self) -> int:
        return 5


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", ""),
        ("a b", "a b"),
        (1, "1"),
        (-(10**30), "-1" + "0" * 30),
        (True, "true"),
        (False, "false"),
        (1.5, "1.5"),
        (2.0, "2.0"),
        (1e300, "1e+300"),
        (Decimal("1.10"), "1.10"),
        (Index(), "5"),
        (PurePosixPath("/a/ü"), "/a/ü"),
        (ID, str(ID)),
        (Colour.RED, "red"),
        (Colour.SEVEN, "7"),
        (Mode.FAST, "fast"),
        (timedelta(seconds=90), "1m30s"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05.000000Z"),
        (date(2026, 1, 2), "2026-01-02"),
    ],
)
def test_a_parameter_is_written_as_one_text(value: object, text: str):
    assert params_of(None, {"n": value}) == {"n": text}
    assert params_of({"n": value}, {}) == {"n": text}


def test_a_parameter_that_is_none_is_not_given():
    assert params_of({"a": None, "b": "x"}, {"b": None}) == {}


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        ([1], TypeError, "the parameter 'n' is a list.*json.dumps"),
        ({"a": 1}, TypeError, "is a dict"),
        (b"x", TypeError, "bytes; decode it"),
        (object(), TypeError, "is a object"),
        (math.nan, ValueError, "JSON cannot hold"),
        (math.inf, ValueError, "JSON cannot hold"),
        (Path("/a\udcff"), ValueError, "not a character"),
        ("\ud800", ValueError, "not a character"),
    ],
)
def test_what_is_no_parameter_is_named(value: object, error: type[Exception], words: str):
    with pytest.raises(error, match=words):
        params_of(None, {"n": value})


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(5, 5.0), (0, 0.0), (1.5, 1.5), (timedelta(minutes=1), 60.0), ("1m30s", 90.0), (None, None)],
)
def test_a_length_of_time(given: Any, seconds: float | None):
    assert seconds_of(given) == seconds


def test_for_ever_is_a_length_of_time_too(client: Client):
    assert client.tasks(timeout=math.inf) is not None
    assert client.start("echo").wait(timeout=10**20).exit_code == 3


@pytest.mark.parametrize("given", [-1, math.nan, "5", "soon", timedelta(seconds=-1), True, b"5s", [5]])
def test_what_is_no_length_of_time_is_refused(given: Any):
    with pytest.raises((TypeError, ValueError), match="timeout"):
        seconds_of(given)


def test_moments():
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert moment_of(moment) == moment_of("2026-01-02T03:04:05Z") == moment
    naive = datetime(2026, 1, 2, 3, 4, 5)
    assert moment_of(naive) == naive.astimezone()
    assert abs((moment_of(timedelta(minutes=5)) or moment) - now() + timedelta(minutes=5)).seconds < 60
    with pytest.raises(TypeError, match="since must be a datetime"):
        moment_of(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "nanos"),
    [
        ("5s", 5 * 10**9),
        (0.25, 250_000_000),
        (timedelta(milliseconds=1.5), 1_500_000),
        (7, 7),
        ("0", 0),
        (timedelta(0), 0),
    ],
)
def test_durations_of_a_policy(given: Any, nanos: int):
    assert nanoseconds(given) == nanos
    policy = RetryPolicy(restart_delay=given, restart_jitter=given, error_window=given)
    assert (policy.restart_delay, policy.restart_jitter, policy.error_window) == (nanos,) * 3


@pytest.mark.parametrize(
    "given", [-5.0, math.inf, math.nan, "5", "-5s", None, True, -1, MAX_DURATION + 1, timedelta(days=10**6)]
)
def test_what_is_no_duration_is_refused(given: Any):
    with pytest.raises(ValueError, match="restart_delay: "):
        RetryPolicy(restart_delay=given)


def test_numbers_in_a_mapping_are_seconds():
    policy = policy_of(
        {"restart_delay": 5, "error_window": 0.5, "restart_jitter": "1s", "error_threshold": 3}
    )
    assert policy == RetryPolicy("5s", "1s", "500ms", 3)
    with pytest.raises(ValueError, match="restart_delay: 5000000000 is in seconds here"):
        policy_of({"restart_delay": 5_000_000_000})


def test_five_nanoseconds_are_hardly_meant():
    with pytest.raises(ValueError, match="restart_delay='5s'"):
        policy_of(RetryPolicy(restart_delay=5))


def test_a_restart_with_a_text_for_its_delay(client: Client):
    for policy in (
        RetryPolicy(restart_delay="1ms", error_threshold=2),
        {"restart_delay": "1ms", "error_threshold": 2},
    ):
        task = client.start("echo", retry_policy=policy)  # type: ignore[arg-type]
        task.wait(WAIT_S)
        assert task.state == "errored"


def test_tasks_and_actions_are_named_by_what_has_a_name(client: Client):
    (action,) = client.actions("sleep")
    task = client.start(action, task_id=ID, timeout="10s")
    assert task.id == str(ID)
    (info,) = [info for info in client.tasks(timedelta(hours=1)) if info.task_id == str(ID)]
    assert task_id_of(info) == task_id_of(task) == task_id_of(ID) == str(ID)
    assert client.metrics(task_id=ID) is not None is not client.metrics(task_id=info)
    assert client.replay(info, since="2026-01-01T00:00:00Z") is not None
    client.stop(task, timeout=timedelta(seconds=10))
    assert client.subscribe(ID).wait("10s").signal == "SIGTERM"
    (info,) = [info for info in client.tasks() if info.task_id == str(ID)]
    assert (info.last_exit_code, info.last_signal) == (-1, "SIGTERM")
    assert client.pool(action) == client.pool("sleep")
    assert client.set_pool(action, excess=ExcessConfig(grace=2)).limit == 0
    assert client.set_pool(action, excess={"grace": "3s"}).limit == 0


def test_numbers_are_parameters(client: Client):
    assert list(client.start("count", n=3).lines(timeout=WAIT_S)) == ["1", "2", "3"]


def test_a_path_is_that_of_a_socket(tmp_path: Path):
    with (
        Daemon(actions=ACTIONS, listen=f"unix:{tmp_path}/s") as _,
        Client(tmp_path / "s", token=None, timeout="5s", keepalive=timedelta(seconds=9)) as client,
    ):
        assert client.actions()


def test_a_mistake_is_told_of_before_anything_is_sent_and_the_client_goes_on(
    client: Client, monkeypatch: pytest.MonkeyPatch
):
    before = repr(client)
    for call in (
        lambda: client.stop(Path("/x")),  # type: ignore[arg-type]
        lambda: client.stop(""),
        lambda: client.stop(b"x"),  # type: ignore[arg-type]
        lambda: client.subscribe(7),  # type: ignore[arg-type]
        lambda: client.subscribe("x", "5"),  # type: ignore[arg-type]
        lambda: client.subscribe("x", on_lag=7),  # type: ignore[arg-type]
        lambda: client.watch("abc"),  # type: ignore[misc]
        lambda: client.purge(""),
        lambda: client.set_pool("", limit=0),
        lambda: client.set_pool("one", limit=Path("x")),  # type: ignore[arg-type]
        lambda: client.set_pool("one", excess={"gracee": 3}),
        lambda: client.metrics(task_id=""),
        lambda: client.start("echo", ["a"]),  # type: ignore[arg-type]
        lambda: client.start("echo", {5: "a"}),  # type: ignore[dict-item]
        lambda: client.start("echo", retry_policy=5),  # type: ignore[arg-type]
        lambda: client.start("echo", force=object()),  # type: ignore[arg-type]
    ):
        with pytest.raises((TypeError, ValueError)):
            call()
    assert repr(client) == before  # nothing is left in its tables
    assert client.actions()
    with pytest.raises(RefusedError):
        client.stop("nobody")


@pytest.mark.parametrize("arguments", [{"url": None}, {"url": 5}, {"tls": "ca.pem"}, {"token": b"x"}])
def test_a_client_that_cannot_be_made_says_why(daemon: Daemon, arguments: dict[str, Any]):
    with pytest.raises(TypeError, match=next(iter(arguments))):
        Client(**{"url": daemon.url, **arguments})


def test_what_cannot_be_written_is_found_out_without_the_lock():
    from overseer.protocol import Stop

    with pytest.raises(TypeError):
        PendingRequest([Stop(id="c1", task_id=object())], None)  # type: ignore[arg-type]
