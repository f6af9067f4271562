"""The client's frames, held against wsproto's."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Message, Ping, Pong, TextMessage

from overseer.client.frames import FrameReader, ProtocolViolation, close_frame, ping, pong, text

SIZES = (0, 1, 125, 126, 127, 65535, 65536, 200_000)


def feed(data: bytes, cuts: list[int], limit: int = 1 << 20) -> tuple[list[bytes], list[bytes], object]:
    reader = FrameReader(limit)
    messages, pings, close = [], [], None
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in itertools.pairwise(edges):
        got = reader.feed(data[start:end])
        messages += got.messages
        pings += got.pings
        close = close or got.close
    return messages, pings, close


@given(
    st.lists(
        st.one_of(st.binary(max_size=300), st.sampled_from([b"x" * size for size in SIZES])), max_size=6
    ),
    st.randoms(),
)
def test_what_wsproto_sends_arrives_however_it_is_cut(payloads: list[bytes], rng: random.Random):
    server = Connection(ConnectionType.SERVER)
    data, pinged = b"", []
    for payload in payloads:
        parts = [payload]
        for _ in range(rng.choice((0, 0, 1, 3))):  # fragments
            last = parts.pop()
            middle = rng.randrange(len(last) + 1)
            parts += [last[:middle], last[middle:]]
        for index, part in enumerate(parts):
            data += server.send(BytesMessage(part, message_finished=index == len(parts) - 1))
            if rng.random() < 0.3:  # between fragments, too
                pinged.append(part[:125])
                data += server.send(Ping(part[:125])) + server.send(Pong(b"unasked"))
    data += server.send(CloseConnection(1001, "bye"))
    cuts = [rng.randrange(len(data) + 1) for _ in range(rng.choice((0, 1, 5, 50)))]
    assert feed(data, cuts) == (payloads, pinged, (1001, "bye"))


def test_one_byte_at_a_time():
    server = Connection(ConnectionType.SERVER)
    data = server.send(TextMessage("hello")) + server.send(TextMessage("x" * 300))
    assert feed(data, list(range(len(data))))[0] == [b"hello", b"x" * 300]


@pytest.mark.parametrize("size", SIZES)
def test_wsproto_reads_what_is_sent(size):
    server = Connection(ConnectionType.SERVER)
    payload = ("aé" * size)[:size]
    server.receive_data(text(payload.encode()))
    received = "".join(event.data for event in server.events() if isinstance(event, Message))
    assert received == payload


def test_wsproto_reads_control_frames():
    server = Connection(ConnectionType.SERVER)
    server.receive_data(ping() + pong(b"again") + close_frame(1000))
    events = list(server.events())
    assert events == [Ping(b""), Pong(b"again"), CloseConnection(1000, "")]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x81\x80abcd", "masked"),
        (b"\xc1\x00", "reserved"),
        (b"\x83\x00", "unknown type 3"),
        (b"\x80\x00", "continuation of no message"),
        (b"\x01\x01a\x81\x01b", "inside a fragmented"),
        (b"\x09\x00", "control frame"),
        (b"\x89\x7e\x00\x80", "control frame"),
        (b"\x88\x01a", "close frame of one byte"),
        (b"\x81\x7f" + b"\x7f" * 8, "more than"),
        (b"\x01\x7e\x02\x00" + b"a" * 512 + b"\x80\x7e\x02\x01", "more than"),
    ],
)
def test_what_no_server_sends_is_refused(data, words):
    with pytest.raises(ProtocolViolation, match=words):
        feed(data, [], limit=1024)


def test_nothing_is_read_after_a_close():
    assert feed(b"\x88\x02\x03\xe8\x81\x01a", []) == ([], [], (1000, ""))
    assert feed(b"\x88\x00", [])[2] == (1005, "")
