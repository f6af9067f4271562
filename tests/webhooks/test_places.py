"""Places for bodies: what one address, or a few, can take of them."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from overseer.webhooks.places import Places


def taken(places: Places, source: str, held: ExitStack) -> int:
    """As many as the source gets."""
    count = 0
    while held.enter_context(places.one(source)):
        count += 1
    return count


@pytest.mark.parametrize("sources", ["a", "ab", "abc", "abcd"])
def test_some_are_kept_for_others_when_a_few_take_what_they_get(sources: str) -> None:
    places = Places(32, 0.0)
    with ExitStack() as held:
        assert taken(places, sources[0], held) == 16
        for source in sources[1:]:
            taken(places, source, held)
        assert taken(places, "other", held) > 0
    with places.one("a") as has:
        assert has


def test_sources_that_come_together_have_alike() -> None:
    places = Places(32, 0.0)
    counts = {"a": 0, "b": 0}
    with ExitStack() as held:
        for _ in range(32):
            for source in counts:
                counts[source] += held.enter_context(places.one(source))
    assert counts == {"a": 11, "b": 11}


def test_all_can_be_taken_by_many() -> None:
    places = Places(32, 0.0)
    with ExitStack() as held:
        assert [held.enter_context(places.one(str(number))) for number in range(33)] == [True] * 32 + [False]
