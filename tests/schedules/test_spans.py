"""Sets of moments, beside Python's own."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from overseer.schedules.spans import Spans

_SPAN = st.tuples(st.integers(0, 60), st.integers(-1, 12)).map(lambda span: (span[0], sum(span)))


@given(st.lists(_SPAN, max_size=20))
def test_it_is_a_set_of_numbers(added: list[tuple[int, int]]) -> None:
    spans, numbers = Spans(), set[int]()
    for begin, end in added:
        spans.add(begin, end)
        numbers.update(range(begin, end + 1))
        assert all(one[1] + 1 < two[0] for one, two in pairwise(spans)), "with gaps between"
    for number in range(-2, 80):
        end = number
        while end + 1 in numbers:
            end += 1
        assert spans.end_of(number) == (end if number in numbers else None)
        assert spans.last_before(number) == max((each for each in numbers if each <= number), default=None)
    assert list(Spans(spans)) == list(spans)


def test_of_too_many_the_oldest_become_one() -> None:
    spans = Spans((number * 10, number * 10) for number in range(51))
    assert list(spans)[:2] == [(0, 10), (20, 20)]
    assert len(list(spans)) == 50
