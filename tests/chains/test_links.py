"""How many starts may follow from each other, whatever the file says by then; and those that are refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from overseer.chains.chains import Chains, ChainTrigger
from overseer.config import Config, load_config
from overseer.config.chains import DEEPEST
from overseer.drivers.api import ActionHandler
from overseer.errors import SubmitError
from overseer.history.records import Trigger
from overseer.protocol import ChainRefused, Exited
from overseer.supervisor.observers import Change
from overseer.util.timestamps import now


class Hub:
    """What chains see of a hub: it notes what is started, and refuses the action "refused"."""

    def __init__(self, config: Config) -> None:
        self.definitions = self
        self.handlers: dict[str, ActionHandler] = {}
        self.config = config
        self.started: list[tuple[str, Mapping[str, str], ChainTrigger]] = []
        self.announced: list[ChainRefused] = []

    def submit(self, action: str, task_id: str, params: Mapping[str, str], cause: ChainTrigger) -> str:
        if action == "refused":
            raise SubmitError("no room")
        assert task_id
        self.started.append((action, params, cause))
        return task_id

    def announce(self, task_id: str, event: ChainRefused, shown: ChainRefused) -> None:
        assert task_id == event.task_id == shown.task_id
        self.announced.append(event)


class Stage:
    def __init__(self, config: Config) -> None:
        self.hub = Hub(config)
        self.recorded: list[tuple[str, str, str, str]] = []
        self._all = threading.Semaphore(0)
        self.before: set[str] = set()  # what an earlier server has started
        self.paid: list[str] = []
        started, paid = self.before.__contains__, self.paid.append
        self.chains = Chains(self.hub, self._record, started, paid)  # type: ignore[arg-type]

    def _record(
        self, link: ChainTrigger, action: str, params: Mapping[str, str], task_id: str, why: str
    ) -> None:
        self.recorded.append((link.by, action, task_id, why))
        self._all.release()

    def end(self, outcome: str = "succeeded", trigger: Trigger | None = None, **given: Any) -> None:
        """A task of the action "a" is over."""
        self.chains.heard(over(outcome, trigger, **given))


def over(outcome: str = "succeeded", trigger: Trigger | None = None, **given: Any) -> Change:
    event = Exited("t", 1, 0, False, now())
    more = {"exit_code": 0, "signal": "", "reason": "exited", "error": "", "values": {}, **given}
    trigger = trigger or Trigger("client")
    return Change(event, "t", "a", {"p": "v"}, "run1", trigger, outcome, **more)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    follow_ups = [
        {"action": "b", "params": {"x": "[[.params.p]] [[.output.o]] [[.exit_code]]"}},
        "refused",
        {"action": "b", "params": {"x": "[[slice .reason 99]]"}},
        "b",
    ]
    actions = {name: {"type": "exec"} for name in ("a", "b", "refused")}
    actions["a"]["then"] = {"success": follow_ups, "failure": ["b"]}  # type: ignore[assignment]
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps({"actions": actions}))
    stage = Stage(load_config(file, {}))
    yield stage
    stage.chains.close()


def wait(stage: Stage, number: int) -> None:
    for _ in range(number):
        assert stage._all.acquire(timeout=30)
    assert stage.chains._threads.close(10, drop=False)


def test_what_follows_is_started_in_order_and_one_that_fails_holds_up_no_other(stage: Stage) -> None:
    stage.end(values={"o": "out"})
    wait(stage, 4)
    assert [(action, params) for action, params, _ in stage.hub.started] == [
        *(("b", {"x": "v out 0"}), ("b", {})),
    ]
    assert [(each.action, each.message) for each in stage.hub.announced] == [
        ("refused", "no room"),
        ("b", "params.x: template: 1:3: index out of range: 99"),
    ]
    assert [(by, action, bool(task_id)) for by, action, task_id, _ in stage.recorded] == [
        *(("chain:t", "b", True), ("chain:t", "refused", False)),
        *(("chain:t", "b", False), ("chain:t", "b", True)),
    ]
    assert len({task_id for _, _, task_id, _ in stage.recorded}) == 3, "each has an id of its own"
    assert stage.paid == ["run1"]
    assert (stage.chains.started, stage.chains.refused) == (2, 2)


def test_what_an_earlier_server_has_started_is_not_started_again(stage: Stage) -> None:
    stage.end(values={"o": "out"})
    wait(stage, 4)
    first, *_, last = stage.recorded
    later = Stage(stage.hub.config)
    later.before.add(first[2])
    later.chains.make_up(over(values={"o": "out"}))
    wait(later, 3)
    assert [task_id for *_, task_id, _ in later.recorded] == ["", "", last[2]], "the same end, the same ids"
    assert later.paid == ["run1"]


def test_an_end_that_nothing_follows_any_more_is_settled(stage: Stage) -> None:
    stage.chains.make_up(over("stopped"))
    assert stage.paid == ["run1"]


@pytest.mark.parametrize("outcome", ["stopped", ""])
def test_nothing_follows_what_is_neither_a_success_nor_a_failure(stage: Stage, outcome: str) -> None:
    stage.end(outcome)
    stage.end("failed")
    wait(stage, 1)
    assert [action for action, _, _ in stage.hub.started] == ["b"]


def test_so_many_starts_may_follow_from_each_other_and_no_more(stage: Stage) -> None:
    stage.end("failed", ChainTrigger("chain", "chain:s", DEEPEST - 1))
    stage.end("failed", ChainTrigger("chain", "chain:s", DEEPEST))
    wait(stage, 2)
    ((_, _, link),) = stage.hub.started
    assert (link.depth, link.by, link.type) == (DEEPEST, "chain:t", "chain")
    (refused,) = stage.hub.announced
    assert refused.message == f"a chain has at most {DEEPEST} starts"


def test_once_it_is_closed_nothing_follows_and_that_is_said(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.chains.close()
    stage.end()
    assert stage.hub.started == []
    assert "nothing follows the end of task t: the server is shutting down" in caplog.text
