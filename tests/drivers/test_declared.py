"""What a driver declares of a parameter, the server holds starts to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

import overseer
from overseer.auth.rights import ANYONE
from overseer.errors import RequestError
from overseer.supervisor.definitions import Definitions


class Declaring(overseer.ActionHandler):
    def describe(self) -> overseer.ActionInfo:
        params = {
            "n": overseer.ParamSpec(default="1", type="integer", min=1, max=3),
            "c": overseer.ParamSpec(default="a", type="choice", choices=(overseer.ParamChoice("a", "A"),)),
            "bad": overseer.ParamSpec(default="", pattern="["),
        }
        return overseer.ActionInfo("declaring", "declaring", params=params)

    def validate(self, params: Mapping[str, str]) -> None:
        if params.get("n") == "2":
            raise overseer.ValidationError("two is not wanted", param="n")
        if params.get("n") == "3":
            error = overseer.ValidationError("nor is three")
            error.param = 3  # type: ignore[assignment]
            raise error

    def start(
        self, task_id: str, params: Mapping[str, str], callbacks: overseer.WorkerCallbacks
    ) -> overseer.Worker:
        raise AssertionError("not asked for here")


@pytest.mark.parametrize(
    ("params", "said", "param"),
    [
        ({"n": "4"}, "parameter 'n' must be a whole number from 1 to 3, not \"4\"", "n"),
        ({"c": "b"}, 'parameter \'c\' must be "a", not "b"', "c"),
        ({"n": "2"}, "two is not wanted", "n"),
        ({"n": "3"}, "nor is three", ""),
        ({"bad": "x"}, "the driver failed: EvaluationError: bad regular expression", ""),
    ],
)
def test_what_a_driver_declares_is_held_to(
    tmp_path: Path, params: dict[str, str], said: str, param: str
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("actions: {a: {type: declaring}}")
    definitions = Definitions(overseer.load_config(path), {"a": Declaring()})
    with pytest.raises(RequestError) as refused:
        definitions.terms("a", params, ANYONE)
    assert refused.value.message.startswith(said)
    assert refused.value.param == param
    definitions.terms("a", {"n": "1", "c": "a", "other": "x"}, ANYONE)


def test_choices_that_are_no_choices_are_the_driver_s_mistake(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("actions: {a: {type: declaring, description: from the file}}")

    class Wrong(Declaring):
        def describe(self) -> overseer.ActionInfo:
            spec = overseer.ParamSpec(choices=("a", "b"))  # type: ignore[arg-type]
            return overseer.ActionInfo("declaring", "declaring", params={"c": spec})

    terms, _ = Definitions(overseer.load_config(path), {"a": Wrong()}).terms("a", {}, ANYONE)
    assert terms.definition.config.description == "from the file"
    assert "which are not all ParamChoice" in caplog.text
