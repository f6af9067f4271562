"""Which tasks a command is about: by short ids, by what they have in common, and after a question."""

from __future__ import annotations

import pytest

from tests.ctl.conftest import Ctl
from tests.ctl.test_terminal import terminal
from tests.harness import Daemon, shell

ACTIONS = {
    "sleep": shell("echo ready; exec sleep 60"),
    "nap": shell("exec sleep 60", group="Rest"),
    "fail": shell("exit 3"),
    "echo": shell("echo hello"),
    "deploy": shell("echo deployed", confirm="Deploy to production?"),
    "build": shell(
        "exec sleep 60",
        title="Build it",
        config={
            "parameters": {"branch": {"default": "main"}, "jobs": {"default": "2"}, "key": {"type": "secret"}}
        },
    ),
    "pooled": shell("exec sleep 60", task_pool={"limit": 3}, group="Rest"),
}
TASKS = {"rollout": {"action": "deploy"}}


def ids(ctl: Ctl, *arguments: str) -> set[str]:
    return set(ctl("list", "-q", *arguments).out.split())


def test_a_unique_beginning_of_an_id_will_do(ctl: Ctl) -> None:
    full = ctl("start", "sleep").out.strip()
    (line,) = [line for line in ctl("list").out.splitlines() if line.startswith(full[:8])]
    assert line.split()[:3] == [full[:8], "sleep", "running"]
    for name in ("web-1", "web-2"):
        ctl("start", "sleep", "--id", name)
    assert ctl("signal", "CONT", full[:8]).status == 0
    done = ctl("stop", "web", "--wait")
    assert (done.status, done.err) == (1, "overseerctl: web: several tasks start with that: web-1, web-2\n")
    done = ctl("stop", "web-1", full[:6], "--wait", "--json")
    assert done.json == {"stopped": ["web-1", full]}
    assert ctl("stop", "web", "--wait").status == 1
    assert ctl("replay", "web-2").out == "ready\n"
    assert ctl("stop", "web-2", "--wait").status == 0
    done = ctl("stop", "wbe-2")
    assert done.err == "overseerctl: wbe-2: task not found; did you mean web-2?\n"
    assert "(nap is an action; for its tasks: overseerctl stop --action nap)" in ctl("stop", "nap").err
    done = ctl("attach", "nap")
    assert done.err == (
        "overseerctl: nap: task not found (nap is an action; for its tasks: overseerctl list --action nap)\n"
    )
    assert "for its tasks: overseerctl logs --action nap)" in ctl("logs", "nap").err
    assert ctl("wait", full[:8]).status == 143
    assert ctl("rm", full[:8], "web-1", "web-2").status == 0


def test_a_task_is_found_by_what_the_page_calls_it(ctl: Ctl) -> None:
    """Its action, or its title, and what it was given that is not the default: the one that goes on, or the
    latest."""
    first, second = (
        ctl("start", "build", f"branch={branch}", f"jobs={jobs}", "key=hush").out.strip()
        for branch, jobs in (("next", 2), ("old", 8))
    )
    done = ctl("signal", "CONT", "build next", "Build it old jobs=8", "--json")
    assert done.json == {"signaled": [first, second]}
    done = ctl("stop", "build", "--wait")
    assert done.status == 1
    named, _, ids = done.err.rpartition(": ")
    assert named == "overseerctl: build: 2 unfinished tasks have this name"
    ids, _, how = ids.partition("; ")
    assert (set(ids.split(", ")), how) == ({first[:8], second[:8]}, "use an id, or --action build\n")
    assert ctl("input", "build", "x").err == done.err.replace(", or --action build", "")
    assert ctl("stop", "build next", "--wait", "--json").json == {"stopped": [first]}
    assert ctl("stop", "build", "--wait", "--json").json == {"stopped": [second]}
    assert "task not found" in ctl("stop", "build hush").err
    done = ctl("rm", "build")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("overseerctl: build: 2 tasks have this name: ")
    assert ctl("rm", "build old jobs=8", "--json").json == {"forgotten": [second]}
    assert ctl("rm", "Build it", "--json").json == {"forgotten": [first]}


