"""overseerctl logs and search, and the same of the client."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from overseer.client import Client, RefusedError
from tests.ctl.conftest import Ctl
from tests.harness import Daemon, shell

ACTIONS = {
    "lines": shell("seq 2500; echo oh no >&2"),
    "short": shell("echo first; sleep 0.3; echo second"),
}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(actions=ACTIONS, data_dir="data") as daemon:
        with daemon.connect() as client:
            client.run("lines", task_id="web")
            client.run("short", task_id="other")
        yield daemon


def test_all_of_a_log_or_some_of_it(ctl: Ctl) -> None:
    done = ctl("logs", "web")
    assert done.status == 0
    assert done.out.splitlines() == [str(number) for number in range(1, 2501)]
    assert done.err == "oh no\n"
    assert set(ctl("logs", "web", "-n", "3", "--stream", "stdout").out.split()) == {"2498", "2499", "2500"}
    assert ctl("logs", "web", "--grep", "^24[0-3]1$").out.split() == ["2401", "2411", "2421", "2431"]
    assert len(ctl("logs", "web", "--since", "1h").out.splitlines()) == 2500
    (line,) = ctl("logs", "web", "--stream", "stderr", "--json").out.splitlines()
    assert json.loads(line)["data"] == "oh no"
    (line,) = ctl("logs", "web", "-t", "-n", "1", "--stream", "stdout").out.splitlines()
    assert line.endswith("Z 2500")


def test_following_begins_in_the_log(ctl: Ctl, daemon: Daemon) -> None:
    with daemon.connect() as client:
        client.request("start", action="short", task_id="other")
    done = ctl("logs", "other", "-f")
    assert done.out.split() == ["first", "second", "first", "second"]
    assert ctl("logs", "other", "-f", "-n", "1").out.split() == ["second"]


def test_searching_all_of_them(ctl: Ctl) -> None:
    assert ctl("search", "oh").out.split(" ", 1)[1].startswith("web:")
    done = ctl("search", "-e", "^(second|2499)$")
    assert {line.split()[-1] for line in done.out.splitlines()} == {"second", "2499"}
    assert ctl("search", "24", "--task", "web", "--json", "-n", "7").json[0]["task_id"] == "web"
    none = ctl("search", "nowhere")
    assert (none.status, none.out) == (1, "")
    assert "nothing was found" in none.err


def test_mistakes_are_said(ctl: Ctl) -> None:
    assert "task not found" in ctl("logs", "nobody").err
    assert "not a valid regular expression" in ctl("search", "-e", "(").err
    assert ctl("logs", "web", "-f", "--grep", "x").status == 2
    assert "did you mean logs?" in ctl("log", "web").err


def test_the_client_reads_all_of_a_log(daemon: Daemon) -> None:
    with Client(daemon.url) as client:
        lines = client.logs("web", from_seq=1, limit=0, stream="stdout")
        assert [line.data for line in lines] == [str(number) for number in range(1, 2501)]
        assert len(client.logs("web")) == 100
        assert len(client.search("1", task_id="web", limit=0)) == sum("1" in str(n) for n in range(1, 2501))
        with pytest.raises(RefusedError):
            client.logs("nobody")
