"""Parameters on a running server: what is refused, in which words, and what a command is given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from overseer.client import Client
from tests.harness import Daemon, WsClient, shell

PARAMETERS: dict[str, Any] = {
    "count": {"type": "integer", "min": 1, "max": 10, "default": "3"},
    "big": {"type": "integer", "default": "0"},
    "ratio": {"type": "number", "max": 1.5, "default": "0.5"},
    "keep": {"type": "boolean", "default": "false"},
    "format": {"choices": ["png", {"value": "jpg", "title": "JPEG"}], "default": "png"},
    "file": {"type": "path", "default": "/"},
    "level": {"type": "integer", "choices": [1, 2, 4], "default": "1"},
    "tag": {"pattern": "[a-z]+|x y", "default": "a"},
    "album": {"pattern": "[a-z]+", "message": "Small letters only.", "default": "a"},
    "even": {"validate": "int(value) % 2 == 0", "message": "An even number, please.", "default": "2"},
    "plain": {"validate": "int(value) % 2 == 0", "default": "2"},
}
GO = ["[[.keep]]", "[[if .keep]]yes[[else]]no[[end]]", "[[if eq .keep true]]same[[end]]", "[[.count]]"]
JINJA = ["[[ keep ]]", "[[ 'yes' if keep else 'no' ]]", "[% if keep is true %]same[% endif %]", "[[ count ]]"]


def shows(arguments: list[str], parameters: dict[str, Any]) -> dict[str, Any]:
    config = {"entrypoint": "printf", "command": ["<%s>", *arguments], "parameters": parameters}
    return {"type": "exec", "config": config}


ACTIONS = {
    "show": shows(GO, PARAMETERS),
    "must": shows(["[[.n]]"], {"n": {"type": "integer", "min": 0}}),
    "strict": {**shows([], {"n": "1"}), "strict_params": True},
}


@pytest.mark.parametrize(
    ("param", "value", "said"),
    [
        ("count", "11", 'must be a whole number from 1 to 10, not "11"'),
        ("count", "0", 'must be a whole number from 1 to 10, not "0"'),
        ("count", "-0", "must be a whole number"),
        ("count", "", 'must be a whole number from 1 to 10, not ""'),
        ("count", "five", 'not "five"'),
        ("count", "5\n", r'not "5\n"'),
        ("count", "٣", "must be a whole number"),
        ("count", "1_0", "must be a whole number"),
        ("count", "+5", 'not "+5"; write 5'),
        ("count", "010", 'not "010"; write 10'),
        ("count", " 7", 'not " 7"; write 7'),
        ("count", "1.0", "must be a whole number"),
        ("count", "9" * 5000, "must be a whole number"),
        ("big", "9" * 4001, "must be a whole number"),
        ("ratio", "1.51", 'must be a number, 1.5 or less, not "1.51"'),
        ("ratio", "nan", "must be a number"),
        ("ratio", "-inf", "must be a number"),
        ("ratio", "-1e999", "must be a number"),
        ("ratio", "0x1", "must be a number"),
        ("ratio", "1,5", "must be a number"),
        ("keep", "yes", 'must be true or false, not "yes"'),
        ("keep", "True", "must be true or false"),
        ("keep", "", "must be true or false"),
        ("format", "gif", 'must be "png" or "jpg", not "gif"'),
        ("format", "JPG", "; did you mean jpg?"),
        ("format", "JPEG", 'not "JPEG"'),
        ("file", "", "must be a path"),
        ("file", "-rf", 'not "-rf", which may be taken for an option: write ./-rf'),
        ("file", "a\0b", "must be a path"),
        ("level", "3", 'must be "1", "2" or "4", not "3"'),
        ("level", "x", "must be"),
        ("tag", "ab1", "does not match [a-z]+|x y"),
        ("tag", "x y z", "does not match"),
        ("tag", "ab\n", "does not match"),
        ("album", "A", "parameter 'album': Small letters only."),
        ("even", "3", "parameter 'even': An even number, please."),
        ("even", "x", "parameter 'even': An even number, please."),
        ("plain", "3", "parameter 'plain' does not meet int(value) % 2 == 0"),
    ],
)
def test_a_wrong_value_is_refused_and_the_parameter_named(
    client: WsClient, param: str, value: str, said: str
) -> None:
    refused = client.request("start", action="show", params={param: value})
    assert refused["type"] == "error"
    assert refused["message"].startswith(f"parameter '{param}'")
    assert said in refused["message"]
    assert refused["param"] == param
    assert len(refused["message"]) < 300, "a long value is cut"


def test_one_that_lacks_or_is_unknown_is_named_as_well(client: WsClient) -> None:
    assert client.request("start", action="must")["param"] == "n"
    assert client.request("start", action="strict", params={"m": "1"})["param"] == "m"


def test_other_refusals_name_none(client: WsClient) -> None:
    assert "param" not in client.request("start", action="nosuch")


@pytest.mark.parametrize(
    ("params", "shown"),
    [
        ({}, "<false><no><><3>"),
        ({"keep": "true"}, "<true><yes><same><3>"),
        ({"keep": "false", "count": "10"}, "<false><no><><10>"),
        (
            {"big": "9" * 4000, "ratio": "-1.5e3", "file": "./-rf", "format": "jpg", "tag": "x y"},
            "<false><no><><3>",
        ),
    ],
)
@pytest.mark.parametrize("dialect", ["go", "jinja"])
def test_a_boolean_is_a_bool_in_templates_and_a_number_is_text(
    dialect: str, params: dict[str, str], shown: str, daemon: Daemon, jinja: Daemon
) -> None:
    with (daemon if dialect == "go" else jinja).connect() as client:
        started, output, _ = client.run("show", params=params)
        assert [each["data"] for each in output] == [shown]
        listed = next(
            each for each in client.request("list")["tasks"] if each["task_id"] == started["task_id"]
        )
        assert listed.get("params", {}) == params, "as it was given"


@pytest.fixture(scope="module")
def jinja() -> Iterator[Daemon]:
    with Daemon(templates="jinja", actions={"show": shows(JINJA, PARAMETERS)}) as daemon:
        yield daemon


def test_the_answer_to_a_start_warns_of_parameters_that_the_action_does_not_have() -> None:
    config = {"parameters": {"who": {"default": "you"}}}
    queue = {"limit": 1, "queue": {"enabled": True}}
    actions = {"greet": shell("echo hi [[.who]]; exec sleep 60", config=config, task_pool=queue)}
    warning = "whom is ignored: greet has no such parameter; did you mean who?"
    with Daemon(actions=actions) as daemon, daemon.connect() as client, daemon.connect() as other:
        other.request("watch", output=True)
        started = client.request("start", action="greet", params={"whom": "Ann"}, task_id="a")
        assert (started["type"], started["warnings"]) == ("started", [warning])
        queued = client.request("start", action="greet", params={"whom": "Ann"}, task_id="b")
        assert (queued["type"], queued["warnings"]) == ("queued", [warning])
        assert "warnings" not in client.request("start", action="greet", params={"who": "Ann"}, task_id="c")
        client.send("stop", task_id="a")
        assert "warnings" not in client.expect("started", task_id="b")  # it has been said
        other.expect("started", task_id="b")
        assert "is ignored" not in str(other.messages)
        with Client(daemon.url) as library:
            assert library.start("greet", whom="Ann").warnings == (warning,)
