"""A WebSocket to a real server: messages, control frames, broken frames, closes."""

from __future__ import annotations

import contextlib
import os
import random
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from overseer.config.listen import Listen
from overseer.net.frames import Encoded
from tests.harness import allowed
from tests.harness.seeds import seeds
from tests.net.conftest import Harness
from tests.net.rawclient import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Closed,
    RawClient,
    frame,
    upgrade_request,
)

Serve = Callable[..., Harness]


# -- messages ------------------------------------------------------------------------------------------


def test_a_message_reaches_the_session_and_its_answer_the_client(serve: Serve) -> None:
    client, handler = serve().pair()
    with client:
        client.send_text('{"a":"é"}')
        assert client.receive() == '{"a":"é"}'
    assert handler.received == ['{"a":"é"}']
    assert handler.is_closed.wait(30)


def test_a_binary_message_reaches_the_session_as_bytes(serve: Serve) -> None:
    client, handler = serve().pair()
    with client:
        client.send_frame(BINARY, b'{"a":1}')
        assert client.receive() == '{"a":1}'
    assert handler.received == [b'{"a":1}']


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536, 2**20])
def test_messages_of_every_length_up_to_the_limit_pass(serve: Serve, length: int) -> None:
    client, _ = serve().pair()
    with client:
        client.send_text("x" * length)
        assert client.receive() == "x" * length


def test_many_messages_in_one_packet_are_answered_in_order(serve: Serve) -> None:
    client, _ = serve().pair()
    with client:
        client.send_raw(b"".join(frame(TEXT, str(number).encode()) for number in range(1000)))
        assert [client.receive() for _ in range(1000)] == [str(number) for number in range(1000)]


def test_a_message_that_comes_a_byte_at_a_time_is_one_message(serve: Serve) -> None:
    client, handler = serve().pair()
    with client:
        for byte in frame(TEXT, "añ".encode()):
            client.send_raw(bytes([byte]))
        assert client.receive() == "añ"
    assert handler.received == ["añ"]


def test_frames_sent_along_with_the_request_are_not_lost(serve: Serve) -> None:
    with serve().client(upgrade=False) as client:
        client.send_raw(upgrade_request() + frame(TEXT, b"early") + frame(TEXT, b"bird")[:3])
        assert client.read_reply().status == 101
        client.send_raw(frame(TEXT, b"bird")[3:])
        assert [client.receive(), client.receive()] == ["early", "bird"]


# -- fragments and control frames ----------------------------------------------------------------------


def test_fragments_make_one_message_wherever_a_character_is_cut(serve: Serve) -> None:
    client, handler = serve().pair()
    text = "a€b"
    raw = text.encode()
    with client:
        client.send_frame(TEXT, raw[:2], fin=False)
        client.send_frame(CONTINUATION, b"", fin=False)
        client.send_frame(CONTINUATION, raw[2:3], fin=False)
        client.send_frame(CONTINUATION, raw[3:])
        assert client.receive() == text
    assert handler.received == [text]


def test_control_frames_between_fragments_are_answered_at_once(serve: Serve) -> None:
    client, handler = serve().pair()
    with client:
        client.send_frame(BINARY, b"one ", fin=False)
        client.send_frame(PING, b"now?")
        assert client.receive_frame() == (PONG, b"now?")
        client.send_frame(PONG, b"unasked")
        client.send_frame(CONTINUATION, b"two")
        assert client.receive() == "one two"
    assert handler.received == [b"one two"]


@pytest.mark.parametrize("payload", [b"", b"x", b"\x00\xff" * 62 + b"!"])
def test_a_ping_is_answered_with_its_own_payload(serve: Serve, payload: bytes) -> None:
    client, _ = serve().pair()
    with client:
        client.send_frame(PING, payload)
        assert client.receive_frame() == (PONG, payload)


def test_ten_thousand_empty_fragments_cost_nothing(serve: Serve) -> None:
    client, handler = serve().pair()
    with client:
        client.send_raw(frame(TEXT, b"a", fin=False) + frame(CONTINUATION, fin=False) * 10_000)
        client.send_frame(CONTINUATION, b"b")
        assert client.receive() == "ab"
    assert handler.received == ["ab"]


