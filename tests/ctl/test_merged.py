"""Logs of several tasks, and of tasks on a server that keeps no logs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.ctl.conftest import Ctl
from tests.ctl.test_terminal import terminal
from tests.harness import Daemon, shell

ACTIONS = {
    "say": shell(
        "echo [[.a]]; echo [[.b]] >&2", config={"parameters": {"a": {"default": "a"}, "b": {"default": "b"}}}
    ),
    "asks": shell("echo ready; read x; echo got $x", config={"stdin": "pipe"}),
    "many": shell("seq 250"),
    "missing": {"type": "exec", "config": {"entrypoint": "/no/such/program"}},
}
TASKS = {"absent": {"action": "missing"}}


@pytest.fixture(scope="module")
def logged() -> Iterator[Daemon]:
    with Daemon(actions=ACTIONS, data_dir="data") as daemon:
        with daemon.connect() as client:
            for number in (1, 2, 3):
                for name in ("one", "two"):
                    client.run("say", task_id=name, params={"a": f"{name}-{number}", "b": f"err-{number}"})
        yield daemon


def test_the_lines_of_several_are_merged_by_their_times(logged: Daemon, ctl: Ctl) -> None:
    done = ctl("logs", "one", "two", "--url", logged.url)
    assert (done.status, done.err) == (0, "")
    said = [re.split(r" +\| ", line) for line in done.out.splitlines()]
    for number in (1, 2, 3):
        both = {tuple(each) for each in said[4 * number - 4 : 4 * number]}
        expected = {("one", f"one-{number}"), ("two", f"two-{number}")}
        assert both == expected | {("one", f"err-{number}"), ("two", f"err-{number}")}
    assert ctl("logs", "--action", "say", "--url", logged.url).out == done.out
    last = ctl("logs", "one", "two", "-n", "1", "--stream", "stdout", "--url", logged.url).out
    assert last.splitlines() == ["one | one-3", "two | two-3"]
    found = ctl("logs", "one", "two", "--grep", "one-2|two-3", "--url", logged.url)
    assert found.out.splitlines() == ["one | one-2", "two | two-3"]
    lines = ctl("logs", "one", "two", "--json", "--url", logged.url).out.splitlines()
    assert [json.loads(line)["task_id"] for line in lines].count("one") == 6
    assert "\x1b[36mone |" in ctl("logs", "one", "two", "--color", "always", "--url", logged.url).out


def test_several_are_followed_at_once(logged: Daemon) -> None:
    with logged.connect() as client:
        for name in ("left", "right"):
            client.request("start", action="asks", task_id=name)
            client.expect("output", data="ready", task_id=name)
        with terminal(logged, "logs", "left", "right", "-f") as shown:
            shown.wait_for(b"ready", 2)
            for name in ("right", "left"):
                client.request("input", task_id=name, data=f"{name}\n")
                shown.wait_for(f"got {name}".encode())
            assert shown.wait() == 0


def test_mistakes_are_said(logged: Daemon, ctl: Ctl) -> None:
    for arguments, status, words in (
        ((), 2, "name tasks, or an action with --action"),
        (("one", "two", "--run", "1"), 2, "--run needs one task"),
        (("one", "two", "-g", "x", "-C", "2"), 2, "-A, -B and -C work with one task only"),
        (("--action", "sya"), 1, "did you mean say?"),
        (("one", "nobody"), 1, "nobody: task not found"),
        (("one", "nobody", "-f"), 1, "nobody: task not found"),
    ):
        done = ctl("logs", *arguments, "--url", logged.url)
        assert (done.status, words in done.err) == (status, True), done


def test_a_task_that_is_not_found_hides_no_other(logged: Daemon, ctl: Ctl) -> None:
    done = ctl("logs", "one", "nobody", "-n", "1", "--url", logged.url)
    assert (done.status, done.err) == (1, "overseerctl: nobody: task not found\nerr-3\n")


def test_without_a_data_dir_what_is_stored_is_shown(ctl: Ctl, daemon: Daemon) -> None:
    with daemon.connect() as client:
        client.run("say", task_id="short")
        client.run("many", task_id="long")
    done = ctl("logs", "short")
    assert (done.status, done.out, done.err) == (0, "a\n", "b\n")
    assert ctl("logs", "sho", "--stream", "stderr").err == "b\n"
    done = ctl("logs", "long")
    assert [int(line) for line in done.out.split()] == list(range(152, 251))  # and its exit
    assert "only its last 99 lines are still stored, since the server has no data_dir" in done.err
    assert ctl("logs", "long", "-n", "2").out == "249\n250\n"
    assert ctl("logs", "long", "-g", "^20[0-2]$", "-A", "1").out.split() == ["200", "201", "202", "203"]
    assert ctl("logs", "long", "-g", "^(160|200)$", "-C", "1").out.split("\n") == [
        *("159", "160", "161", "--", "199", "200", "201", ""),
    ]
    assert ctl("logs", "long", "-g", "nothing").status == 1
    assert ctl("logs", "long", "-f", "-n", "1").out == "250\n"


def test_a_standing_task_that_cannot_be_started_is_refused(ctl: Ctl) -> None:
    done = ctl("start", "absent")
    assert (done.status, done.out) == (1, "")
    assert "cannot start '/no/such/program'" in done.err


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("list", "--status", "fa"), {"failed"}),
        (("list", "--status", "failed,err"), {"failed,errored"}),
        (("list", "--status=su"), {"--status=succeeded"}),
        (("list", "--action", "as"), {"asks"}),
        (("ps", "--ac"), {"--action"}),
        (("help", "wai"), {"wait"}),
        (("notify", ""), {"test"}),
        (("set-pool", "say", "--excess", ""), {"stop", "requeue"}),
        (("top", "--sort", "c"), {"cpu"}),
        (("rm", "sho"), {"short"}),
        (("stop", "sho"), set()),
        (("comp",), {"completion"}),
    ],
)
def test_words_and_ids_are_completed(
    ctl: Ctl, daemon: Daemon, words: tuple[str, ...], found: set[str]
) -> None:
    with daemon.connect() as client:
        client.run("say", task_id="short")
    assert set(ctl("__complete", "--", *words).out.split()) == found


def test_every_command_has_help_with_its_options_and_examples(ctl: Ctl) -> None:
    shown = ctl("--help").out
    commands = re.findall(r"^  ([a-z][a-z-]+)  +[a-z]", shown, re.MULTILINE)
    assert {"run", "stop", "rm", "list", "logs", "top", "check"} <= set(commands)
    for title in ("Start and stop:", "See what is going on:", "See their output:", "The server:"):
        assert title in shown
    for command in commands:
        text = ctl(command, "--help").out
        assert text.startswith(f"usage: overseerctl {command} ")
        assert max(map(len, text.splitlines())) <= 100
    assert "examples:\n  overseerctl logs web -f\n" in ctl("help", "logs").out
