"""overseerctl history."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from overseer.client import Client
from tests.ctl.conftest import Ctl
from tests.ctl.test_terminal import terminal
from tests.harness import Daemon, shell

_PARAMETERS = {"parameters": {"x": {"default": ""}, "code": {"default": "0"}}}
ACTIONS = {
    "echo": shell("echo [[.x]]; exit [[.code]]", config=_PARAMETERS),
    "missing": {"type": "exec", "config": {"entrypoint": "/no/such/program"}},
    "killed": shell("kill -KILL $$"),
    "sleep": shell("exec sleep 60"),
    "one": shell("exec sleep 60", task_pool={"limit": 1, "queue": {"enabled": True}}),
}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(actions=ACTIONS, data_dir="data") as daemon:
        with daemon.connect() as client:
            client.run("echo", task_id="a b", params={"x": "1"})
            client.run("echo", task_id="web", params={"x": "2", "code": "4"})
            client.run("echo", task_id="web", params={"x": "3"})
            client.run("killed", task_id="k")
            client.request("start", action="missing", task_id="m")
        yield daemon


def test_a_line_for_each_run_the_newest_first(ctl: Ctl) -> None:
    done = ctl("history")
    assert done.status == 0
    rows = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in done.out.splitlines()]
    assert rows[0] == ["ID", "RUN", "ACTION", "STATUS", "EXIT", "RAN", "STARTED", "BY", "PARAMETERS"]
    assert [row[:5] for row in rows[1:]] == [
        ["m", "1", "missing", "failed", "start_failed"],
        ["k", "1", "killed", "failed", "SIGKILL"],
        ["web", "2", "echo", "succeeded", "0"],
        ["web", "1", "echo", "failed", "4"],
        ['"a b"', "1", "echo", "succeeded", "0"],
    ]
    assert rows[1][-1] == "cannot start '/no/such/program': no such file"
    assert rows[3][-2:] == ["client", "x=3"]


def test_some_of_them(ctl: Ctl) -> None:
    def tasks(*arguments: str) -> list[str]:
        return [run["task_id"] for run in ctl("history", "--json", *arguments).json]

    assert tasks("web") == ["web", "web"]
    assert tasks("--state", "failed") == ["m", "k", "web"]
    assert tasks("--reason", "signal") == ["k"]
    assert tasks("--action", "echo", "-n", "1") == ["web"]
    assert tasks("-n", "0") == ["m", "k", "web", "web", "a b"]
    assert tasks("-n", "2", "--reverse") == ["k", "m"]
    assert tasks("--since", "1h") == tasks("--since", "-1h") == tasks()
    assert tasks("--until", "1h") == []
    done = ctl("history", "web", "--reason", "oom")
    assert (done.status, done.out, done.err) == (0, "", "overseerctl: no runs\n")
    done = ctl("history", "--action", "ehco")
    assert (done.status, "unknown action: ehco; did you mean echo?" in done.err) == (1, True)


def test_json_is_also_asked_for_as_of_other_programs(ctl: Ctl) -> None:
    assert ctl("history", "-o", "json").json == ctl("history", "--json").json
    assert ctl("history", "--output=json", "web").json
    done = ctl("history", "-o", "yaml")
    assert (done.status, "invalid choice: 'yaml' (choose from" in done.err) == (2, True)


def test_of_one_that_goes_on_how_long_it_has_run_so_far(ctl: Ctl, daemon: Daemon) -> None:
    with daemon.connect() as client:
        client.request("start", action="sleep", task_id="long")
        row = ctl("history", "long").out.splitlines()[1]
        assert re.search(r"running +- +[0-9]+s +", row)
        client.send("stop", task_id="long")
        client.expect("exited", task_id="long")


def test_of_one_that_never_ran_why(ctl: Ctl, daemon: Daemon) -> None:
    with daemon.connect() as client:
        for task_id in ("first", "queued"):
            client.request("start", action="one", task_id=task_id)
        client.request("purge", action="one")
        client.send("stop", task_id="first")
        client.expect("exited", task_id="first")
        line = ctl("history", "queued").out.splitlines()[1]
        row = [cell.strip() for cell in line.split("  ") if cell.strip()]
        assert row[:6] == ["queued", "1", "one", "stopped", "-", "-"]
        assert row[-1] == "its queue was purged"


def test_colours(ctl: Ctl) -> None:
    out = ctl("history", "--color", "always").out
    assert "\x1b[31mfailed" in out
    assert "\x1b[1mID" in out


def test_what_they_were_given_is_shown_in_a_usual_terminal(daemon: Daemon) -> None:
    with terminal(daemon, "history", "web", "--no-pager", size=(24, 80), NO_COLOR="1") as shown:
        assert shown.wait() == 0
        heading, *rows = shown.shown.decode().splitlines()
    assert heading.split() == ["ID", "RUN", "ACTION", "STATUS", "EXIT", "RAN", "STARTED", "BY", "PARAMETERS"]
    assert ["x=3" in rows[0], "x=2" in rows[1]] == [True, True]


def test_parameters_are_the_last_to_be_left_out() -> None:
    action = "rebuild-the-documentation"
    actions = {action: shell("true", config=_PARAMETERS)}
    with Daemon(actions=actions, data_dir="data") as daemon:
        with daemon.connect() as client:
            client.run(action, task_id="nightly-documentation", params={"x": "3"})
        with terminal(daemon, "history", "--no-pager", size=(24, 80), NO_COLOR="1") as shown:
            assert shown.wait() == 0
            heading, row = shown.shown.decode().splitlines()
    assert "PARAMETERS" in heading, heading
    assert row.rstrip().endswith("x=3")


def test_mistakes(ctl: Ctl) -> None:
    assert ctl("history", "--state", "dead").status == 2
    assert "a time is written like" in ctl("history", "--until", "soon").err
    assert ctl("runs").out.splitlines()[0] == ctl("history").out.splitlines()[0]


def test_without_a_history_it_says_why(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    with Daemon(actions=ACTIONS) as other:
        monkeypatch.setenv("OVERSEER_URL", other.url)
        done = ctl("history")
        assert done.status == 1
        assert "has no data_dir" in done.err


def test_runs_summed_up(ctl: Ctl) -> None:
    rows = [line.split() for line in ctl("history", "--by-action").out.splitlines()]
    assert rows[0] == [
        "ACTION",
        "RUNS",
        "RUNNING",
        "SUCCEEDED",
        "FAILED",
        "STOPPED",
        "LOST",
        "MEDIAN",
        "P95",
        "TOTAL",
    ]
    assert [row[:7] for row in rows[1:4]] == [
        ["echo", "3", "0", "2", "1", "0", "0"],
        ["killed", "1", "0", "0", "1", "0", "0"],
        ["missing", "1", "0", "0", "1", "0", "0"],
    ]
    assert rows[3][7:9] == ["-", "-"]  # it could not be started, so it took no time
    (day,) = ctl("history", "web", "--every", "24h", "--since", "1h", "--json").json
    assert (day["runs"], day["failed"]) == (2, 1)
    assert "--every needs --since" in ctl("history", "--every", "1h").err


def test_those_after_which_their_task_was_given_up(ctl: Ctl, daemon: Daemon) -> None:
    with Client(daemon.url) as client:
        task = client.start("echo", task_id="hopeless", code=9, retry_policy={"error_threshold": 2})
        task.wait()

    def numbers(*arguments: str) -> list[int]:
        return [run["number"] for run in ctl("history", "hopeless", "--json", *arguments).json]

    assert numbers() == numbers("--status", "failed") == numbers("--status", "errored,failed") == [2, 1]
    assert numbers("--status", "errored") == numbers("--status", "errored", "-n", "1") == [2]
    assert "gave up after 2 exits" in ctl("history", "--status", "errored").out
    done = ctl("history", "web", "--status", "errored")
    assert (done.status, done.out, done.err) == (0, "", "overseerctl: no runs\n")
