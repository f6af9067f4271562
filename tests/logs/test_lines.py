"""What is written of a batch is what is read of it."""

from __future__ import annotations

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
        Lines(1, _TS, "stdout", lines, False)
    ]


def test_a_line_break_within_a_line_and_half_a_character_do_no_harm() -> None:
    data = b"".join(encode(_TS, "stdout", ["a\nb", "\ud800"], False).pieces)
    assert [some.lines for some in decode(Text(1, data, []))] == [["a\u2424b", "\ufffd"]]


def test_what_somebody_else_has_written_is_text() -> None:
    (some,) = decode(Text(1, b"what is this\n", []))
    assert some.lines == ["what is this"]
