"""The splitter, held against a slow and plain model of the same rules."""

from __future__ import annotations

import random
import time
import tracemalloc
from itertools import product

import pytest

from overseer.process import lines
from overseer.process.lines import KEPT_OF_REDRAWN, LineSplitter, MaskedSplitter, decode
from overseer.util.masking import Mask
from tests.harness import allowed

EDGES = (0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF)  # where the ranges of a second byte begin and end


def split(data: bytes, sizes: list[int], max_line: int = 1000) -> list[tuple[str, str]]:
    """Feed ``data`` in pieces of the given sizes (the last one repeats); each line with its flag."""
    splitter = LineSplitter(max_line)
    groups = []
    at = turn = 0
    while at < len(data):
        size = sizes[min(turn, len(sizes) - 1)]
        groups += splitter.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    groups += splitter.close()
    assert all(len(lines) == 1 for lines, cut in groups if cut), "a cut line must come alone"
    assert all(lines for lines, _ in groups), "no empty group"
    return [(line, cut) for lines, cut in groups for line in lines]


def model(data: bytes, max_line: int) -> list[tuple[str, str]]:
    """The same by the definition, one line at a time."""
    lines = data.split(b"\n")
    last = lines.pop()
    lines = [line.removesuffix(b"\r") for line in lines]
    if last:
        lines.append(last)
    return [one(line, max_line) for line in lines]


def one(line: bytes, max_line: int) -> tuple[str, str]:
    kept = min(max_line, KEPT_OF_REDRAWN)
    if len(line) > kept and b"\r" in line[:-1][: max_line + 1]:
        end = line[-kept:]
        if b"\r" in end[:-1]:
            return go_text(end[end.index(b"\r") + 1 :]), "overwritten"
        while end and 0x80 <= end[0] < 0xC0:
            end = end[1:]
        return go_text(end), "overwritten"
    return go_text(line[: boundary(line, max_line)]), "truncated" if len(line) > max_line else ""


def boundary(line: bytes, size: int) -> int:
    """Where to cut: at ``size``, or before a character that has begun there and is not whole."""
    if len(line) <= size:
        return len(line)
    for start in range(max(size - 3, 0), size):
        begun = line[start:size]
        for more in range(1, 4):
            if any(valid(begun + bytes(tail), len(begun) + more) for tail in product(EDGES, repeat=more)):
                return start
    return size


def valid(data: bytes, length: int) -> bool:
    try:
        return len(data) == length and len(data.decode()) == 1
    except UnicodeDecodeError:
        return False


def go_text(data: bytes) -> str:
    """As Go turns bytes into text: the next whole character, or else U+FFFD for one byte."""
    text, at = "", 0
    while at < len(data):
        for length in (1, 2, 3, 4):
            if valid(data[at : at + length], length):
                text += data[at : at + length].decode()
                at += length
                break
        else:
            text += "\ufffd"
            at += 1
    return text


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a", ["a"]),
        (b"a\n", ["a"]),
        (b"a\nb", ["a", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\r\r\n", ["a\r"]),
        (b"a\rb\n", ["a\rb"]),
        (b"a\r", ["a\r"]),
        (b"\r\n\r\n", ["", ""]),
        (b"\n\n\n", ["", "", ""]),
        (b"a\x0bb\x0cc\x1cd\xc2\x85e\xe2\x80\xa8f\n", ["a\x0bb\x0cc\x1cd\x85e\u2028f"]),
        (b"nul\0 and tab\t\n", ["nul\0 and tab\t"]),
        ("smörgåsbord 日本 🎉\n".encode(), ["smörgåsbord 日本 🎉"]),
        (b"\xff\xfe\n", ["\ufffd\ufffd"]),
        (b"\xe2\x82A\n", ["\ufffd\ufffdA"]),  # a broken sequence of two bytes gives two
        (b"\xf0\x9f\x8e\n", ["\ufffd\ufffd\ufffd"]),
        (b"\xed\xa0\x80\n", ["\ufffd\ufffd\ufffd"]),  # a surrogate
        (b"\xc0\x80\n", ["\ufffd\ufffd"]),  # overlong
        (b"\xef\xbb\xbfbom\n", ["\ufeffbom"]),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 64])
