"""Looks for orphans, which many stops at once share."""

from __future__ import annotations

import time

import pytest

from overseer.process.finder import Finder
from overseer.process.standalone.tree import Tree


def test_a_look_for_orphans_serves_only_those_whose_leaders_were_dead_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finder = Finder()
    finder.adopting = True
    looks: list[float] = []

    def none() -> list[int]:
        looks.append(time.monotonic())
        return []

    monkeypatch.setattr(finder, "adopted", none)

    def is_alone(dead_at: float) -> bool:
        return finder.is_alone(1, Tree("run", 1, "tree", 0), dead_at, dead=True)

    dead_at = time.monotonic()
    assert is_alone(dead_at)
    asked = len(looks)
    assert is_alone(dead_at)
    assert len(looks) == asked > 0
    assert is_alone(looks[0])  # what that one leaves may have come since
    assert len(looks) > asked
