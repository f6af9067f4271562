"""Numbers and strings as Go's strconv writes them."""

from __future__ import annotations

import pytest

from overseer.util.gofmt import format_fixed, format_float, quote


@pytest.mark.parametrize(
    ("number", "text", "fixed"),
    [
        (0.0, "0", "0"),
        (-0.0, "-0", "-0"),
        (1.5, "1.5", "1.5"),
        (100000.0, "100000", "100000"),
        (999999.5, "999999.5", "999999.5"),
        (1e6, "1e+06", "1000000"),
        (-1234567.0, "-1.234567e+06", "-1234567"),
        (1e-4, "0.0001", "0.0001"),
        (1e-5, "1e-05", "0.00001"),
        (1e-9, "1e-09", "0.000000001"),
        (1e100, "1e+100", "1" + "0" * 100),
    ],
)
def test_floats(number: float, text: str, fixed: str) -> None:
    assert format_float(number) == text
    assert format_fixed(number) == fixed


def test_infinities_and_nan() -> None:
    assert [format_float(float(word)) for word in ("nan", "inf", "-inf")] == ["NaN", "+Inf", "-Inf"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\"b'", '"a\\"b\'"'),
        ("\\\n\t", '"\\\\\\n\\t"'),
        ("\x01\x7f", '"\\x01\\x7f"'),
        ("\udcff", '"\\xff"'),
        ("\u202e", '"\\u202e"'),
        ("\U0001f600", '"\U0001f600"'),
    ],
)
def test_quoted_strings(value: str, text: str) -> None:
    assert quote(value) == text


def test_quotes_in_ascii_and_with_another_mark() -> None:
    assert quote("\u00e9\U0001f600", ascii_only=True) == '"\\u00e9\\U0001f600"'
    assert quote("'\"", "'") == "'\\'\"'"
