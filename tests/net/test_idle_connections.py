"""Silent clients, whose WebSockets have no threads: real connections to a real server."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from overseer.net import connection as connection_module
from overseer.net import idle_connections
from overseer.net.connection import Connection
from overseer.net.frames import Encoded
from overseer.net.idle_connections import IdleConnections
from overseer.util.standstill import standstill
from tests.harness.seeds import seeds
from tests.net.conftest import Harness, RecordingHandler, wait_until
from tests.net.rawclient import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Closed, RawClient, frame

Serve = Callable[..., Harness]


@pytest.fixture(autouse=True)
def _soon_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "_SILENCE_S", 0.05)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads that clients have been given."""
    names: list[str] = []
    start = connection_module.start_thread

    def note(target: Callable[[], object], name: str) -> threading.Thread:
        names.append(name)
        return start(target, name)

    monkeypatch.setattr(connection_module, "start_thread", note)
    return names


def served() -> int:
    """How many clients have a thread."""
    return sum(each.name.startswith("client-") for each in threading.enumerate())


def wait_idle() -> None:
    wait_until(lambda: not served())


def silent_pair(serve: Serve, **options: Any) -> tuple[Harness, RawClient, RecordingHandler]:
    harness = serve(**options)
    client, handler = harness.pair()
    wait_idle()
    return harness, client, handler


def test_whoever_is_silent_has_no_thread_and_is_served_as_before(serve: Serve) -> None:
    _, client, handler = silent_pair(serve)
    with client:
        for number in range(3):
            handler.outbox.append(Encoded([b"a line"]))
            handler.outbox.flush()
            assert client.receive() == "a line"
            assert served() == 0
            client.send_text(str(number))
            assert client.receive() == str(number)
            wait_idle()
    assert handler.is_closed.wait(30)
    assert handler.closes == 1


def test_whoever_talks_keeps_its_thread(
    serve: Serve, started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "_SILENCE_S", 5.0)
    client, _ = serve().pair()
    with client:
        for number in range(100):
            client.send_text(str(number))
            assert client.receive() == str(number)
    assert started == ["client-1"]


def test_pongs_cost_no_thread_and_keep_it_alive(serve: Serve, started: list[str]) -> None:
    _, client, handler = silent_pair(serve, ping_interval=0.1, ping_timeout=1.0)
    with client:
        until = time.monotonic() + 1.3  # longer than interval and timeout together
        while time.monotonic() < until:
            assert client.receive_frame() == (PING, b"")
            client.send_frame(PONG)
        assert not handler.outbox.closed
        assert started == ["client-1"]


def test_pongs_do_not_keep_a_thread_either(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "_SILENCE_S", 0.3)
    client, _ = serve().pair()
    with client:
        client.send_text("the last word")
        assert client.receive() == "the last word"
        deadline = time.monotonic() + 30
        while served():
            assert time.monotonic() < deadline
            client.send_frame(PONG)
            time.sleep(0.02)


def test_one_that_answers_no_ping_is_closed(serve: Serve) -> None:
    _, client, handler = silent_pair(serve, ping_interval=0.2, ping_timeout=0.2)
    with client:
        assert client.receive_frame() == (PING, b"")
        assert client.close_code() == 1011
    assert handler.is_closed.wait(30)


@pytest.mark.parametrize("cut", range(1, 12))
def test_what_comes_with_a_pong_is_not_dropped(serve: Serve, started: list[str], cut: int) -> None:
    _, client, _ = silent_pair(serve)
    data = frame(PONG, b"a pong") + frame(TEXT, b"said")
    with client:
        client.send_raw(data[:cut])
        wait_until(lambda: len(started) == 2)
        client.send_raw(data[cut:])
        assert client.receive() == "said"
        wait_idle()


