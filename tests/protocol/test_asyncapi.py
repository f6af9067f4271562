"""``/asyncapi.json``: valid, and true of the messages that are sent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from jsonschema import Draft7Validator

from overseer.errors import RequestError
from overseer.protocol import EVENTS, REQUESTS, ActionInfo, ParamSpec, parse_request, to_plain
from overseer.protocol.specs.asyncapi import build_asyncapi
from overseer.protocol.specs.examples import EXAMPLES
from tests.daemon.support import get_json
from tests.harness import ROOT, Daemon, shell

SCHEMA = ROOT / ".venv/asyncapi.schema.json"
ACTIONS = (
    ActionInfo(
        "build", "exec", "Builds", {"branch": None, "jobs": ParamSpec("4", 'value.matches("[0-9]+")')}
    ),
    ActionInfo("a b", "exec"),
    ActionInfo("a/b", "exec"),
)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return build_asyncapi(title="farm", version="1", description="d", tokens=True, actions=ACTIONS)


def validator(document: Mapping[str, Any], message: str) -> Draft7Validator:
    """Of one message's payload; references go into the whole document."""
    payload = document["components"]["messages"][message]["payload"]
    return Draft7Validator({**payload, "components": document["components"]})


def test_it_is_valid_by_the_official_schema(document: dict[str, Any]) -> None:
    if not SCHEMA.exists():
        pytest.skip("npm was not there to fetch the schema when .venv was made")
    official = Draft7Validator(json.loads(SCHEMA.read_text()))
    errors = [
        f"{list(error.absolute_path)}: {error.message[:300]}" for error in official.iter_errors(document)
    ]
    assert errors == []
    assert not official.is_valid({**document, "channels": {"ws": {"adress": "ws"}}})


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for each in value.values():
                yield from references(each)
        elif isinstance(value, list):
            for each in value:
                yield from references(each)

    found = set(references(document))
    assert len(found) > 60
    for reference in found:
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_every_message_is_there_and_has_an_operation(document: dict[str, Any]) -> None:
    messages = document["components"]["messages"]
    assert len(messages) == len(REQUESTS) + len(EVENTS) + len(ACTIONS)
    used = {
        reference["$ref"].rpartition("/")[2]
        for operation in document["operations"].values()
        for reference in operation["messages"]
    }
    assert used == set(messages)
    assert all(re.fullmatch(r"[\w.-]+", name) for name in messages)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_real_messages_are_valid_by_their_schemas(document: dict[str, Any], example: Any) -> None:
    plain = to_plain(example)
    name = plain["type"]
    if name in REQUESTS and not isinstance(example, REQUESTS[name]):
        name += "_response"
    check = validator(document, name)
    Draft7Validator.check_schema(check.schema)
    assert list(check.iter_errors(plain)) == []
    assert not check.is_valid({**plain, "type": "other"})


BAD: list[dict[str, Any]] = [
    {"type": "start"},
    {"type": "start", "action": ""},
    {"type": "start", "action": "a", "params": {"x": 1}},
    {"type": "start", "action": "a", "retry_policy": {"restart_delay": "30"}},
    {"type": "start", "action": "a", "retry_policy": {"restart_on": "never"}},
    {"type": "set_pool", "limit": -1},
    {"type": "set_pool", "limit": "1"},
    {"type": "set_pool", "excess": {"order": "middle"}},
    {"type": "subscribe", "task_id": 3},
]
GOOD: list[dict[str, Any]] = [
    {"type": "start", "action": "a", "retry_policy": {}, "more": 1},
    {"type": "start", "action": "a", "retry_policy": {"restart_delay": "1m1.5s", "error_threshold": 3}},
    {"type": "set_pool", "size": 3, "excess": {"grace": 0.5}},
    {"type": "pool_info"},
]


@pytest.mark.parametrize(
    ("message", "good"), [*((each, False) for each in BAD), *((each, True) for each in GOOD)]
)
def test_the_schemas_and_the_parser_agree(document: dict[str, Any], message: Any, good: bool) -> None:
    whole = {"id": "1", **message}
    assert validator(document, message["type"]).is_valid(whole) is good
    if good:
        parse_request(json.dumps(whole))
    else:
        with pytest.raises(RequestError):
            parse_request(json.dumps(whole))


def test_a_start_of_an_action_knows_its_parameters(document: dict[str, Any]) -> None:
    check = validator(document, "start-build")
    start = {"type": "start", "id": "1", "action": "build"}
    assert check.is_valid({**start, "params": {"branch": "main"}})
    assert not check.is_valid({**start, "params": {"jobs": "3"}})
    assert not check.is_valid(start)
    assert not check.is_valid({**start, "action": "other", "params": {"branch": "main"}})


def test_the_server_serves_it_with_its_own_address_and_actions() -> None:
    with Daemon(name="farm", actions={"echo": shell("echo hi")}) as daemon:
        served = get_json(daemon, "/asyncapi.json")
        assert served["servers"]["this"] == {"host": daemon.address, "pathname": "/", "protocol": "ws"}
        assert served["info"]["title"] == "farm"
        assert "start-echo" in served["components"]["messages"]
        with daemon.connect() as client:
            started, (output,), exited = client.run("echo")
    for message in (started, output, exited):
        assert list(validator(served, message["type"]).iter_errors(message)) == []
