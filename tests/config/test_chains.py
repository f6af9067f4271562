"""``then`` in a file: what may follow what, and what is refused, with its path."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from overseer.config.chains import DEEPEST
from tests.config.conftest import Fails, Load


def file(then: Mapping[str, Any], **top_level: Any) -> str:
    """A file with an action for each key, which has that ``then``."""
    actions = {name: {"type": "exec", "then": value} for name, value in then.items()}
    return json.dumps({"actions": actions, **top_level})


def test_a_success_is_followed_by_what_it_names_and_by_what_follows_in_any_case(load: Load) -> None:
    with_params = {"action": "c", "params": {"x": "[[.run_id]]"}}
    config = load(file({"a": {"success": ["b", with_params], "any": ["d"]}, "b": {}, "c": {}, "d": {}}))
    then = config.actions["a"].then
    assert then is not None
    assert [each.action for each in then.after("succeeded")] == ["b", "c", "d"]
    assert [each.action for each in then.after("failed")] == ["d"]
    assert then.after("stopped") == then.after("") == ()
    assert then.success[1].params["x"].render({"run_id": "17"}) == "17"


def test_templates_are_in_the_dialect_of_the_file(load: Load) -> None:
    with_params = {"action": "b", "params": {"v": "[[output.tag|upper]]"}}
    config = load(file({"a": {"any": [with_params]}, "b": {}}, templates="jinja"))
    then = config.actions["a"].then
    assert then is not None
    assert then.any[0].params["v"].render({"output": {"tag": "v1"}}) == "V1"


def test_a_name_that_templates_do_not_know_is_an_error(fails: Fails) -> None:
    (line,) = fails(file({"a": {"any": [{"action": "b", "params": {"x": "[[.exitcode]]"}}]}, "b": {}}))
    assert "actions.a.then.any.0.params.x: there is no .exitcode here; did you mean .exit_code?" in line


def test_an_action_that_does_not_exist_is_an_error(fails: Fails) -> None:
    (line,) = fails(file({"a": {"success": ["biuld"]}, "build": {}}))
    assert line.endswith("actions.a.then.success.0.action: no such action: biuld; did you mean build?")


@pytest.mark.parametrize(
    ("then", "place", "circle"),
    [
        ({"a": {"any": ["a"]}}, "a.then.any.0", "a > a"),
        ({"a": {"success": ["b"]}, "b": {"failure": ["a"]}}, "b.then.failure.0", "a > b > a"),
        (
            {"z": {"any": ["a"]}, "a": {"any": ["b"]}, "b": {"any": ["c"]}, "c": {"any": ["a"]}},
            "c.then.any.0",
            "a > b > c > a",
        ),
    ],
)
def test_a_loop_is_refused_with_its_path(fails: Fails, then: dict[str, Any], place: str, circle: str) -> None:
    (line,) = fails(file(then))
    assert f"actions.{place}: these start each other endlessly: {circle}" in line


def test_two_ways_to_one_action_are_no_loop(load: Load) -> None:
    load(file({"a": {"any": ["b", "c"]}, "b": {"any": ["d"]}, "c": {"any": ["d"]}, "d": {}}))


@pytest.mark.parametrize("backwards", [False, True])
def test_a_chain_may_be_so_long_and_no_longer(load: Load, fails: Fails, backwards: bool) -> None:
    def chain(starts: int) -> str:
        names = list(range(starts + 1))
        then = {f"a{n}": {"success": [f"a{n + 1}"] if n < starts else []} for n in names}
        return file(dict(reversed(then.items())) if backwards else then)

    load(chain(DEEPEST))
    assert any(f"more than {DEEPEST} starts would follow" in line for line in fails(chain(DEEPEST + 1)))
    assert fails(chain(1000))