def test_the_rest_of_a_message_may_look_like_a_pong(serve: Serve, started: list[str]) -> None:
    _, client, handler = silent_pair(serve)
    pong = frame(PONG, b"no pong", key=bytes(4))
    data = frame(BINARY, b"before" + pong, key=bytes(4))
    with client:
        client.send_raw(data.removesuffix(pong))
        wait_until(lambda: len(started) == 2)
        client.send_raw(pong)
        wait_until(lambda: handler.received)
    assert handler.received == [b"before" + pong]


def test_a_message_in_pieces_with_silence_between_them_is_parsed_once(
    serve: Serve, started: list[str]
) -> None:
    _, client, handler = silent_pair(serve)
    pieces = (frame(TEXT, b"one ", fin=False), frame(PING, b"within"), frame(CONTINUATION, b"message"))
    with client:
        for piece in pieces:
            client.send_raw(piece)
            time.sleep(0.2)  # longer than a thread waits for a message
        assert client.receive_frame() == (PONG, b"within")
        assert client.receive() == "one message"
        wait_idle()
        assert started == ["client-1"] * 2
    assert handler.received == ["one message"]


def test_a_ping_is_answered_with_its_payload(serve: Serve) -> None:
    _, client, _ = silent_pair(serve)
    with client:
        client.send_frame(PING, b"payload")
        assert client.receive_frame() == (PONG, b"payload")


@pytest.mark.parametrize("code", [1000, 3999])
def test_its_close_is_answered(serve: Serve, code: int) -> None:
    harness, client, handler = silent_pair(serve)
    assert client.close(code) == code
    assert handler.is_closed.wait(30)
    wait_until(lambda: not harness.server.connections())
    assert handler.closes == 1


@pytest.mark.parametrize("way", ["drop", "reset", "half"])
def test_one_that_goes_without_a_word_is_forgotten(serve: Serve, way: str) -> None:
    harness, client, handler = silent_pair(serve)
    if way == "half":
        client.sock.shutdown(socket.SHUT_WR)
        assert client.at_end()
    else:
        {"drop": client.drop, "reset": client.reset}[way]()
    assert handler.is_closed.wait(30)
    wait_until(lambda: not harness.server.connections())
    client.drop()


def test_it_can_be_closed_and_reads_everything_first(serve: Serve) -> None:
    harness, client, handler = silent_pair(serve)
    with client:
        handler.outbox.append(Encoded([b"the last line"]))
        handler.outbox.close(1008, "enough")
        assert client.receive() == "the last line"
        with pytest.raises(Closed) as closed:
            client.receive()
        assert (closed.value.code, closed.value.reason) == (1008, "enough")
        client.send_close(1008)
        assert client.at_end()
    wait_until(lambda: not harness.server.connections())
    assert handler.closes == 1


def test_one_that_does_not_answer_the_close_is_cut(serve: Serve) -> None:
    harness, client, handler = silent_pair(serve, close_timeout=0.3)
    with client:
        handler.outbox.close(1008)
        assert client.receive_frame()[0] == CLOSE
        wait_until(lambda: not harness.server.connections())
    assert handler.closes == 1


def test_one_that_does_not_read_is_closed_for_it(serve: Serve, tmp_path: Path) -> None:
    harness, client, handler = silent_pair(serve, buffer=100_000, stall_timeout=0.3)
    with client:
        while handler.outbox.ask_for_room(50_000):
            handler.outbox.append(Encoded([b"x" * 50_000]), output=True)
            handler.outbox.flush()
        wait_until(lambda: not harness.server.connections())
        assert handler.outbox.close_code == 1013


def test_shutdown_says_so_to_all_of_them(serve: Serve) -> None:
    harness = serve()
    pairs = [harness.pair() for _ in range(20)]
    wait_idle()
    ended = threading.Thread(target=harness.close)
    ended.start()
    for client, _ in pairs:
        with client:
            assert client.close_code() == 1001
    ended.join(30)
    assert not ended.is_alive()
    assert [handler.closes for _, handler in pairs] == [1] * 20
    assert not {"net-idle", "net-reserve"} & {each.name for each in threading.enumerate()}


