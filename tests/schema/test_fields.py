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


def test_two_with_the_same_fields_are_one() -> None:
    assert Named("a") == Named("a", source="elsewhere")
    assert len({Named("a"), Named("a", source="elsewhere"), Named("b")}) == 2
    assert Named("a") != Named("b")
    assert Named("a") != Titled("a")
    assert Named("a") != "a"


def test_an_attribute_that_is_not_declared_cannot_be_set() -> None:
    with pytest.raises(AttributeError):
        Named("a").names = "b"  # type: ignore[attr-defined]


def test_they_are_shown_with_their_fields() -> None:
    assert repr(Titled("a", "hidden", "b")) == "Titled(name='a', title='b')"
