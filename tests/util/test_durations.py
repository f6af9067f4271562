"""Go durations: what Go reads and writes, so do we."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from overseer.util.durations import MAX_DURATION, format_duration, parse_duration, parse_signed_duration

US, MS, S = 1_000, 1_000_000, 1_000_000_000
M, H = 60 * S, 3600 * S
UNITS = {"ns": 1, "us": US, "\u00b5s": US, "\u03bcs": US, "ms": MS, "s": S, "m": M, "h": H}


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("0", 0),
        ("+0", 0),
        ("-0", 0),
        ("0s", 0),
        ("-0s", 0),
        ("5s", 5 * S),
        ("+5s", 5 * S),
        ("1478s", 1478 * S),
        ("5.0s", 5 * S),
        ("5.6s", 5600 * MS),
        ("5.s", 5 * S),
        (".5s", 500 * MS),
        ("1.004s", 1004 * MS),
        ("100.00100s", 100 * S + MS),
        ("10ns", 10),
        ("11us", 11 * US),
        ("12\u00b5s", 12 * US),
        ("12\u03bcs", 12 * US),
        ("13ms", 13 * MS),
        ("15m", 15 * M),
        ("16h", 16 * H),
        ("3h30m", 3 * H + 30 * M),
        ("10.5s4m", 4 * M + 10 * S + 500 * MS),
        ("2h45m", 2 * H + 45 * M),
        ("1h2m3s4ms5us6ns", H + 2 * M + 3 * S + 4 * MS + 5 * US + 6),
        ("39h9m14.425s", 39 * H + 9 * M + 14425 * MS),
        ("1h1h", 2 * H),
        ("0.3333333333333333333h", 20 * M),
        ("0.100000000000000000000h", 6 * M),
        ("0.830103483285477580700h", 49 * M + 48 * S + 372_539_827),
        ("9007199254740993ns", 2**53 + 1),
        ("9223372036854775807ns", MAX_DURATION),
        ("9223372036854775.807us", MAX_DURATION),
        ("9223372036s854ms775us807ns", MAX_DURATION),
        ("000000000000000000000000000000005s", 5 * S),
        ("0." + "0" * 400 + "1h", 0),
        ("0.9ns", 0),
        ("0.00001h", 36 * MS),
        ("0.0000000000002h", 0),
        ("0.0000000000003h", 1),
        ("0.000000000000000000000000000001h", 0),
    ],
)
def test_reads_what_go_reads(text: str, nanos: int) -> None:
    assert parse_duration(text) == nanos


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not a duration"),
        ("+", "is not a duration"),
        ("-", "is not a duration"),
        ("s", "is not a duration"),
        (".", "is not a duration"),
        ("-.", "is not a duration"),
        (".s", "is not a duration"),
        ("+.s", "is not a duration"),
        ("+-5s", "is not a duration"),
        ("--5s", "is not a duration"),
        (" 5s", "is not a duration"),
        ("3", 'lacks a unit; write "3s"'),
        ("00", "lacks a unit"),
        ("1.5", "lacks a unit"),
        ("1h5", "lacks a unit"),
        ("1.2.3s", "lacks a unit"),
        ("5s ", "unknown unit"),
        ("1d", 'unknown unit "d"'),
        ("1S", "unknown unit"),
        ("1e3s", "unknown unit"),
        ("1h-5m", "unknown unit"),
        ("\u0665s", "is not a duration"),
        ("1\ud800", "unknown unit"),
        ("-5s", "is negative"),
        ("-2m3.4s", "is negative"),
        ("-9223372036854775808ns", "is too long"),
        ("9223372036854775808ns", "is too long"),
        ("9223372036854775.808us", "is too long"),
        ("9223372036854ms775us808ns", "is too long"),
        ("2562047h47m16.854775808s", "is too long"),
        ("3000000h", "is too long"),
        ("9" * 100_000 + "s", "is too long"),
    ],
)
def test_refuses_what_is_none_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)) as caught:
        parse_duration(text)
    assert len(str(caught.value)) < 250
    assert str(caught.value).isascii()


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (999, "999ns"),
        (1100, "1.1\u00b5s"),
        (999_999, "999.999\u00b5s"),
        (2_200_000, "2.2ms"),
        (100 * MS, "100ms"),
        (S - 1, "999.999999ms"),
        (S, "1s"),
        (3300 * MS, "3.3s"),
        (60 * S, "1m0s"),
        (90 * S, "1m30s"),
        (4 * M + 5 * S, "4m5s"),
        (4 * M + 5001 * MS, "4m5.001s"),
        (8 * M + 1, "8m0.000000001s"),
        (H, "1h0m0s"),
        (5 * H + 6 * M + 7001 * MS, "5h6m7.001s"),
        (100 * H, "100h0m0s"),
        (MAX_DURATION, "2562047h47m16.854775807s"),
        (-(2**63), "-2562047h47m16.854775808s"),
        (-1, "-1ns"),
        (-90 * S, "-1m30s"),
    ],
)
def test_writes_what_go_writes(nanos: int, text: str) -> None:
    assert format_duration(nanos) == text


every_duration = st.one_of(
    st.integers(0, MAX_DURATION),
    st.integers(0, 63).flatmap(lambda bits: st.integers(0, 2**bits - 1)),
    st.tuples(st.sampled_from(list(UNITS.values())), st.integers(0, 2_000_000), st.integers(-1, 1)).map(
        lambda parts: max(0, parts[0] * parts[1] + parts[2])
    ),
)


@given(every_duration)
@example(MAX_DURATION)
def test_reads_back_exactly_what_it_wrote(nanos: int) -> None:
    assert parse_duration(format_duration(nanos)) == nanos


@given(every_duration)
def test_a_negative_text_is_the_positive_one_with_a_sign(nanos: int) -> None:
    assert format_duration(-nanos) == (f"-{format_duration(nanos)}" if nanos else "0s")


@given(st.integers(-(2**63), MAX_DURATION), st.integers(-(2**63), MAX_DURATION))
def test_two_durations_have_two_texts(one: int, other: int) -> None:
    assert (format_duration(one) == format_duration(other)) == (one == other)


terms = st.tuples(
    st.integers(0, 10**12),
    st.one_of(st.none(), st.text("0123456789", max_size=30)),
    st.sampled_from(list(UNITS)),
)


@given(st.lists(terms, min_size=1, max_size=4), st.sampled_from(["", "+"]))
def test_a_sum_of_terms_is_right_to_the_precision_of_a_double(
    parts: list[tuple[int, str | None, str]], sign: str
) -> None:
    text = sign + "".join(
        f"{whole}{'' if fraction is None else '.' + fraction}{unit}" for whole, fraction, unit in parts
    )
    exact = sum(
        (whole + (Fraction(int(fraction), 10 ** len(fraction)) if fraction else 0)) * UNITS[unit]
        for whole, fraction, unit in parts
    )
    if exact >= MAX_DURATION:
        with pytest.raises(ValueError, match="too long"):
            parse_duration(text)
    else:
        # each term is cut to whole nanoseconds; a double has 53 bits for at most an hour's fraction
        assert -1 <= exact - parse_duration(text) < len(parts) + 1


@given(st.text("0123456789.hmsun\u00b5+-x ", max_size=12))
def test_any_text_is_read_or_refused_with_a_value_error(text: str) -> None:
    try:
        nanos = parse_duration(text)
    except ValueError:
        return
    assert 0 <= nanos <= MAX_DURATION


def test_a_signed_duration_may_be_as_low_as_64_bits_go() -> None:
    assert parse_signed_duration("-1.5s") == -1_500_000_000
    assert parse_signed_duration(f"-{MAX_DURATION + 1}ns") == -MAX_DURATION - 1
    for text in (f"{MAX_DURATION + 1}ns", f"-{MAX_DURATION + 2}ns"):
        with pytest.raises(ValueError, match="too long"):
            parse_signed_duration(text)