@pytest.mark.parametrize("between", [frame(CONTINUATION, fin=False), frame(PING), frame(PONG, b"x" * 125)])
def test_a_message_that_never_ends_is_cut_off(
    serve: Serve, between: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("overseer.net.frame_limit._AROUND", 1 << 16)
    client, handler = serve().pair()
    with client, contextlib.suppress(ConnectionError):
        client.send_raw(frame(TEXT, b"a", fin=False))
        reader = threading.Thread(target=read_to_end, args=(client,))
        reader.start()
        for _ in range(10):
            client.send_raw(between * (1 + (1 << 14) // len(between)))
        reader.join(60)
        assert not reader.is_alive()
    assert handler.received == []


def read_to_end(client: RawClient) -> None:
    with contextlib.suppress(OSError, EOFError, AssertionError):
        while client.receive_frame()[0] != CLOSE:
            pass


# -- what is broken ------------------------------------------------------------------------------------

BROKEN = {
    "not masked": (frame(TEXT, b"x", masked=False), 1002),
    "reserved bit": (frame(TEXT, b"x", rsv=4), 1002),
    "reserved bit 3": (frame(TEXT, b"x", rsv=1), 1002),
    "unknown data opcode": (frame(0x3, b"x"), 1002),
    "unknown control opcode": (frame(0xB, b"x"), 1002),
    "fragmented ping": (frame(PING, b"x", fin=False), 1002),
    "long ping": (frame(PING, b"x" * 126), 1002),
    "ping that announces a terabyte": (frame(PING, announce=2**40), 1002),
    "continuation of nothing": (frame(CONTINUATION, b"x"), 1002),
    "message within a message": (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
    "length in too many bytes": (frame(TEXT, b"x", length_bytes=2), 1002),
    "length in far too many bytes": (frame(TEXT, b"x", length_bytes=8), 1002),
    "bad UTF-8": (frame(TEXT, b"\xff"), 1007),
    "bad UTF-8, cut short": (frame(TEXT, "é".encode()[:1]), 1007),
    "a surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "bad UTF-8 in a later fragment": (frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"\xc3\x28"), 1007),
    "close of one byte": (frame(CLOSE, b"\x03"), 1002),
    "close with a code of no meaning": (frame(CLOSE, struct.pack("!H", 999)), 1002),
    "close with a code not for the wire": (frame(CLOSE, struct.pack("!H", 1006)), 1002),
    "close with bad UTF-8": (frame(CLOSE, struct.pack("!H", 1000) + b"\xff"), 1007),
    "one byte over the limit": (frame(TEXT, b"x" * 1001), 1009),
    "announces too much": (frame(TEXT, announce=1001), 1009),
    "announces 2^63 - 1 bytes": (frame(BINARY, announce=2**63 - 1), 1009),
    "announces 2^63 bytes": (frame(BINARY, announce=2**63), 1009),
    "announces 2^64 - 1 bytes": (frame(TEXT, announce=2**64 - 1), 1009),
    "fragments too long together": (frame(TEXT, b"x" * 999, fin=False) + frame(CONTINUATION, b"xx"), 1009),
    "garbage": (b"GET / HTTP/1.1\r\n\r\n", 1002),
}


@pytest.mark.parametrize(("data", "code"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_frames_close_with_the_code_for_it(serve: Serve, data: bytes, code: int) -> None:
    client, handler = serve(max_message=1000).pair()
    with client:
        client.send_text("before")
        client.send_raw(data)
        assert client.receive() == "before"
        assert client.close_code() == code
        assert client.at_end()
    assert handler.is_closed.wait(30)
    assert handler.received == ["before"]
    assert handler.closes == 1


def test_what_came_before_an_oversize_frame_in_one_packet_is_still_handled(serve: Serve) -> None:
    client, handler = serve(max_message=10).pair()
    with client:
        client.send_raw(frame(TEXT, b"1") + frame(TEXT, b"2") + frame(TEXT, announce=11) + frame(TEXT, b"3"))
        assert [client.receive(), client.receive()] == ["1", "2"]
        assert client.close_code() == 1009
    assert handler.is_closed.wait(30)
    assert handler.received == ["1", "2"]


@pytest.mark.parametrize("seed", seeds(4, 10))
def test_random_bytes_end_the_connection_and_nothing_else(serve: Serve, seed: int) -> None:
    harness = serve(max_message=1000)
    noise = random.Random(seed).randbytes(500)
    client, handler = harness.pair()
    with client:
        client.send_raw(noise)
        client.sock.shutdown(1)
        assert client.at_end()
    assert handler.is_closed.wait(30)
    other, _ = harness.pair()
    with other:
        other.send_text("alive")
        assert other.receive() == "alive"


# -- closing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1001, 1008, 3000, 4999])
def test_the_clients_close_is_answered_with_its_code(serve: Serve, code: int) -> None:
    client, handler = serve().pair()
    assert client.close(code) == code
    assert handler.is_closed.wait(30)
    assert handler.closes == 1


@pytest.mark.parametrize("side", ["client", "server"])
def test_the_stream_ends_with_the_close_frame(serve: Serve, side: str) -> None:
    client, handler = serve(close_timeout=30.0).pair()
    with client:
        if side == "client":
            client.send_close(1000)
        else:
            handler.outbox.close(1000, "")
        assert client.close_code() == 1000
        assert client.at_end(timeout=allowed(3))
    assert handler.is_closed.wait(30)


def test_a_close_frame_arrives_although_there_was_more_to_read(serve: Serve) -> None:
    client, handler = serve(max_message=1000, close_timeout=5.0).pair(receive_buffer=30_000)
    with client:
        handler.outbox.append(Encoded([b"x" * 1_000_000]))
        client.send_raw(frame(TEXT, announce=50_000) + b"x" * 50_000)
        assert len(client.receive()) == 1_000_000
        assert client.close_code() == 1009


def test_a_close_without_a_code_is_answered_without_one(serve: Serve) -> None:
    client, _ = serve().pair()
    with client:
        client.send_close(None)
        assert client.close_code() == 1005
        assert client.at_end()


def test_answers_to_what_came_before_the_close_go_out_first(serve: Serve) -> None:
    client, _ = serve().pair()
    with client:
        close = frame(CLOSE, struct.pack("!H", 1000))
        client.send_raw(frame(TEXT, b"1") + frame(TEXT, b"2") + close + b"junk")
        assert [client.receive(), client.receive()] == ["1", "2"]
        assert client.close_code() == 1000


@pytest.mark.parametrize("way", ["drop", "reset"])
def test_a_client_that_goes_without_a_word_ends_its_session(serve: Serve, way: str) -> None:
    client, handler = serve().pair()
    getattr(client, way)()
    assert handler.is_closed.wait(30)
    assert handler.closes == 1


def test_half_a_frame_and_then_nothing_ends_the_session_when_the_client_goes(serve: Serve) -> None:
    client, handler = serve().pair()
    client.send_raw(frame(TEXT, b"x" * 500)[:100])
    client.drop()
    assert handler.is_closed.wait(30)
    assert handler.received == []


def test_a_session_that_fails_closes_its_client_and_no_other(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    harness = serve()
    other, _ = harness.pair()
    client, handler = harness.pair()
    with client, other:
        client.send_text("raise")
        assert client.close_code() == 1011
        other.send_text("alive")
        assert other.receive() == "alive"
    assert handler.is_closed.wait(30)
    assert "a message could not be handled" in caplog.text


def test_the_hub_closes_with_a_code_and_a_reason_after_what_is_pending(serve: Serve) -> None:
    client, handler = serve().pair()
    with client:
        handler.outbox.append(Encoded([b"first"]))
        handler.outbox.close(4000, "because")
        handler.outbox.append(Encoded([b"too late"]))
        handler.outbox.flush()
        assert client.receive() == "first"
        with pytest.raises(Closed) as caught:
            client.receive()
        assert (caught.value.code, caught.value.reason) == (4000, "because")
        assert client.at_end()
    assert handler.is_closed.wait(30)


def test_a_client_that_does_not_answer_the_close_is_cut_in_time(serve: Serve) -> None:
    client, handler = serve(close_timeout=0.2).pair()
    with client:
        handler.outbox.close(1000, "")
        assert handler.is_closed.wait(30)
        assert client.at_end()


def test_a_client_that_keeps_sending_after_the_close_is_cut_in_time(serve: Serve) -> None:
    client, handler = serve(close_timeout=0.2).pair()
    with client:
        handler.outbox.close(1000, "")
        with contextlib.suppress(ConnectionError):
            while not handler.is_closed.is_set():
                client.send_text("x" * 1000)
        assert handler.is_closed.wait(30)
        assert client.at_end()


def test_shutdown_closes_every_client_with_1001_after_its_output(serve: Serve) -> None:
    harness = serve()
    pairs = [harness.pair() for _ in range(5)]
    for _, handler in pairs:
        handler.outbox.append(Encoded([b"last words"]))
    waiting = RawClient(harness.address, upgrade=False)  # a connection that has said nothing yet
    harness.server.shutdown()
    for client, handler in pairs:
        with client:
            assert client.receive() == "last words"
            assert client.close_code() == 1001
        assert handler.closes == 1
    with waiting:
        assert waiting.at_end()
    with pytest.raises(OSError, match="refused"):
        harness.client()


# -- keepalive -----------------------------------------------------------------------------------------


def test_a_silent_client_is_pinged_and_one_that_answers_stays(serve: Serve) -> None:
    client, handler = serve(ping_interval=0.05, ping_timeout=1.0).pair()
    with client:
        until = time.monotonic() + 1.1  # longer than interval and timeout together
        while time.monotonic() < until:
            assert client.receive_frame() == (PING, b"")
            client.send_frame(PONG)
        assert not handler.outbox.closed


@pytest.mark.parametrize("way", ["to it", "from it"])
def test_pings_go_out_though_something_passes_one_way(serve: Serve, way: str) -> None:
    client, handler = serve(ping_interval=0.2, ping_timeout=60.0).pair()
    with client:
        deadline = time.monotonic() + 30
        opcode = TEXT
        while opcode != PING:
            assert time.monotonic() < deadline
            if way == "to it":
                handler.outbox.append(Encoded([b"output"]))
                handler.outbox.flush()
            else:
                client.send_frame(PONG)  # to which nothing is answered
            with contextlib.suppress(TimeoutError):
                opcode, _ = client.receive_frame(timeout=0.05)


def test_a_client_that_does_not_answer_pings_is_closed(serve: Serve) -> None:
    client, handler = serve(ping_interval=0.05, ping_timeout=0.1).pair()
    with client:
        assert client.receive_frame() == (PING, b"")
        opcode, payload = client.receive_frame()
        assert (opcode, payload[:2]) == (CLOSE, struct.pack("!H", 1011))
    assert handler.is_closed.wait(30)


# -- many threads --------------------------------------------------------------------------------------


def test_big_messages_from_three_threads_do_not_mix(serve: Serve) -> None:
    client, handler = serve().pair()
    sent = 30

    def append(letter: bytes) -> None:
        for _ in range(sent):
            handler.outbox.append(Encoded([letter * 300_000]))
            handler.outbox.flush()

    threads = [threading.Thread(target=append, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    counts = dict.fromkeys("abc", 0)
    with client:
        for number in range(3 * sent):
            if number % 10 == 0:
                client.send_frame(PING, b"in between")
            while True:
                opcode, payload = client.receive_frame()
                if opcode == TEXT:
                    break
                assert (opcode, payload) == (PONG, b"in between")
            letter = chr(payload[0])
            assert payload == letter.encode() * 300_000
            counts[letter] += 1
    for thread in threads:
        thread.join(30)
    assert counts == dict.fromkeys("abc", sent)


# -- the handshake -------------------------------------------------------------------------------------


def test_compression_is_never_agreed_on(serve: Serve) -> None:
    offer = [("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")]
    with serve().client(headers=offer) as client:
        assert client.handshake is not None
        assert "sec-websocket-extensions" not in client.handshake.headers
        client.send_frame(TEXT, b"\xaa\x00", rsv=4)
        assert client.close_code() == 1002


def test_over_a_unix_socket_it_is_the_same_and_the_peer_has_a_uid(serve: Serve, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    client, handler = serve(Listen("unix", path=path)).pair()
    with client:
        client.send_text("over a file")
        assert client.receive() == "over a file"
    assert (handler.peer.kind, handler.peer.address, handler.peer.uid) == ("unix", path, os.getuid())