def test_lines_end_at_lf_and_keep_everything_else(data: bytes, expected: list[str], size: int) -> None:
    assert split(data, [size]) == [(line, "") for line in expected]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"1234\n", [("1234", "")]),
        (b"1234\r\n", [("1234", "")]),
        (b"12345\n", [("1234", "truncated")]),
        (b"1234\r", [("1234", "truncated")]),
        (b"1234\rx\n", [("x", "overwritten")]),
        (b"12345678901234567890\nab\n", [("1234", "truncated"), ("ab", "")]),
        (b"ab\n12345\ncd\nef\n", [("ab", ""), ("1234", "truncated"), ("cd", ""), ("ef", "")]),
        (b"12345", [("1234", "truncated")]),
        (b"123\xc3\xa4\n", [("123", "truncated")]),  # a character is not cut in two
        (b"12\xc3\xa4\n", [("12ä", "")]),
        (b"1\xf0\x9f\x8e\x89\n", [("1", "truncated")]),
        (b"\x80\x80\x80\x80\x80\x80\n", [("\ufffd\ufffd\ufffd\ufffd", "truncated")]),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 64])
def test_a_line_over_the_limit_is_cut_and_the_rest_skipped(
    data: bytes, expected: list[tuple[str, bool]], size: int
) -> None:
    assert split(data, [size], max_line=4) == expected


def test_random_bytes_in_random_pieces_agree_with_the_definition() -> None:
    rng = random.Random(7)
    alphabet = [b"\n", b"\n", b"\r\n", b"\r", b"a", b"bc", b"\xff", b"\x80"]
    alphabet += [text.encode() for text in "ä€🎉"] + [b"\xe2\x82", b"\xf0\x9f\x8e"]
    for _ in range(1500):
        data = b"".join(rng.choices(alphabet, k=rng.randrange(60)))
        max_line = rng.choice([1, 2, 3, 5, 8, 40])
        sizes = [rng.randrange(1, 12) for _ in range(40)]
        assert split(data, sizes, max_line) == model(data, max_line), (data, max_line, sizes)


def test_a_long_line_in_pieces_is_not_quadratic_and_memory_stays_bounded() -> None:
    limit, piece = 10 << 20, b"x" * 65536
    splitter = LineSplitter(limit)
    started = time.perf_counter()
    groups = []
    tracemalloc.start()
    for _ in range(640):  # 40 MiB in one line
        groups += splitter.feed(piece)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    groups += splitter.feed(b"end\nnext\n")
    assert [(len(lines[0]), cut) for lines, cut in groups] == [(limit, "truncated"), (4, "")]
    assert peak < 4 * limit
    assert time.perf_counter() - started < allowed(5)


