"""Declared classes are values: equal, hashed and shown by their fields."""

from __future__ import annotations

import dataclasses

import pytest

from overseer.schema.fields import declared, field
from overseer.schema.types import TEXT


@declared()
class Named:
    name: str = field(TEXT, "Its name")
    source: str = dataclasses.field(default="", repr=False, compare=False)


@declared()
class Titled(Named):
    title: str = field(TEXT, "Its title", default="none")


@declared(made_often=True)
class Line:
    text: str = field(TEXT, "What it says")


def test_two_with_the_same_fields_are_one() -> None:
    assert Named("a") == Named("a", source="elsewhere")
    assert len({Named("a"), Named("a", source="elsewhere"), Named("b")}) == 2
    assert Named("a") != Named("b")
    assert Named("a") != Titled("a")
    assert Line("a") == Line("a")
    assert Named("a") != "a"


def test_what_can_change_has_no_hash() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Line("a"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Named("a").name = "b"  # type: ignore[misc]


def test_they_are_shown_with_their_fields() -> None:
    assert repr(Titled("a", "hidden", "b")) == "Titled(name='a', title='b')"
