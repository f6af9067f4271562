"""Declared classes read from plain values, as ``exec`` reads its ``config``, and described."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from overseer.config import ConfigErrors, TextInt
from overseer.drivers.exec import ExecFactory, ExecHandler
from overseer.errors import ConfigError, UnknownKeyWarning
from overseer.protocol import ParamSpec, PoolConfig, RetryPolicy
from overseer.schema.fields import declared, field, fields_of, optional
from overseer.schema.location import Location, Report
from overseer.schema.nodes import to_node, to_value
from overseer.schema.objects import Object
from overseer.schema.quantities import COUNT
from overseer.schema.types import BOOLEAN, TEXT


def create(config: Mapping[str, Any]) -> ExecHandler:
    return ExecFactory().create(config, "a", RetryPolicy(), PoolConfig(), ())


def problems(config: Mapping[str, Any]) -> list[tuple[tuple[str | int, ...], str]]:
    with pytest.raises(ConfigError) as caught:
        create(config)
    errors = caught.value.errors if isinstance(caught.value, ConfigErrors) else (caught.value,)
    return [(error.path, error.message) for error in errors]


@pytest.mark.parametrize(
    "value", [{"a": [1, 2.5, True, None, "x", {"b": {}}]}, [], "", {"x": "007", "y": TextInt(7, "007")}]
)
def test_plain_values_survive_the_way_to_a_tree_and_back(value: Any) -> None:
    assert to_value(to_node(value)) == value


def test_a_number_in_quotes_is_a_text_and_a_word_for_a_boolean_is_not() -> None:
    @dataclass(frozen=True)
    class Both:
        count: int = field(COUNT, "", default=0)
        flag: bool = field(BOOLEAN, "", default=False)

    report = Report()
    read = Object(Both).from_yaml(to_node({"count": "8", "flag": "yes"}), Location(report))
    assert read == Both(0, True)
    assert [error.path for error in report.errors] == [("count",)]


def test_what_is_not_a_value_of_a_file_is_refused_by_its_place() -> None:
    with pytest.raises(ConfigError, match="expected text, found a value of type object") as caught:
        to_node({"a": [{"b": object()}]})
    assert caught.value.path == ("a", 0, "b")


def test_a_program_may_give_exec_what_a_file_would() -> None:
    handler = create(
        {
            "entrypoint": "echo",
            "command": ("--a=[[.a]]", 8080, True, None),
            "parameters": {"a": None, "b": {}, "c": 80, "d": {"default": 1.5, "validate": "value != ''"}},
            "output": {"merge": "yes", "stdout": None},
            "x-note": ["mine"],
        }
    )
    assert handler.describe().params == {
        "a": None, "b": None, "c": ParamSpec("80"), "d": ParamSpec("1.5", "value != ''"),
    }  # fmt: skip


def test_all_that_is_wrong_with_an_exec_config_is_said_at_once_and_where() -> None:
    found = problems(
        {
            "command": ["ok", ["no"], "[[ broken"],
            "parameters": {"p": ["no"], "q": {"validate": "value +"}},
            "output": {"stdout": {"condition": {}}, "merge": "maybe"},
            "stderr_condition": "1 + 1",
        }
    )
    assert found[0] == (("entrypoint",), "needs the program to run")
    assert [path for path, _ in found[1:]] == [
        ("command", 1),
        ("command", 2),
        ("parameters", "p"),
        ("parameters", "q", "validate"),
        ("output", "stdout", "condition"),
        ("output", "merge"),
        ("stderr_condition",),
    ]
    assert problems({"entrypoint": ""}) == [(("entrypoint",), "needs the program to run")]


@pytest.mark.parametrize(
    ("config", "path", "says"),
    [
        ({"comand": []}, ("comand",), "unknown key; did you mean command?"),
        ({"output": {"sdtout": {}}}, ("output", "sdtout"), "unknown key; did you mean stdout?"),
        ({"parameters": {"a": {"zz": 1}}}, ("parameters", "a", "zz"), "known here: default, validate"),
    ],
)
def test_an_unknown_key_of_exec_is_warned_of(
    config: dict[str, Any], path: tuple[str, ...], says: str
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        create({"entrypoint": "/bin/true", **config})
    (warning,) = (each.message for each in caught if isinstance(each.message, UnknownKeyWarning))
    assert warning.path == path
    assert says in warning.message


def test_a_field_without_a_default_is_required_by_python_and_by_its_documents() -> None:
    @declared()
    class Message:
        """Says
        something."""

        id: str = field(TEXT, "Which")
        note: str = optional(TEXT, "More", default="")

    assert [(spec.name, spec.required, spec.shown_default()) for spec in fields_of(Message)] == [
        ("id", True, "**required**"),
        ("note", False, ""),
    ]
    with pytest.raises(TypeError):
        Message()  # type: ignore[call-arg]
