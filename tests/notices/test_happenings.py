"""What a change of a task is to rules, and how it is put into words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from overseer.history.records import Trigger
from overseer.notices.happenings import happening_of
from overseer.protocol import (
    ChainRefused,
    Dequeued,
    Errored,
    Event,
    Exited,
    Health,
    NotReady,
    Ready,
    Skipped,
    Started,
)
from overseer.supervisor.observers import Change

THEN = datetime(2026, 3, 14, 2, 30, tzinfo=UTC)
MADE_UP = "5c1ab42f-0d7e-4a86-b1a0-e7c2d9f83640"
EXITED = Exited("web", 1, 3, False, THEN)


def change(event: Event, outcome: str = "", task_id: str = "web", **given: Any) -> Change:
    of_run = {"exit_code": 3, "signal": "", "reason": "exited", "error": "", "values": {}, **given}
    return Change(event, task_id, "serve", {}, "run", Trigger("client", "ana"), outcome, **of_run)


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (change(EXITED, "failed"), "failure: web failed: exit code 3"),
        (change(EXITED, "failed", MADE_UP), "failure: serve failed: exit code 3"),
        (change(EXITED, "failed", signal="SIGSEGV", exit_code=-1), "failure: web failed: ended by SIGSEGV"),
        (
            change(EXITED, "failed", reason="timeout"),
            "failure: web failed: it lasted longer than its timeout",
        ),
        (
            change(Errored("web", 0, 0, THEN), "failed", reason="start_failed", error="no such file"),
            "errored: web could not be started: no such file",
        ),
        (change(EXITED, "failed", reason="oom"), "failure: web failed: it ran out of memory"),
        (change(EXITED, "failed", reason="unhealthy"), "failure: web failed: it was unhealthy"),
        (
            change(Errored("web", 1, 2, THEN), "failed", error="gave up after 2 exits"),
            "errored: web is errored: gave up after 2 exits",
        ),
        (change(EXITED, "succeeded", exit_code=0), "success: web succeeded"),
        (change(Health("web", "unhealthy", THEN, detail="503")), "unhealthy: web is unhealthy: 503"),
        (
            change(NotReady("web", 1, "no answer", THEN)),
            "unhealthy: web is unhealthy: not ready: no answer",
        ),
        (change(Skipped("web", THEN, "missed", THEN)), "missed: web missed a run: 2026-03-14 02:30:00 UTC"),
        (
            change(ChainRefused("web", THEN, "ship", "no room")),
            "failure: ship failed: it was to follow web and was refused: no room",
        ),
    ],
    ids=lambda value: value.partition(":")[0] if isinstance(value, str) else "",
)
def test_what_rules_are_about(of: Change, said: str) -> None:
    happening = happening_of(of)
    assert happening is not None
    assert f"{happening.kind}: {happening.sentence}" == said
    assert happening.ts == THEN


@pytest.mark.parametrize("event", [Ready("web", 1, THEN), Health("web", "healthy", THEN)])
def test_what_makes_a_task_well_again(event: Event) -> None:
    happening = happening_of(change(event))
    assert happening is not None
    assert (happening.kind, happening.exit_code, happening.trigger) == ("well", None, "client:ana")


@pytest.mark.parametrize(
    "of",
    [
        change(EXITED),
        change(EXITED, "stopped"),
        change(Started("", "web", 1, THEN)),
        change(Dequeued("web", "stopped", THEN), "stopped"),
        change(Health("web", "starting", THEN)),
        change(Skipped("web", THEN, "overlap", THEN)),
    ],
    ids=lambda of: type(of.event).__name__,
)
def test_what_rules_are_not_about(of: Change) -> None:
    assert happening_of(of) is None