def test_a_name_wins_over_what_begins_so(ctl: Ctl) -> None:
    for name in ("db", "db-2"):
        ctl("start", "sleep", "--id", name)
    assert ctl("stop", "db", "--wait", "--json").json == {"stopped": ["db"]}
    assert ctl("rm", "-f", "db", "db-2", "--json").json == {"forgotten": ["db", "db-2"]}
    assert not ids(ctl) & {"db", "db-2"}


def test_the_list_is_filtered(ctl: Ctl) -> None:
    ctl("run", "fail", "--id", "failed-1")
    ctl("run", "echo", "--id", "good-1")
    ctl("start", "nap", "--id", "nap-1")
    assert ids(ctl, "--status", "failed") == {"failed-1"}
    assert ids(ctl, "--status", "failed,succeeded") == {"failed-1", "good-1"}
    assert ids(ctl, "--action", "nap") == {"nap-1"}
    assert ids(ctl, "--action", "nap", "--status", "failed") == set()
    assert ids(ctl, "--since", "1h") >= {"failed-1", "good-1", "nap-1"}
    assert ids(ctl, "--group", "Rest") == {"nap-1"}
    assert ids(ctl, "--group", "Rest", "--action", "echo") == set()
    misspelt = "overseerctl: no action has the group Rset; did you mean Rest?\n"
    assert ctl("list", "--group", "Rset").err == misspelt
    assert ctl("list", "--status", "failed", "--json").json[0]["status"] == "failed"
    assert ctl("list", "-q", "--status", "failed", "--json").json == ["failed-1"]
    assert ctl("ps", "--action", "nap", "-q").out == ctl("ls", "--action", "nap", "-q").out == "nap-1\n"
    ctl("stop", "nap-1", "--wait")


def test_several_are_chosen_by_what_they_have_in_common(ctl: Ctl) -> None:
    for name in ("many-1", "many-2"):
        ctl("start", "sleep", "--id", name)
    ctl("start", "nap", "--id", "other-1")
    done = ctl("stop", "--action", "sleep")
    assert (done.status, done.err) == (
        2,
        "overseerctl: refusing to stop 2 tasks (many-1, many-2): there is no terminal to confirm it "
        "on; add --yes\n",
    )
    done = ctl("restart", "--action", "sleep", "--yes", "--json")
    assert [each["task_id"] for each in done.json] == ["many-1", "many-2"]
    assert ctl("stop", "--action", "sleep", "--wait", "--yes", "--json").json == {
        "stopped": ["many-1", "many-2"]
    }
    assert ids(ctl, "--status", "running") == {"other-1"}
    assert ctl("rm", "--status", "stopped", "--action", "sleep", "-y", "--json").json == {
        "forgotten": ["many-1", "many-2"]
    }
    assert ctl("rm", "other-1").err == "overseerctl: other-1: task is still running: stop it first\n"
    assert ctl("stop", "--all", "--wait", "-y", "--json").json == {"stopped": ["other-1"]}
    assert ctl("stop", "--all", "-y").err == "overseerctl: no matching tasks\n"
    assert ctl("rm", "--all", "-y").status == 0
    assert ids(ctl) == set()


def test_the_tasks_of_a_group_are_chosen_together(ctl: Ctl) -> None:
    for action in ("nap", "pooled", "sleep"):
        ctl("start", action, "--id", f"{action}-0")
    done = ctl("restart", "--group", "Rest", "--yes", "--json")
    assert {each["task_id"] for each in done.json} == {"nap-0", "pooled-0"}
    assert ctl("stop", "--group", "Rset", "--yes").status == 1
    assert "(Rest is a group; for its tasks: overseerctl stop --group Rest)" in ctl("stop", "Rest").err
    assert "(Rest is a group; for its tasks: overseerctl list --group Rest)" in ctl("wait", "Rest").err
    assert "nap-0" in ctl("top", "--group", "Rest").out
    assert "sleep-0" not in ctl("top", "--group", "Rest").out
    stopped = ctl("stop", "--group", "Rest", "--wait", "--yes", "--json").json["stopped"]
    assert set(stopped) == {"nap-0", "pooled-0"}
    assert ids(ctl, "--status", "running") == {"sleep-0"}
    assert ctl("restart", "--group", "Rest", "--status", "stopped", "--yes").status == 0
    assert ids(ctl, "--status", "running") == {"sleep-0", "nap-0", "pooled-0"}
    ctl("stop", "--all", "--wait", "-y")
    ctl("rm", "--all", "-y")


