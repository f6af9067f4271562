"""What overseerctl shows of tasks that left their queue without having run, and of actions that are gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from overseer.client import Client, Task
from overseer.ctl.starting import _displaced
from overseer.protocol import Dequeued, Queued
from overseer.util.timestamps import now
from tests.ctl.conftest import Ctl, Done
from tests.ctl.test_terminal import terminal
from tests.harness import Daemon, shell

JOB = shell("echo ran; exec sleep 60", task_pool={"limit": 1, "queue": {"enabled": True, "size": 1}})
ACTIONS = {"job": JOB, "hello": shell("echo hello"), "idle": shell("true")}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(actions=ACTIONS, data_dir=str(tmp_path / "data")) as daemon:
        with Client(daemon.url) as client:
            client.run("hello", task_id="greeting")
            job = client.start("job", task_id="first")
            assert next(iter(job.lines())) == "ran"
            client.start("job", task_id="second")
        yield daemon


def test_a_task_that_left_its_queue_has_no_log(daemon: Daemon, ctl: Ctl) -> None:
    assert ctl("logs", "second") == Done(0, "", "")  # it may still run
    assert ctl("stop", "second").status == 0
    assert ctl("logs", "--action", "job") == Done(0, "first  | ran\n", "")
    assert ctl("logs", "second") == Done(1, "", "overseerctl: second: never ran, so it has no log\n")
    assert ctl("logs", "seco").err == "overseerctl: seco: never ran, so it has no log\n"
    assert ctl("logs", "first", "second").out == "ran\n"


def test_nor_has_one_that_was_displaced(daemon: Daemon, ctl: Ctl) -> None:
    assert ctl("start", "job", "--force", "--id", "third").status == 0
    assert ctl("logs", "second").err == "overseerctl: second: never ran, so it has no log\n"
    assert "first  | ran\n" in ctl("logs", "--action", "job").out


def test_nor_has_one_whose_server_was_killed(daemon: Daemon, ctl: Ctl, tmp_path: Path) -> None:
    daemon.kill()
    with Daemon(actions=ACTIONS, data_dir=str(tmp_path / "data")) as later:
        assert "first  | ran\n" in ctl("logs", "--action", "job", "--url", later.url).out
        done = ctl("logs", "second", "--url", later.url)
        assert done == Done(1, "", "overseerctl: second: never ran, so it has no log\n")


def test_an_empty_list_says_where_earlier_tasks_are(daemon: Daemon, ctl: Ctl, tmp_path: Path) -> None:
    daemon.kill()
    with Daemon(actions=ACTIONS, data_dir=str(tmp_path / "data")) as later:
        said = "overseerctl: no tasks; overseerctl history shows earlier runs\n"
        assert ctl("list", "--url", later.url) == Done(0, "", said)
        assert ctl("list", "--status", "failed", "--url", later.url).err == "overseerctl: no matching tasks\n"
        assert ctl("list", "--json", "--url", later.url) == Done(0, "[]\n", "")
    with Daemon(actions=ACTIONS, data_dir=str(tmp_path / "new")) as new:
        assert ctl("list", "--url", new.url).err == "overseerctl: no tasks\n"
    with Daemon(actions=ACTIONS) as forgetful:
        assert ctl("list", "--url", forgetful.url).err == "overseerctl: no tasks\n"


def test_an_action_that_is_gone_is_known_by_its_history(daemon: Daemon, ctl: Ctl) -> None:
    file = daemon.directory / "config.yaml"
    config = json.loads(file.read_text())
    del config["actions"]["hello"]
    file.write_text(json.dumps(config))
    assert ctl("reload").status == 0
    assert ctl("logs", "--action", "hello") == Done(0, "hello\n", "")
    assert ctl("search", "--action", "hello", "el").out.endswith("hello\n")
    assert ctl("search", "--action", "hello", "x").err == "overseerctl: no matches\n"
    assert ctl("history", "--action", "hello", "--status", "failed").err == "overseerctl: no runs\n"
    assert ctl("search", "--action", "idle", "x").err == "overseerctl: no matches\n"


@pytest.mark.parametrize("command", [("logs",), ("search", "x"), ("history",), ("history", "--by-action")])
def test_a_misspelt_action_is_refused(ctl: Ctl, command: tuple[str, ...]) -> None:
    done = ctl(*command, "--action", "helo")
    assert done.status == 1
    assert "unknown action: helo; did you mean hello?" in done.err


@pytest.mark.parametrize("command", [("logs", "-f"), ("tail", "-f")])
def test_following_ends_when_the_task_leaves_its_queue(
    daemon: Daemon, ctl: Ctl, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    subscribe = Client.subscribe

    def then_stop(client: Client, task_id: str, *more: Any, **options: Any) -> Task:
        task = subscribe(client, task_id, *more, **options)
        client.stop(task_id)
        return task

    monkeypatch.setattr(Client, "subscribe", then_stop)
    assert ctl(*command, "second").err == "overseerctl: second: removed from the queue: stopped\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("history", "--every", "1m"), "--every needs --since, from which the times are counted"),
        (("history", "--every", "0", "--since", "1h"), "argument --every: it must be more than zero"),
        (
            ("history", "--by-action", "--status", "failed"),
            "--status and --reason cannot be combined with --by-action",
        ),
        (("history", "--since", "5m", "--until", "1h"), "--until is before --since"),
        (("logs", "first", "--since", "5m", "--until", "1h"), "--until is before --since"),
        (("search", "ran", "--since", "5m", "--until", "1h"), "--until is before --since"),
        (("logs", "--action", "job", "--action", "hello"), "argument --action: given twice; it takes one"),
        (
            ("history", "--status", "faild"),
            "argument --status/--state: unknown status 'faild'; did you mean failed?",
        ),
        (("history", "--status", "failed,odd"), "unknown status 'odd'; known are running, succeeded,"),
    ],
)
def test_a_usage_error_is_one(ctl: Ctl, words: tuple[str, ...], said: str) -> None:
    done = ctl(*words)
    assert (done.status, done.out) == (2, "")
    assert said in done.err


def test_runs_of_several_statuses(ctl: Ctl) -> None:
    assert ctl("stop", "second").status == 0

    def ids(*words: str) -> list[str]:
        return [run["task_id"] for run in ctl("history", "--json", *words).json]

    assert ids("--status", "succeeded,running") == ["first", "greeting"]
    assert ids("--status", "running, stopped,succeeded") == ["second", "first", "greeting"]
    assert ids("--status", "running,stopped,succeeded", "-n", "2") == ["second", "first"]


def test_a_forced_run_says_which_task_it_displaced(daemon: Daemon, ctl: Ctl) -> None:
    with terminal(daemon, "run", "job", "--id", "third", "--force") as shown:
        assert b"overseerctl: displaced second\r\n" in shown.wait_for(b"queued at position 1 as task third")
        assert ctl("stop", "third").status == 0
        shown.wait()


def test_a_forced_start_says_which_task_it_displaced(ctl: Ctl) -> None:
    done = ctl("start", "job", "--id", "third")
    assert (done.status, done.out) == (1, "")
    assert done.err.endswith("--force displaces a queued task, --wait-for-room TIME keeps trying\n")
    done = ctl("start", "job", "--id", "third", "--force")
    assert (done.status, done.out) == (0, "third\n")
    assert done.err.startswith("overseerctl: displaced second\n")
    assert ctl("stop", "third").status == 0
    assert "displaced" not in ctl("start", "job", "--id", "fourth", "--force").err


def test_a_task_that_made_room_for_another_start_is_not_told() -> None:
    def left(task_id: str, reason: str) -> Dequeued:
        return Dequeued(task_id, reason, now())

    def came(task_id: str) -> Queued:
        return Queued("", task_id, "job", 1, now())

    for others in ([left("b", "displaced"), came("c")], [left("b", "stopped")], [left("b", "expired")], []):
        assert _displaced([others, [came("mine"), left("d", "displaced")]], "mine") == ""
    both = [left("b", "displaced"), came("c"), left("e", "displaced")]
    assert _displaced([both, [came("mine")]], "mine") == "e"


def test_a_name_that_several_tasks_have_is_said_to_be_one_of_them(ctl: Ctl) -> None:
    more = "overseerctl: more tasks are called job; for all of them: overseerctl history --action job\n"
    assert "2 unfinished tasks have this name" in ctl("history", "job").err
    assert ctl("stop", "second").status == 0
    done = ctl("history", "job")
    assert (len(done.out.splitlines()), done.err) == (2, more)
    assert ctl("history", "second").err == ""
    assert ctl("history", "hello").err == ""


def test_an_action_is_described_with_its_queue(ctl: Ctl) -> None:
    assert ctl("describe", "job").out.endswith("  pool: 1, queue: 1\n")


@pytest.mark.parametrize("command", ["logs", "stop", "history"])
def test_help_is_first_about_the_command(ctl: Ctl, command: str) -> None:
    text = ctl(command, "--help").out
    parts = ["usage: ", "options:", "examples:", "for every command:", "--reconnect"]
    assert sorted(parts, key=text.index) == parts
