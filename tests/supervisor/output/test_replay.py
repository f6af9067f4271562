"""What is sent of the past, and what may happen while it is encoded; a hub of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import overseer
from overseer.supervisor.clients import Client
from overseer.supervisor.output.encode import EncodedLine, EncodedOutput
from overseer.supervisor.output.replay import RingReplay
from overseer.supervisor.output.subscription import Wishes
from overseer.util.locks import assert_none_held
from overseer.util.timers import Timers
from overseer.util.timestamps import now
from tests.supervisor.output.test_publisher import _Held

_LONG = 10_000  # characters of a line; a hundred of them are more than may be encoded with a lock held


class Mute(overseer.ActionHandler):
    """Its tasks say what the test has them say."""

    def __init__(self) -> None:
        self.callbacks: overseer.WorkerCallbacks

    def describe(self) -> overseer.ActionInfo:
        return overseer.ActionInfo("mute", "mute")

    def validate(self, params: object) -> None:
        pass

    def start(self, task_id: str, params: object, callbacks: overseer.WorkerCallbacks) -> overseer.Worker:
        self.callbacks = callbacks
        return overseer.start_virtual_worker(task_id, lambda context, send: int(context.wait()), callbacks)

    def say(self, lines: int, length: int = _LONG) -> None:
        for _ in range(lines):
            self.callbacks.on_output(overseer.OutputBatch("stdout", now(), ["x" * length]))


@pytest.fixture
def mute() -> Mute:
    return Mute()


@pytest.fixture
def hub(mute: Mute, tmp_path: Path) -> Iterator[overseer.Hub]:
    path = tmp_path / "config.yaml"
    path.write_text("actions: {mute: {type: mute}}")
    hub = overseer.Hub(overseer.load_config(path), {"mute": mute})
    hub.submit("mute", "t")
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.close()


@pytest.fixture
def client() -> Iterator[Client]:
    timers = Timers()
    yield Client(_Held(timers, 8 << 20))
    timers.close()


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Have something happen each time that stored output was encoded, before it is sent."""

    def arrange(happen: Callable[[], None]) -> None:
        encode = RingReplay.encode

        def encode_and_go_on(replay: RingReplay) -> None:
            encode(replay)
            happen()

        monkeypatch.setattr(RingReplay, "encode", encode_and_go_on)

    return arrange


def _read(client: Client) -> list[dict[str, Any]]:
    assert isinstance(client.outbox, _Held)
    return client.outbox.read()


def _seqs(messages: list[dict[str, Any]]) -> list[int]:
    assert {message["type"] for message in messages} <= {"output"}
    return [message["seq"] for message in messages]


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many lines were encoded at a time; nothing is while a lock is held."""
    sizes = []
    escaped, alone = EncodedOutput._escaped, EncodedLine.__init__

    def checked(output: EncodedOutput) -> Any:
        assert_none_held("encoding")
        sizes.append(len(output._lines))
        return escaped(output)

    def checked_alone(encoded: EncodedLine, *args: Any) -> None:
        assert_none_held("encoding")
        sizes.append(1)
        alone(encoded, *args)

    monkeypatch.setattr(EncodedOutput, "_escaped", checked)
    monkeypatch.setattr(EncodedLine, "__init__", checked_alone)
    return sizes


def test_a_long_history_is_encoded_with_nothing_locked(
    hub: overseer.Hub, mute: Mute, client: Client, sizes: list[int]
) -> None:
    mute.say(100)
    hub.subscriptions.replay(client, "r", "t", None, 0)
    assert _seqs(_read(client)) == list(range(1, 101))
    hub.subscriptions.subscribe(client, "s", "t", 90, Wishes("block"))
    assert _seqs(_read(client)[1:]) == list(range(91, 101))
    assert sum(sizes) == 110


@pytest.mark.parametrize(
    ("more", "length"), [(1, 1), (5, _LONG), (30, _LONG), (200, _LONG)], ids=["little", "some", "much", "all"]
)
def test_what_comes_meanwhile_follows_without_a_gap_or_a_repeat(
    hub: overseer.Hub,
    mute: Mute,
    client: Client,
    meanwhile: Callable[[Callable[[], None]], None],
    more: int,
    length: int,
) -> None:
    """Also when a task says more than can be encoded, for ever."""
    meanwhile(lambda: mute.say(more, length))
    mute.say(100)
    hub.subscriptions.subscribe(client, "s", "t", 0, Wishes("block"))
    subscribed, *stored = _read(client)
    assert subscribed["type"] == "subscribed"
    assert _seqs(stored) == list(range(subscribed["oldest_seq"], subscribed["last_seq"] + 1))
    assert len(stored) == 100
    mute.say(2)
    assert _seqs(_read(client)) == [subscribed["last_seq"] + 1, subscribed["last_seq"] + 2]


@pytest.mark.parametrize("subscribing", [True, False])
def test_a_task_that_is_replaced_meanwhile_is_the_one_that_counts(
    hub: overseer.Hub,
    mute: Mute,
    client: Client,
    meanwhile: Callable[[Callable[[], None]], None],
    subscribing: bool,
) -> None:
    replaced = []

    def replace() -> None:
        if not replaced:
            hub.stop("t")
            assert hub.wait_until_idle(10)
            replaced.append(hub.submit("mute", "t"))
            mute.say(3, 1)

    meanwhile(replace)
    mute.say(100)
    if subscribing:
        hub.subscriptions.subscribe(client, "s", "t", 0, Wishes("block"))
        subscribed, *stored = _read(client)
        assert (subscribed["oldest_seq"], subscribed["last_seq"]) == (1, 3)
    else:
        hub.subscriptions.replay(client, "r", "t", None, 0)
        stored = _read(client)
    assert [(each["seq"], each["data"]) for each in stored] == [(1, "x"), (2, "x"), (3, "x")]


def test_who_will_lose_nothing_any_more_hears_first_what_it_has_lost(
    hub: overseer.Hub, mute: Mute, client: Client
) -> None:
    hub.subscriptions.subscribe(client, "s1", "t", None, Wishes("drop"))
    assert _read(client)
    mute.say(1, 9 << 20)  # more than the outbox holds
    mute.say(2, 1)
    hub.subscriptions.subscribe(client, "s2", "t", None, Wishes("drop"))
    assert isinstance(client.outbox, _Held)
    with client.outbox._lock:  # it takes its data; nobody has had the time to note that there is room
        said = client.outbox._sent_locked(client.outbox.pending)
    hub.subscriptions.subscribe(client, "s3", "t", None, Wishes("block"))
    mute.say(1, 1)
    client.outbox._call(said)
    messages = _read(client)
    assert [message["type"] for message in messages] == ["subscribed", "gap", "output"]
    assert [messages[1]["from_seq"], messages[1]["to_seq"], messages[2]["seq"]] == [2, 3, 4]