@pytest.mark.parametrize(("command", "words"), [("stop", "name tasks"), ("stop x --all", "not both")])
def test_what_is_meant_must_be_said(ctl: Ctl, command: str, words: str) -> None:
    done = ctl(*command.split())
    assert (done.status, words in done.err) == (2, True)


def test_on_a_terminal_it_is_asked(ctl: Ctl, daemon: Daemon) -> None:
    ctl("start", "nap", "--id", "asked")
    for answer, status in ((b"n\n", 1), (b"\n", 1), (b"\xff\xfe\n", 1), (b"y\n", 0)):
        with terminal(daemon, "stop", "--all", "--wait") as shown:
            shown.wait_for(b"Stop 1 task (asked)? [y/N] ")
            shown.type(answer)
            assert shown.wait() == status
            assert b"Traceback" not in shown.shown
    assert ids(ctl, "--status", "stopped") == {"asked"}
    with terminal(daemon, "purge", "--all") as shown:
        shown.wait_for(b"Empty all queues (0 queued tasks)? [y/N] ")
        shown.type(b"n\n")
        assert shown.wait() == 1


@pytest.mark.parametrize(
    ("arguments", "done"),
    [(("run", "deploy"), b"deployed"), (("start", "deploy"), b"-"), (("start", "rollout"), b"rollout")],
)
def test_an_action_asks_what_it_has_people_asked(
    ctl: Ctl, daemon: Daemon, arguments: tuple[str, ...], done: bytes
) -> None:
    before = ids(ctl)
    refused = ctl(*arguments)
    assert (refused.status, refused.err) == (
        2,
        'overseerctl: deploy asks "Deploy to production?" before it starts, and there is no terminal to '
        "answer on; add --yes\n",
    )
    with terminal(daemon, *arguments) as shown:
        shown.wait_for(b"Deploy to production? [y/N] ")
        shown.type(b"n\n")
        shown.wait_for(b"overseerctl: cancelled")
        assert shown.wait() == 1
    assert ids(ctl) == before
    with terminal(daemon, *arguments) as shown:
        shown.wait_for(b"Deploy to production? [y/N] ")
        shown.type(b"y\n")
        shown.wait_for(done)
        assert shown.wait() == 0
    assert ctl("wait", *(ids(ctl) - before)).status == 0
    assert ctl(*arguments, "--yes").status == 0


def test_a_limit_below_what_runs_is_asked_about(ctl: Ctl, daemon: Daemon) -> None:
    for name in ("p-1", "p-2", "p-3"):
        ctl("start", "pooled", "--id", name)
    assert ctl("set-pool", "pooled", "--limit", "5").status == 0
    done = ctl("set-pool", "pooled", "--limit", "1", "--excess", "stop")
    assert (done.status, done.err) == (
        2,
        "overseerctl: refusing to lower the limit of pooled to 1, which stops 2 of 3 running tasks: there "
        "is no terminal to confirm it on; add --yes\n",
    )
    with terminal(daemon, "set-pool", "pooled", "--limit", "2") as shown:
        shown.wait_for(
            b"Lower the limit of pooled to 2, which stops or requeues 1 of 3 running tasks? [y/N] "
        )
        shown.type(b"\n")
        assert shown.wait() == 1
    assert ctl("pool", "pooled", "--json").json["limit"] == 5
    assert ctl("set-pool", "pooled", "--limit", "1", "--yes").status == 0
    ctl("stop", "--action", "pooled", "--yes", "--wait")


def test_on_a_terminal_a_status_has_its_sign_and_colour(ctl: Ctl, daemon: Daemon) -> None:
    ctl("run", "fail", "--id", "signed")
    wanted = {"": "\x1b[31m✗ failed", "NO_COLOR": "✗ failed", "TERM": "fail    failed "}
    for name, sign in wanted.items():
        with terminal(daemon, "list", **({name: "dumb"} if name else {})) as shown:
            assert shown.wait() == 0
            assert sign in shown.shown.decode()
            assert ("\x1b" in shown.shown.decode()) is (not name)
    assert "fail    failed " in ctl("list").out
