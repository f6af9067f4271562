"""Random expressions: the same answer as the oracle's, and never anything but an answer or a CelError."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .oracle import comparable, ours, theirs
from .random_expressions import expressions


@settings(
    max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
@given(expressions())
def test_random_expressions_have_the_oracles_answer(expression: str) -> None:
    assert comparable(ours(expression)) == theirs(expression)


_FRAGMENTS = st.sampled_from(
    [
        *("(", ")", "[", "]", "{", "}", ".", ",", ":", "?", "+", "-", "*", "/", "%", "!", "<", ">"),
        *("=", "==", "&&", "||", " in ", "has(", ".all(", "x", "1", "1u", "1.5", "'a'", '"', "'", "\\"),
        *("b'", 'r"', "true", "null", "n", "m", "value", "//", "`", "#", "@", "\n", "\x00", "é", "😀"),
        *("0x", "1e9", ".size()", "{1:", ".matches('(')", "'''", " "),
    ]
)


@settings(
    max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
@given(st.lists(_FRAGMENTS, max_size=12).map("".join))
def test_any_text_is_answered_or_refused(expression: str) -> None:
    ours(expression)
