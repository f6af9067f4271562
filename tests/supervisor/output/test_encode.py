"""The quick encoder of output against the one that encodes every message."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import overseer.supervisor.output.encode
from overseer.net.frames import Encoded, Streamed, split_frames
from overseer.protocol import Output, TaskInfo, Tasks, encode
from overseer.supervisor.output.encode import (
    EncodedOutput,
    StreamedOutput,
    StreamedTasks,
    output_size,
    task_row,
)
from overseer.supervisor.output.ring import StoredOutput
from overseer.util.timestamps import format_timestamp
from overseer.util.websocket_frame import TEXT

_TS = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
_LINES = st.lists(
    st.one_of(st.text('ab"\\\t\x00\x1f\x7f/é€😀', max_size=40), st.text("abc ", max_size=300), _TEXTS),
    min_size=1,
)


def _payloads(frames: bytes) -> list[bytes]:
    """What text frames carry; their headers have 2, 4 or 10 bytes."""
    payloads = []
    for opcode, frame in split_frames(frames):
        assert opcode == TEXT
        payloads.append(frame[{126: 4, 127: 10}.get(frame[1], 2) :])
    return payloads


def _encoded(
    lines: list[str], first: int = 1, task_id: str = "task", truncated: bool = False
) -> EncodedOutput:
    return EncodedOutput(task_id, _stored(lines, first, truncated), format_timestamp(_TS))


def _stored(lines: list[str], first: int, truncated: bool) -> StoredOutput:
    return StoredOutput(first, _TS, 123, "stdout", lines, truncated)


def _expected(
    lines: list[str], first: int = 1, task_id: str = "task", truncated: bool = False
) -> list[bytes]:
    return [
        encode(Output(task_id, 123, "stdout", line, _TS, seq, truncated))
        for seq, line in enumerate(lines, first)
    ]


@given(
    lines=_LINES,
    first=st.sampled_from([1, 8, 9, 10, 95, 99, 100, 998, 1000, 99_995, 10**12]),
    task_id=_TEXTS,
    cut=st.booleans(),
)
def test_it_gives_what_the_declaration_gives(lines: list[str], first: int, task_id: str, cut: bool) -> None:
    encoded = _encoded(lines, first, task_id, cut)
    expected = _expected(lines, first, task_id, cut)
    assert _payloads(encoded.websocket) == expected
    assert encoded.lines == b"".join(payload + b"\n" for payload in expected)


@given(
    lines=_LINES,
    first=st.sampled_from([1, 8, 99, 998, 99_995]),
    cut=st.booleans(),
    data=st.data(),
)
def test_lines_with_times_of_their_own_are_what_each_would_be_alone(
    lines: list[str], first: int, cut: bool, data: st.DataObject
) -> None:
    moments = [_TS + timedelta(microseconds=data.draw(st.integers(0, 10**12))) for _ in lines]
    encoded = EncodedOutput("task", _stored(lines, first, cut), [format_timestamp(each) for each in moments])
    expected = [
        encode(Output("task", 123, "stdout", line, ts, seq, cut))
        for seq, (line, ts) in enumerate(zip(lines, moments, strict=True), first)
    ]
    assert _payloads(encoded.websocket) == expected
    assert encoded.lines == b"".join(payload + b"\n" for payload in expected)


@pytest.mark.parametrize("length", [0, 1, 10, 120, 65_000, 65_400, 65_536, 70_000, 200_000])
def test_plain_lines_get_the_right_frame_header_at_every_length(length: int) -> None:
    lines = ["x" * length, "y", "z" * length]
    assert _payloads(_encoded(lines, 9).websocket) == _expected(lines, 9)


@pytest.mark.parametrize("first", [1, 995, 1000, 999_500])
@pytest.mark.parametrize("letter", ["x", "é"])
def test_many_lines_of_all_lengths(letter: str, first: int) -> None:
    lines = [letter * (number * 7 % 200) for number in range(2500)]
    encoded, expected = _encoded(lines, first), _expected(lines, first)
    assert _payloads(encoded.websocket) == expected
    assert encoded.lines == b"".join(payload + b"\n" for payload in expected)


def test_a_line_end_inside_a_line_is_escaped() -> None:
    # Workers split lines, but a driver may pass on what it likes.
    payloads = _payloads(_encoded(["a\nb", "c"]).websocket)
    assert [json.loads(payload)["data"] for payload in payloads] == ["a\nb", "c"]


def test_a_lone_surrogate_does_not_stop_the_others() -> None:
    lines = ["a", "\udcff\ud800 \udcff", "b"]
    encoded = _encoded(lines)
    payloads = _payloads(encoded.websocket)
    assert [json.loads(payload)["data"] for payload in payloads] == ["a", "\ufffd\ufffd \ufffd", "b"]
    assert payloads == encoded.lines.splitlines() == _expected(lines)


@pytest.mark.parametrize("lines", [["a"] * 1000, ["x" * 500] * 10])
def test_the_size_estimate_is_near_for_plain_lines(lines: list[str]) -> None:
    actual = len(_encoded(lines).websocket)
    assert 0.8 * actual < output_size(lines, "task") < 1.25 * actual


# -- piece by piece ------------------------------------------------------------------------------------


def _joined(message: Streamed, framed: bool) -> bytes:
    """All pieces; each ends a frame, or line, unless it says that there is more of it."""
    pieces = list(message.pieces(framed=framed))
    begun = b""
    for piece in pieces:
        begun += piece.data
        if not piece.more:
            assert (b"".join(frame for _, frame in split_frames(begun)) if framed else begun) == begun
            begun = b""
    assert begun == b""
    data = b"".join(piece.data for piece in pieces)
    assert message.size(framed=framed) == len(data)
    return data


@pytest.fixture
def tiny_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overseer.supervisor.output.encode, "_PIECE", 20)
    monkeypatch.setattr(overseer.supervisor.output.encode, "_KEPT", 150)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=_LINES, first=st.sampled_from([1, 9, 99_995]), task_id=_TEXTS, cut=st.booleans())
def test_output_in_pieces_is_the_same(
    tiny_pieces: None, lines: list[str], first: int, task_id: str, cut: bool
) -> None:
    whole = _encoded(lines, first, task_id, cut)
    streamed = StreamedOutput(task_id, _stored(lines, first, cut), format_timestamp(_TS))
    assert _joined(streamed, framed=True) == whole.websocket
    assert _joined(streamed, framed=False) == whole.lines


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    params=st.lists(st.dictionaries(_TEXTS, _TEXTS, max_size=3), max_size=5),
    following=st.sampled_from(["", "t"]),
)
def test_a_list_in_pieces_is_the_same(
    tiny_pieces: None, params: list[dict[str, str]], following: str
) -> None:
    tasks = tuple(
        TaskInfo(task_id=f"t{n}", action="a", params=each, state="active", created_at=_TS)
        for n, each in enumerate(params)
    )
    whole = Encoded([encode(Tasks("r", tasks, following))])
    streamed = StreamedTasks(Tasks("r", (), following), [task_row(task) for task in tasks])
    assert _joined(streamed, framed=True) == whole.websocket
    assert _joined(streamed, framed=False) == whole.lines
