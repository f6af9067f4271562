"""A line as a terminal shows it: by a table, and beside a terminal emulator."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overseer.process.lines import UNFINISHED
from overseer.process.terminal_lines import drawn, shown


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"", ""),
        (b"Continue? ", "Continue? "),
        (b"10%\r55%", "55%"),
        (b"100%\r5%", "5%0%"),
        (b"something\r\x1b[Kelse", "else"),
        (b"abc\r\x1b[2Kd", "d"),
        (b"abcdef\r\x1b[2C\x1b[1KX", "  Xdef"),
        (b"ab\b\bX", "Xb"),
        (b"\b\bX", "X"),
        (b"abc\x1b[2DX", "aXc"),
        (b"abc\x1b[2GX", "aXc"),
        (b"a\x1b[3CX", "a   X"),
        ("構築\r作".encode(), "作築"),
        ("構x\ra".encode(), "a x"),
        ("構x\r\x1b[Cab".encode(), " ab"),
        ("構築\r\x1b[C\x1b[K".encode(), " "),
        ("構\u0301x".encode(), "構\u0301x"),
        ("e\u0301\u0301x".encode(), "e\u0301\u0301x"),
        (b"\x1b[31mred\x1b[0m!", "\x1b[31mred\x1b[0m!"),
        (b"\x1b[31mred\rgreen\x1b[32m?", "\x1b[31mgreen\x1b[0m\x1b[31m\x1b[32m?\x1b[0m"),
        (b"a\x1b]0;title\x07b\x1b(Bc\x1b[?25ld\x00\x07e", "abcde"),
        (b"a\x1b[3", "a"),
        (b"a\x1b]0;tit", "a"),
        (b"a\tb", "a\tb"),
        (b"caf\xc3", "caf"),
        (b"\xa9caf", "caf"),
        (b"bad\xff\xfe!", "bad\ufffd\ufffd!"),
        (b"x\x1b[99999999999999999Gy", "x"),
    ],
)
def test_it_is_shown_as_a_terminal_would(line: bytes, text: str) -> None:
    assert shown(line) == text


# No wide characters: what pyte leaves of one half overwritten no terminal shows.
_PIECES = ["a", "bc", "é", " ", "\r", "\b", "\x1b[K", "\x1b[1K", "\x1b[2K", "\x1b[2C", "\x1b[3D"]
_PIECES += ["\x1b[4G", "\x1b[C", "\x1b[0D", "\x07", "\x1b]0;title\x07", "\x1b[?25h"]


@given(st.lists(st.sampled_from(_PIECES), max_size=24))
def test_a_terminal_emulator_shows_the_same(pieces: list[str]) -> None:
    pyte = pytest.importorskip("pyte", reason="requirements-dev.lock was not installed")
    screen = pyte.Screen(200, 1)
    pyte.Stream(screen).feed("".join(pieces))
    assert shown("".join(pieces).encode()).rstrip() == screen.display[0].rstrip()


@given(st.binary(max_size=UNFINISHED))
def test_whatever_it_is_it_is_one_line_without_what_a_terminal_acts_upon(line: bytes) -> None:
    text = shown(line)
    assert not any(char in text for char in "\r\n\b\x07")
    text.encode()


def test_a_line_that_has_ended_is_its_last_state():
    lines = ["10%\r100%", "plain \x1b[31mred\x1b[0m", "\x1b[?25l\x1b]0;title\x07done\x1b[K", "ab\bc", "a\tb"]
    assert drawn(lines) == ["100%", lines[1], "done", "ac", "a\tb"]
    assert drawn([long := "x" * 65536 + "\x07"]) == [long]
