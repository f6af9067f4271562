"""What others named or wrote reaches a terminal as text, whatever control characters it has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ctl.conftest import Ctl
from tests.harness import Daemon, shell

EVIL = "evil\x1b[2J\x9b5A\u202e\x7f"
SHOWN = "evil\\u001b[2J"  # more of it may be cut
PARAMS = {"word": {"description": EVIL, "default": EVIL}}
ACTIONS = {
    "says": {
        **shell("echo '[[.word]]'", config={"parameters": PARAMS}),
        "title": EVIL,
        "description": EVIL,
        "group": EVIL,
    },
    "holds": {
        **shell("exec sleep 600", config={"parameters": PARAMS}),
        "task_pool": {"limit": 1, "queue": {"enabled": True, "size": 3}},
    },
    "fails": shell("exit 0", config={"cwd": f"/no/{EVIL}"}),
}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    tasks = {"often": {"action": "fails", "schedule": {"every": "100000h"}}}
    with Daemon(actions=ACTIONS, tasks=tasks, data_dir="data") as daemon, daemon.connect() as client:
        client.run("says", params={"word": EVIL})
        for task_id in ("one", "two"):
            client.request("start", action="holds", params={"word": EVIL}, task_id=task_id)
        client.request("start", action="fails")
        yield daemon


@pytest.mark.parametrize(
    ("line", "tells"),
    [
        ("list", True),
        ("history", True),
        ("describe says", True),
        ("actions", True),
        ("search evil", True),
        ("top --once", True),
        ("schedules", False),
        ("schedules often", False),
        ("pool", False),
        ("pool holds", False),
        ("graph", False),
        ("list --json", True),
    ],
)
def test_no_name_or_value_moves_the_cursor(ctl: Ctl, line: str, tells: bool) -> None:
    done = ctl(*line.split())
    assert done.status == 0
    assert all(text.isprintable() for text in done.out.splitlines()), ascii(done.out)
    assert (SHOWN in done.out) is tells