def test_a_line_that_trickles_in_takes_no_more_memory_than_its_bytes() -> None:
    limit, piece = 100_000, bytearray(b"xx")
    splitter = LineSplitter(limit)
    tracemalloc.start()
    for _ in range(limit // 2):
        assert splitter.feed(bytes(piece)) == []  # each an object of its own, as reads are
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * limit
    assert splitter.feed(b"\n") == [(["x" * limit], "")]


def test_a_read_gives_one_group_even_when_it_begins_within_a_line() -> None:
    splitter = LineSplitter(1000)
    assert splitter.feed(b"one\ntw") == [(["one"], "")]
    assert splitter.feed(b"o\nthree\nfo") == [(["two", "three"], "")]
    assert splitter.close() == [(["fo"], "")]


@pytest.mark.parametrize(
    "data", list(map(bytes, product((0x41, 0xC3, 0xE2, 0xED, 0xF4), (0x82, 0xA0), (0x41, 0xAC))))
)
def test_bad_utf8_gives_one_replacement_for_each_byte(data: bytes) -> None:
    assert decode(data) == go_text(data)


@pytest.mark.parametrize("bad", [b"\xff", b"\xe2\x82", b"caf\xe9? ", random.Random(3).randbytes(64)])
def test_bytes_that_are_no_text_cost_little_more_than_text(bad: bytes) -> None:
    def cost(data: bytes) -> float:
        best = 9.0
        for _ in range(5):
            started = time.thread_time()
            decode(data)
            best = min(best, time.thread_time() - started)
        return best

    data = (bad * (1 << 20))[: 1 << 20]
    started = time.thread_time()
    data.decode("utf-8", "surrogateescape")
    plain = time.thread_time() - started
    # An error handler in Python takes ten to thirty times as long.
    assert cost(data) < 8 * max(plain, 0.01)


def test_pieces_of_a_long_text_that_is_no_utf_8_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(11)
    parts = [text.encode() for text in "aä€🎉?"] + [b"\xff", b"\x80", b"\xe2\x82", b"\xf0\x9f\x8e"]
    for _ in range(300):
        data = b"\xff" + b"".join(rng.choices(parts, k=rng.randrange(30)))
        monkeypatch.setattr(lines, "_PIECE", 1 << 20)
        whole = decode(data), decode(data, final=False)
        monkeypatch.setattr(lines, "_PIECE", rng.randrange(1, 7))
        assert (decode(data), decode(data, final=False)) == whole
        assert whole[0] == go_text(data)


def test_text_of_every_stand_in_is_decoded_all_the_same() -> None:
    assert decode("\ufdd0\ufdd1\ufdd2\ufdd3?".encode() + b"\xff") == "\ufdd0\ufdd1\ufdd2\ufdd3?\ufffd"


@pytest.mark.parametrize("step", [7, 1000, 65536])
def test_of_a_line_that_redraws_itself_for_hours_the_last_state_is_kept(step: int) -> None:
    data = b"".join(b"frame=%9d fps=25 time=00:00:00\r" % frame for frame in range(20_000))
    splitter = LineSplitter(10 << 20)
    tracemalloc.start()
    groups = [group for at in range(0, len(data), step) for group in splitter.feed(data[at : at + step])]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert groups == []
    ((lines, mark),) = splitter.feed(b"done\nnext\n")[:1]
    assert mark == "overwritten"
    assert len(lines[0]) <= KEPT_OF_REDRAWN
    assert lines[0].startswith("frame=")
    assert lines[0].endswith("frame=    19999 fps=25 time=00:00:00\rdone")
    assert peak < 8 * KEPT_OF_REDRAWN


def test_a_long_line_that_ends_in_cr_lf_is_whole() -> None:
    line = b"x" * 200_000
    splitter = LineSplitter(10 << 20)
    groups = [splitter.feed(part) for part in (line[:100_000], line[100_000:] + b"\r", b"\n")]
    assert groups[2] == [([line.decode()], "")]


def test_no_cut_goes_through_a_secret() -> None:
    for before in range(95, 106):
        data = b"x" * before + b"hunter2" + b"y" * 50 + b"\nnext\n"
        for piece in (1, 7, 1000):
            splitter = MaskedSplitter(100, Mask(["hunter2"]))
            groups = [splitter.feed(data[at : at + piece]) for at in range(0, len(data), piece)]
            found = [line for group in groups for lines, _ in group for line in lines]
            assert "hunt" not in found[0], found
            assert len(found[0]) <= 100
            assert found[1:] == ["next"]


def test_a_line_that_redraws_itself_is_dropped_without_a_part_of_a_secret() -> None:
    splitter = MaskedSplitter(1 << 20, Mask(["hunter2-hunter2"]))
    ((lines, mark),) = splitter.feed(b"\r50% hunter2-hunter2" * 20_000 + b"\n")
    assert mark == "overwritten"
    assert set(lines[0].split("\r")) == {"50% ***"}


def test_an_unfinished_line_does_not_show_how_a_secret_begins() -> None:
    splitter = MaskedSplitter(1 << 20, Mask(["hunter2-hunter2"]))
    seen = []
    for byte in b"password: hunter2-hunter2? ":
        assert splitter.feed(bytes([byte])) == []
        seen.append(splitter.unfinished)
    assert set(seen[9:-2]) == {b"password: ", b"password: ***"}
    assert seen[-1] == b"password: ***? "
    splitter.feed(b"z" * 4080 + b"hunter2-hunter2")
    assert b"hunter" not in splitter.unfinished
    splitter.feed(b"z" * 4090)
    assert b"unter2" not in splitter.unfinished
    assert splitter.feed(b"hunter2-hun") == []
    ((last,), _), *_ = splitter.close()
    assert last.endswith("z***")
