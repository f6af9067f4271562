"""Frames as a server builds them, and the headers it looks at."""

from __future__ import annotations

import itertools
import struct

import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Ping, TextMessage

from overseer.net.frame_limit import FrameScanner
from overseer.net.frames import (
    Encoded,
    close_frame,
    frame_end,
    only_pongs,
    ping_frame,
    split_frames,
    text_frames,
)
from overseer.util.websocket_frame import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from tests.net.rawclient import frame

LENGTHS = [0, 1, 125, 126, 127, 1023, 1024, 65535, 65536, 70000]


def as_a_client_reads(data: bytes) -> list[object]:
    connection = Connection(ConnectionType.CLIENT)
    connection.receive_data(data)
    return list(connection.events())


@pytest.mark.parametrize("length", LENGTHS)
def test_a_text_frame_is_read_by_another_implementation(length: int) -> None:
    payload = b"x" * length
    (event,) = as_a_client_reads(text_frames([payload]))
    assert isinstance(event, TextMessage)
    assert event.data.encode() == payload
    assert event.message_finished


def test_joined_frames_are_the_frames_in_order() -> None:
    payloads = [b"a" * length for length in LENGTHS]
    assert text_frames(payloads) == b"".join(text_frames([payload]) for payload in payloads)


def test_a_ping_is_read_by_another_implementation() -> None:
    (event,) = as_a_client_reads(ping_frame(b"hello"))
    assert isinstance(event, Ping)
    assert bytes(event.payload) == b"hello"


@pytest.mark.parametrize("reason", ["", "short", "é" * 100, "x" * 123, "x" * 124])
def test_a_close_frame_is_read_by_another_implementation_however_long_its_reason(reason: str) -> None:
    (event,) = as_a_client_reads(close_frame(1013, reason))
    assert isinstance(event, CloseConnection)
    assert event.code == 1013
    assert reason.startswith(event.reason or "")
    assert len((event.reason or "").encode()) >= min(len(reason.encode()), 122)


def test_frames_are_split_at_their_ends() -> None:
    frames = [text_frames([b"x" * length]) for length in LENGTHS] + [ping_frame(b"p"), close_frame(1000)]
    assert [whole for _, whole in split_frames(b"".join(frames))] == frames
    assert [opcode for opcode, _ in split_frames(b"".join(frames))][-2:] == [PING, CLOSE]


def test_the_end_of_a_frame_is_found_from_any_byte_in_it() -> None:
    frames = [text_frames([b"x" * length]) for length in (0, 3, 200, 70000)]
    joined = b"".join(frames)
    ends = [0, *itertools.accumulate(map(len, frames))]
    for begin, end in itertools.pairwise(ends):
        for offset in {begin + 1, begin + 2, (begin + end + 1) // 2, end}:
            assert frame_end(joined, offset) == end
    assert frame_end(joined, 0) == 0


def test_a_batch_is_encoded_once() -> None:
    payloads = [b'{"a":1}', b'{"b":"\xc3\xa9"}']
    encoded = Encoded(payloads)
    assert encoded.websocket == text_frames(payloads)
    assert encoded.lines == b'{"a":1}\n{"b":"\xc3\xa9"}\n'
    assert encoded.websocket is encoded.websocket
    assert encoded.lines is encoded.lines


def test_an_empty_batch_has_no_bytes() -> None:
    assert Encoded(()).websocket == b""
    assert Encoded(()).lines == b""


# -- the scanner ---------------------------------------------------------------------------------------

FITTING = [
    [frame(TEXT, b"x" * 100)],
    [frame(TEXT, b"x" * 100)] * 3,
    [frame(TEXT, b"")],
    [frame(TEXT, b"x" * 60, fin=False), frame(CONTINUATION, b"x" * 40)],
    [frame(TEXT, b"x" * 60, fin=False), frame(PING, b"p" * 125), frame(CONTINUATION, b"x" * 40)],
    [frame(BINARY, b"x" * 60, fin=False), frame(CONTINUATION, fin=False), frame(CONTINUATION, b"x" * 40)],
    [frame(CLOSE, struct.pack("!H", 1000))],
    [frame(TEXT, b"x" * 100, masked=False)],
]

TOO_LONG = [
    [frame(TEXT, b"x" * 101)],
    [frame(TEXT, b"x" * 40), frame(TEXT, announce=101)],
    [frame(TEXT, announce=70000)],
    [frame(TEXT, announce=2**63 - 1)],
    [frame(TEXT, announce=2**63)],
    [frame(TEXT, announce=2**64 - 1)],
    [frame(TEXT, announce=2**40, masked=False)],
    [frame(TEXT, b"x" * 60, fin=False), frame(CONTINUATION, b"x" * 41)],
    [frame(TEXT, b"x" * 60, fin=False), frame(PING), frame(CONTINUATION, b"x" * 41, fin=False)],
    [frame(TEXT, b"x" * 100, fin=False), frame(CONTINUATION, b"y", fin=False)],
]


def scan_in_pieces(data: bytes, step: int) -> int:
    """How many bytes the scanner lets through when they come ``step`` at a time."""
    scanner = FrameScanner(max_message=100)
    used = 0
    for start in range(0, len(data), step):
        piece = data[start : start + step]
        good = scanner.scan(piece)
        used += good
        if good < len(piece):
            break
    return used


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, 100000])
@pytest.mark.parametrize("frames", FITTING)
def test_what_fits_passes_however_it_is_cut(frames: list[bytes], step: int) -> None:
    data = b"".join(frames)
    assert scan_in_pieces(data, step) == len(data)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, 100000])
@pytest.mark.parametrize("frames", TOO_LONG)
def test_what_is_too_long_is_stopped_in_the_header_that_says_so(frames: list[bytes], step: int) -> None:
    data = b"".join(frames)
    begin = len(data) - len(frames[-1])
    used = scan_in_pieces(data, step)
    assert begin <= used < begin + 14
    if step == 100000:
        assert used == begin


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (frame(PONG), True),
        (frame(PONG, b"x" * 125), True),
        (frame(PONG) * 3 + frame(PONG, b"payload"), True),
        (b"", False),
        (frame(PONG)[:-1], False),
        (frame(PONG, b"payload")[:-1], False),
        (frame(PONG)[:1], False),
        (frame(PONG) + b"\x8a", False),
        (frame(PONG) + frame(TEXT, b"{}"), False),
        (frame(PING), False),
        (frame(PONG, masked=False) + bytes(4), False),
        (frame(PONG, b"x" * 126), False),
        (frame(PONG, fin=False), False),
        (frame(PONG, rsv=4), False),
    ],
)
def test_only_whole_pongs_of_a_client_are_pongs(data: bytes, expected: bool) -> None:
    assert only_pongs(data) is expected
