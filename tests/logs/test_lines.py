"""What is written of a batch is what is read of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overseer.logs.lines import Lines, decode, encode
from overseer.logs.standalone.segments import Text

_TS = "2026-05-06T07:08:09.123456Z"
_LINES = st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8"), max_size=40), min_size=1)


@given(st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), _LINES, st.booleans()), min_size=1))
def test_batches_are_read_as_they_were_written(batches: list[tuple[str, list[str], bool]]) -> None:
    data = b""
    want: list[tuple[str, str, bool]] = []
    for stream, lines, truncated in batches:
        data += b"".join(encode(_TS, stream, lines, truncated).pieces)
        want += [(stream, line, truncated) for line in lines]
    assert data.count(b"\n") == len(want)
    found = list(decode(Text(5, data, [])))
    assert [(s.stream, line, s.truncated) for s in found for line in s.lines] == want
    assert [some.first for some in found] == [
        5 + sum(len(before.lines) for before in found[:number]) for number in range(len(found))
    ]


def test_the_form_is_cri_s() -> None:
    assert b"".join(encode(_TS, "stderr", ["a b", ""], False).pieces) == (
        b"2026-05-06T07:08:09.123456Z stderr F a b\n2026-05-06T07:08:09.123456Z stderr F \n"
    )
    cut = encode(_TS, "stdout", ["cut"], True)
    assert b"".join(cut.pieces) == b"2026-05-06T07:08:09.123456Z stdout P cut\n"


@given(lines=st.lists(st.text(max_size=5), min_size=1))
def test_it_tells_its_size_and_that_of_the_text(lines: list[str]) -> None:
    entry = encode(_TS, "stdout", lines, False)
    assert entry.size == len(b"".join(entry.pieces))
    found = "".join(line for some in decode(Text(1, b"".join(entry.pieces), [])) for line in some.lines)
    assert entry.text_size == len(found.encode())


def test_a_large_batch_has_as_many_lines_as_it_has() -> None:
    lines = [str(number) for number in range(3500)]
    assert list(decode(Text(1, b"".join(encode(_TS, "stdout", lines, False).pieces), []))) == [
        Lines(1, [_TS] * 3500, "stdout", lines, False)
    ]


def test_a_line_break_within_a_line_and_half_a_character_do_no_harm() -> None:
    data = b"".join(encode(_TS, "stdout", ["a\nb", "\ud800"], False).pieces)
    assert [some.lines for some in decode(Text(1, data, []))] == [["a\u2424b", "\ufffd"]]


def test_lines_differ_in_their_times_alone_and_are_read_together() -> None:
    times = [f"2026-05-06T07:08:09.{number:06}Z" for number in range(300)]
    data = b"".join(piece for ts in times for piece in encode(ts, "stderr", ["x"], False).pieces)
    assert list(decode(Text(7, data, []))) == [Lines(7, times, "stderr", ["x"] * 300, False)]


@pytest.mark.parametrize(
    "line",
    [
        "what is this",
        f"{_TS} stdout X of no kind",
        "2026-13-06T07:08:09.123456Z stdout F of no month",
        "2026-05-06T25:08:09.123456Z stdout F of no hour",
        "2026-05-06 07:08:09.1234567 stdout F of no form",
    ],
)
def test_what_somebody_else_has_written_is_text_among_lines_that_are_none(line: str) -> None:
    ours = f"{_TS} stdout F ours"
    found = list(decode(Text(1, f"{ours}\n{line}\n{ours}\n".encode(), [])))
    assert [text for some in found for text in some.lines] == ["ours", line, "ours"]
    assert [some.first + index for some in found for index in range(len(some.lines))] == [1, 2, 3]
    assert [ts for some in found for ts in some.times] == [_TS, "1970-01-01T00:00:00.000000Z", _TS]