def test_shutdown_ends_those_too_that_there_was_no_time_for(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "drop_pongs", lambda connection: time.sleep(0.05))
    harness = serve(close_timeout=0.2)
    pairs = [harness.pair() for _ in range(30)]
    wait_idle()
    harness.close()
    assert [handler.closes for _, handler in pairs] == [1] * 30
    assert not harness.server.connections()
    for client, _ in pairs:
        client.drop()


def test_one_with_much_to_read_is_heard_while_it_falls_silent(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "_SILENCE_S", 0.2)
    client, handler = serve(ping_interval=0.3, ping_timeout=0.5, buffer=50_000, stall_timeout=30).pair()
    with client:
        handler.outbox.append(Encoded([b"x" * 20_000_000]), output=True)
        handler.outbox.flush()
        time.sleep(0.4)
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            client.send_frame(PONG)
            time.sleep(0.05)
        assert handler.outbox.pending > 50_000
        assert not handler.outbox.closed
        assert len(client.receive()) == 20_000_000


def test_three_hundred_speak_at_once_and_nobody_is_left_out(serve: Serve) -> None:
    harness = serve()
    pairs = [harness.pair() for _ in range(300)]
    wait_idle()
    for turn in range(2):
        for number, (client, _) in enumerate(pairs):
            client.send_text(f"{turn} {number}")
        for number, (client, _) in enumerate(pairs):
            assert client.receive() == f"{turn} {number}"
        wait_idle()
    for client, _ in pairs:
        client.drop()
    wait_until(lambda: not harness.server.connections())


@pytest.mark.parametrize("seed", seeds(2, 20))
def test_whatever_they_do_and_whenever_each_gets_its_answers(serve: Serve, seed: int) -> None:
    """Descriptors are closed and their numbers used again while others fall silent and speak."""
    harness = serve()
    failures: list[BaseException] = []

    def live(number: int) -> None:
        chance = random.Random(f"{seed}-{number}")
        try:
            for _ in range(6):
                with harness.client() as client:
                    for said in range(chance.randrange(5)):
                        time.sleep(chance.choice((0.0, 0.04, 0.05, 0.06)))  # about when its thread ends
                        if chance.random() < 0.3:
                            client.send_frame(PONG)
                        client.send_text(f"{number} {said}")
                        assert client.receive() == f"{number} {said}"
                    if chance.random() < 0.3:
                        client.reset()
                    elif chance.random() < 0.5:
                        assert client.close() == 1000
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=live, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    wait_until(lambda: not harness.server.connections())


# -- what the system does not have -----------------------------------------------------------------------


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def fail(connection: Connection) -> None:
        raise RuntimeError("can't start new thread")

    return lambda: monkeypatch.setattr(Connection, "start", fail)


def test_without_threads_all_are_served_in_turn(serve: Serve, no_threads: Callable[[], None]) -> None:
    harness = serve()
    pairs = [harness.pair() for _ in range(5)]
    wait_idle()
    no_threads()
    (talking, _), *others = pairs
    # It never stops, and has always more to read than one turn takes.
    flood = threading.Thread(target=talking.send_raw, args=(frame(TEXT, b"x" * 100) * 9000,))
    flood.start()
    for turn in range(3):
        for client, _ in others:
            client.send_text(str(turn))
            assert client.receive() == str(turn)
    assert [talking.receive() for _ in range(9000)] == ["x" * 100] * 9000
    flood.join()
    assert served() == 0
    (half, _), (gone, _), (closing, _), _ = others
    half.send_raw(frame(TEXT, b"half of it")[:9])
    gone.reset()
    assert closing.close() == 1000
    talking.send_text("and they go on")
    assert talking.receive() == "and they go on"
    half.send_raw(frame(TEXT, b"half of it")[9:])
    assert half.receive() == "half of it"
    wait_until(lambda: len(harness.server.connections()) == 3)
    for client, _ in pairs:
        client.drop()
    wait_until(lambda: not harness.server.connections())


