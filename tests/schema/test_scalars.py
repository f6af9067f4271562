from __future__ import annotations

import copy
import json
import math
import pickle
from typing import Any

import pytest

from overseer.config import TextFloat, TextInt, config_text
from overseer.errors import ConfigError
from tests.config.conftest import Fails, Load


def raw(load: Load, text: str) -> dict[str, Any]:
    body = "".join(f"\n      {line}" for line in text.splitlines())
    return dict(load(f"actions:\n  a:\n    type: exec\n    config:{body}\n").actions["a"].config)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("12:30", "12:30"),
        ("off", "off"),
        ("yes", "yes"),
        ("No", "No"),
        ("TRUE", "TRUE"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("=", "="),
        ("1.2.3", "1.2.3"),
        ("+", "+"),
        ("e5", "e5"),
        ('"5"', "5"),
        ("'true'", "true"),
        ('""', ""),
        ("!!str 5", "5"),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("5", 5),
        ("-5", -5),
        ("007", 7),
        ("0x10", 16),
        ("0o17", 15),
        ("1.10", 1.1),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-.inf", -math.inf),
        ("!!float 5", 5.0),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_a_plain_scalar_becomes_a_value_and_keeps_its_text(load: Load, written: str, value: object) -> None:
    found = raw(load, f"key: {written}")["key"]
    assert found == value
    assert isinstance(found, type(value))
    if isinstance(value, int | float):
        assert config_text(found) == written.removeprefix("!!float ")
        assert type(found) in (bool, TextInt, TextFloat)


def test_not_a_number_keeps_its_text(load: Load) -> None:
    assert config_text(raw(load, "key: .NaN")["key"]) == ".NaN"


def test_keys_are_texts(load: Load) -> None:
    found = raw(load, "1: a\nno: b\ntrue: c\n1.10: d\n~: e\n12:30: f\n")
    assert found == {"1": "a", "no": "b", "true": "c", "1.10": "d", "~": "e", "12:30": "f"}


def test_blocks_and_quotes_are_verbatim(load: Load) -> None:
    found = raw(load, "a: |\n  x\n    y\nb: >-\n  x\n  y\nc: \"\\ttab\"\nd: 'it''s'\ne: two\n  lines\n")
    assert found == {"a": "x\n  y\n", "b": "x y", "c": "\ttab", "d": "it's", "e": "two lines"}


@pytest.mark.parametrize("number", [TextInt(16, "0x10"), TextFloat(1.1, "1.10")])
def test_a_number_with_a_text_is_a_number_all_the_same(number: TextInt | TextFloat) -> None:
    assert number + 1 == pytest.approx(float(number) + 1)
    assert str(number) == f"{number}" == number.text
    assert json.loads(json.dumps(number)) == number
    for twin in (copy.deepcopy(number), pickle.loads(pickle.dumps(number))):
        assert (twin, twin.text, type(twin)) == (number, number.text, type(number))


@pytest.mark.parametrize(
    ("value", "text"), [("x", "x"), (True, "true"), (False, "false"), (5, "5"), (1.5, "1.5"), ("", "")]
)
def test_ordinary_values_have_a_text_too(value: object, text: str) -> None:
    assert config_text(value) == text


@pytest.mark.parametrize(
    ("value", "found"), [(None, "nothing"), ([], "a list"), ({}, "a mapping"), (b"", "bytes")]
)
def test_what_has_no_text_is_refused_with_its_place(value: object, found: str) -> None:
    with pytest.raises(ConfigError, match=f"command.1: expected text, found .*{found}"):
        config_text(value, ("command", 1))


def test_each_load_and_each_alias_gives_fresh_objects(load: Load) -> None:
    found = raw(load, "a: &x [1]\nb: *x\n")
    found["a"].append(2)
    assert found["b"] == [1]


@pytest.mark.parametrize(
    "written", ["!!int x", "!!float x", "!!bool maybe", "!!null x", "!foo x", "!!binary aGk=", "!!set {x}"]
)
def test_a_tag_that_does_not_fit_is_refused(fails: Fails, written: str) -> None:
    (line,) = fails(f"name: x\nversion: {written}\n")[:1]
    assert line.startswith("c:2: version: ")
    assert "tag" in line
