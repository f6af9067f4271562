"""overseerctl logs and search, and the same of the client."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from overseer.client import Client, ClientError, RefusedError
from tests.ctl.conftest import Ctl
from tests.ctl.test_terminal import terminal
from tests.harness import Daemon, shell

ACTIONS = {
    "lines": shell("seq 2500; sleep 0.1; echo oh no >&2"),
    "red": shell(r"printf '\033[31mfailure\033[0m \033[2J\033[5A\033[1mhere\n'"),
    "short": shell("echo first; sleep 0.3; echo second"),
    "asks": shell("echo ready; read x; echo got $x; read x; echo no; echo bad >&2", config={"stdin": "pipe"}),
}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(actions=ACTIONS, data_dir="data") as daemon:
        with daemon.connect() as client:
            client.run("lines", task_id="web")
            client.run("short", task_id="other")
            client.run("lines", task_id="web-2")
            client.run("red", task_id="red")
            for _ in range(3):
                client.run("short", task_id="twice")
        yield daemon


def test_all_of_a_log_or_some_of_it(ctl: Ctl) -> None:
    done = ctl("logs", "web")
    assert done.status == 0
    assert done.out.splitlines() == [str(number) for number in range(1, 2501)]
    assert done.err == "oh no\n"
    assert ctl("logs", "web", "-n", "3", "--stream", "stdout").out.split() == ["2498", "2499", "2500"]
    assert len(ctl("logs", "web", "--since", "1h").out.splitlines()) == 2500
    assert ctl("logs", "web", "--tail", "all").out == done.out
    assert ctl("logs", "web", "--lines", "2").out == ctl("logs", "web", "-n", "2").out == "2500\n"
    assert ctl("logs", "web", "--tail", "few").err.startswith(
        "overseerctl: argument -n/--tail: invalid count"
    )
    assert ctl("logs", "web", "-S", "1h", "-U", "30m").out == ""
    assert ctl("logs", "web", "-S", "1h", "-U", "now", "-n", "2").out == "2500\n"  # and one on stderr
    (line,) = ctl("logs", "web", "--stream", "stderr", "--json").out.splitlines()
    assert json.loads(line)["data"] == "oh no"
    (line,) = ctl("logs", "web", "-t", "-n", "1", "--stream", "stdout").out.splitlines()
    assert line.endswith("Z 2500")


def test_the_newest_lines_may_come_first(ctl: Ctl) -> None:
    numbers = [str(number) for number in range(2500, 0, -1)]
    assert ctl("logs", "web", "-r").out.splitlines() == numbers
    assert ctl("logs", "web", "-r", "-n", "4", "-S", "1h").out.split() == numbers[:3]  # and one on stderr
    assert ctl("logs", "web", "-r", "-g", "^(5|7|20)$", "-C", "1").out.split() == [
        *("21", "20", "19", "--", "8", "7", "6", "5", "4"),
    ]
    assert ctl("logs", "twice", "-r", "--run", "2").out.split() == ["second", "first"]
    times = [
        line.split()[2]
        for line in ctl("logs", "web", "twice", "-r", "-t", "--stream", "stdout").out.splitlines()
    ]
    assert len(times) == 2506
    assert times == sorted(times, reverse=True)
    assert ctl("logs", "web", "-e").out.splitlines() == numbers[998::-1]  # the last thousand, one on stderr


def test_the_last_lines_before_a_time(ctl: Ctl) -> None:
    lines = [json.loads(line) for line in ctl("logs", "twice", "--json").out.splitlines()]
    for number, line in enumerate(lines):
        done = ctl("logs", "twice", "--until", line["ts"], "-n", "2", "--json")
        assert [json.loads(each) for each in done.out.splitlines()] == lines[: number + 1][-2:]
    assert ctl("logs", "twice", "--until", "1h", "-n", "2").out == ""


def test_a_page_of_the_last_lines_is_whole(ctl: Ctl, daemon: Daemon) -> None:
    numbers = [str(number) for number in range(2001, 2501)]
    assert ctl("logs", "web", "-n", "500", "--stream", "stdout").out.split() == numbers
    with Client(daemon.url) as client:
        assert [line.data for line in client.logs("web", tail=500, stream="stdout")] == numbers
        assert len(client.logs("web", tail=50, limit=20)) == 50


@pytest.mark.parametrize("more", [(), ("--stream", "stdout"), ("--since", "1h")])
def test_the_last_lines_may_be_many(ctl: Ctl, more: tuple[str, ...]) -> None:
    done = ctl("logs", "web", "-n", "2001", *more)
    first = 500 if more == ("--stream", "stdout") else 501  # else there is one of stderr, too
    assert done.out.splitlines() == [str(number) for number in range(first, 2501)]


def test_one_run_by_its_number_or_id(ctl: Ctl) -> None:
    runs = ctl("history", "twice", "--json").json
    for of in ("1", "#1", runs[-1]["run_id"], runs[-1]["run_id"][:20]):
        done = ctl("logs", "twice", "--run", of, "--json")
        assert [json.loads(line)["seq"] for line in done.out.splitlines()] == [1, 2], of
    assert ctl("logs", "twice", "--run", "2", "-g", "sec", "--json").out.count("\n") == 1
    assert ctl("logs", "twice", "-f", "--run", "2").out.split() == ["first", "second"]
    done = ctl("logs", "twice", "--run", "4")
    assert (done.status, done.err) == (1, "overseerctl: twice has no run 4: the history has 1 to 3\n")


def test_lines_are_found_and_those_around_them(ctl: Ctl) -> None:
    assert ctl("logs", "web", "--grep", "^24[0-3]1$").out.split() == ["2401", "2411", "2421", "2431"]
    assert ctl("logs", "web", "-g", "^24[0-3]1$", "-n", "1").out.split() == ["2431"]
    assert ctl("logs", "web", "-g", "OH NO").status == 1
    assert ctl("logs", "web", "-i", "-g", "OH NO").err == "oh no\n"
    context = ctl("logs", "web", "-g", "^(5|7|20)$", "-C", "1").out
    assert context.split() == ["4", "5", "6", "7", "8", "--", "19", "20", "21"]
    assert ctl("logs", "web", "-g", "^1$", "-A", "2", "-B", "2").out.split() == ["1", "2", "3"]


def test_what_is_found_is_marked_in_colours(ctl: Ctl) -> None:
    assert ctl("logs", "web", "-g", "^249", "--color", "always").out.startswith(
        "\x1b[1;31m249\x1b[0m\n\x1b[1;31m249\x1b[0m0\n"
    )
    assert ctl("logs", "web", "-g", "^249").out.startswith("249\n2490\n")
    assert "oh \x1b[1;31mno\x1b[0m\n" in ctl("search", "no", "--color", "always").out


def test_following_begins_in_the_log(ctl: Ctl, daemon: Daemon) -> None:
    with daemon.connect() as client:
        client.request("start", action="short", task_id="other")
    done = ctl("logs", "other", "-f")
    assert done.out.split() == ["first", "second", "first", "second"]
    assert ctl("logs", "other", "-f", "-n", "1").out.split() == ["second"]


def test_what_is_followed_is_filtered_too(daemon: Daemon) -> None:
    with daemon.connect() as client:
        client.request("start", action="asks", task_id="asks")
        with terminal(daemon, "logs", "asks", "-f", "-g", "got|bad", "--stream", "stdout", "--json") as shown:
            client.expect("output", data="ready")
            client.request("input", task_id="asks", data="it\n")
            line = json.loads(shown.wait_for(b"\n"))
            assert (line["data"], line["stream"], line["seq"]) == ("got it", "stdout", 2)
            assert "type" not in line
            client.request("input", task_id="asks", data="\n")
            assert shown.wait() == 0
            assert shown.shown == b""


def test_a_task_that_is_forgotten_is_followed_to_its_end(ctl: Ctl, daemon: Daemon) -> None:
    with (
        Daemon(actions=ACTIONS, data_dir=str(daemon.directory / "other")) as first,
        first.connect() as client,
    ):
        client.run("short", task_id="gone")
        first.stop()
    with Daemon(actions=ACTIONS, data_dir=str(daemon.directory / "other")) as second:
        done = ctl("logs", "gone", "-f", "--url", second.url)
        assert (done.status, done.out.split()) == (0, ["first", "second"])


def test_searching_all_of_them(ctl: Ctl) -> None:
    done = ctl("search", "oh")
    assert re.fullmatch(r"\S+Z web:2501 oh no\n\S+Z web-2:2501 oh no\n", done.out)
    done = ctl("search", "-e", "^(second|2499)$")
    assert {line.split()[-1] for line in done.out.splitlines()} == {"second", "2499"}
    assert ctl("search", "24", "--task", "web", "--json", "-n", "7").json[0]["task_id"] == "web"
    assert ctl("search", "OH", "-i", "-B", "1", "--task", "web-").out.split()[1:7:3] == [
        "web-2-2500",
        "web-2:2501",
    ]
    more = ctl("search", "24", "-n", "7")
    assert len(more.out.splitlines()) == 7
    assert "more lines match than the 7 shown; -n 0 shows all" in more.err
    assert ctl("search", "24", "-n", "0").err == ctl("search", "24", "-n", "all").err == ""
    none = ctl("search", "nowhere")
    assert (none.status, none.out) == (1, "")
    assert "no matches" in none.err


def test_on_a_terminal_times_are_local_and_matches_marked(daemon: Daemon) -> None:
    with terminal(daemon, "search", "oh", "--task", "web", "--no-pager", TZ="Pacific/Kiritimati") as shown:
        assert shown.wait() == 0
        assert re.search(
            rb"\d\d:\d\d:\d\d\.\d{3} \x1b\[36mweb:2501\x1b\[0m \x1b\[1;31moh\x1b\[0m no", shown.shown
        )
    with terminal(daemon, "logs", "web", "-t", "-n", "1", "--no-pager") as shown:
        assert shown.wait() == 0
        assert re.fullmatch(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} oh no\r\n", shown.shown)


def test_a_line_keeps_its_colours_but_moves_no_cursor(daemon: Daemon, ctl: Ctl) -> None:
    moves = "\\u001b[2J\\u001b[5A"
    with terminal(daemon, "search", "failure", "--no-pager") as shown:
        assert shown.wait() == 0
        assert f"\x1b[31mfailure\x1b[0m {moves}\x1b[1mhere\x1b[0m\r\n" in shown.shown.decode()
    for arguments in ((), ("-C", "1")):
        assert ctl("search", "failure", *arguments).out.endswith(f"failure {moves}here\n")


def test_as_much_of_an_id_as_is_unique_will_do(ctl: Ctl) -> None:
    assert ctl("logs", "oth", "-n", "1").out == "second\n"
    assert ctl("logs", "web", "-n", "1", "--stream", "stdout").out == "2500\n"  # though web-2 begins so, too
    assert len(ctl("history", "tw", "--json").json) == 3
    assert ctl("logs", "we").err == "overseerctl: we: several tasks start with that: web, web-2\n"
    done = ctl("logs", "othre")
    assert (done.status, done.err) == (1, "overseerctl: othre: task not found; did you mean other?\n")
    assert "did you mean other?" in ctl("search", "x", "--task", "othre").err


def test_completion_knows_what_is_in_the_log(ctl: Ctl) -> None:
    assert set(ctl("__complete", "--", "logs", "web").out.split()) == {"web", "web-2"}
    assert ctl("__complete", "--", "logs", "twice", "--run", "").out.split() == ["3", "2", "1"]
    assert ctl("__complete", "--", "search", "x", "--task", "o").out.split() == ["other"]
    assert "--grep" in ctl("__complete", "--", "logs", "web", "--").out
    assert "failed" in ctl("__complete", "--", "history", "--status", "").out


def test_mistakes_are_said(ctl: Ctl) -> None:
    assert "task not found" in ctl("logs", "nobody").err
    assert "not a valid regular expression" in ctl("search", "-e", "(").err
    assert ctl("logs", "web", "-g", "(").status == 2
    assert ctl("logs", "web", "-f", "--until", "now").status == 2
    assert ctl("logs", "web", "-C", "2").status == 2
    assert ctl("logs", "web", "-f", "-r").status == ctl("logs", "web", "-f", "-e").status == 2
    assert ctl("log", "web", "-n", "1").out == ctl("logs", "web", "-n", "1").out


def test_the_client_reads_all_of_a_log(daemon: Daemon) -> None:
    with Client(daemon.url) as client:
        lines = client.logs("web", from_seq=1, limit=0, stream="stdout")
        assert [line.data for line in lines] == [str(number) for number in range(1, 2501)]
        assert client.logs("web", limit=0, stream="stdout") == lines
        assert len(client.logs("web")) == 100
        assert len(client.logs("web", limit=1000)) == 1000
        with pytest.raises(ClientError, match="say where to begin"):
            client.logs("web", limit=1001)
        first = client.runs("twice")[-1]
        assert [line.seq for line in client.logs("twice", run_id=first.run_id, from_seq=0, limit=0)] == [1, 2]
        assert len(client.search("1", task_id="web", limit=0)) == sum("1" in str(n) for n in range(1, 2501))
        with pytest.raises(RefusedError):
            client.logs("nobody")