@pytest.fixture
def over(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Until this is set, whoever is sent ``wait`` is busy with it."""
    over = threading.Event()
    receive = RecordingHandler.receive

    def wait(handler: RecordingHandler, data: str | bytes) -> None:
        if data == "wait":
            over.wait(30)
        receive(handler, data)

    monkeypatch.setattr(RecordingHandler, "receive", wait)
    return over


def test_without_threads_one_that_does_not_read_costs_no_other_its_connection(
    serve: Serve, no_threads: Callable[[], None], over: threading.Event
) -> None:
    harness = serve(ping_interval=0.1, ping_timeout=0.4)
    (waiting, _), *others = [harness.pair() for _ in range(3)]
    wait_idle()
    no_threads()
    waiting.send_text("wait")
    until = time.monotonic() + 1.0  # longer than interval and timeout together
    while time.monotonic() < until:
        for client, _ in others:
            assert client.receive_frame() == (PING, b"")
            client.send_frame(PONG)
    assert not any(handler.outbox.closed for _, handler in others)
    over.set()
    for client, _ in (*others, (waiting, None)):
        client.drop()
    wait_until(lambda: not harness.server.connections())


def test_whoever_waits_for_its_turn_is_served_once_there_are_threads_again(
    serve: Serve, over: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle_connections, "_AGAIN_S", 0.1)
    harness = serve()
    (waiting, _), (next_, _) = (harness.pair() for _ in range(2))
    wait_idle()
    with monkeypatch.context() as without:
        without.setattr(Connection, "go_on", lambda connection: False)
        waiting.send_text("wait")
        next_.send_text("said")
        assert next_.is_quiet(0.3)
    assert next_.receive() == "said"
    over.set()
    assert waiting.receive() == "wait"
    waiting.drop()
    next_.drop()
    wait_until(lambda: not harness.server.connections())


def test_what_can_neither_be_watched_nor_have_a_thread_is_closed(
    serve: Serve, no_threads: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = serve()
    pairs = [harness.pair() for _ in range(2)]
    wait_idle()
    no_threads()
    monkeypatch.setattr(IdleConnections, "add", lambda idle, connection: False)
    for client, _ in pairs:
        client.send_text("said")
        assert client.receive() == "said"
        assert client.close_code() == 1013
        client.drop()
    wait_until(lambda: not harness.server.connections())


def test_a_standstill_holds_back_the_end_of_one_that_was_closed(serve: Serve) -> None:
    harness, client, handler = silent_pair(serve)
    standstill.close()
    try:
        assert standstill.wait(30)
        handler.outbox.close(1008)
        client.drop()
        wait_until(served)
        assert not handler.is_closed.wait(0.2)
        (connection,) = harness.server.connections()
        assert connection.stream.fileno() >= 0
    finally:
        standstill.open()
    assert handler.is_closed.wait(30)
    wait_until(lambda: not harness.server.connections())


def test_one_that_cannot_be_watched_is_found_dead_all_the_same(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(IdleConnections, "add", lambda idle, connection: False)
    client, handler = serve(ping_interval=0.2, ping_timeout=0.2).pair()
    with client:
        assert client.receive_frame() == (PING, b"")
        assert client.close_code() == 1011
    assert handler.is_closed.wait(30)


def test_what_cannot_be_watched_keeps_its_thread(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def refuse(idle: IdleConnections, connection: object) -> bool:
        asked.append(connection)
        return False

    monkeypatch.setattr(IdleConnections, "add", refuse)
    client, handler = serve().pair()
    with client:
        wait_until(lambda: asked)
        assert served() == 1
        client.send_text("still here")
        assert client.receive() == "still here"
    assert handler.is_closed.wait(30)


def test_what_the_system_cannot_watch_is_not_taken(tmp_path: Path) -> None:
    idle = IdleConnections()
    with (tmp_path / "file").open("w") as file:  # epoll knows no files
        assert not idle.add(file)  # type: ignore[arg-type]
    idle.close()
