"""Every command but run, on a real server."""

from __future__ import annotations

import json
import re
import threading

import pytest

from overseer.client import Client
from tests.ctl.conftest import ACTIONS, Ctl
from tests.faults.support import wait_until
from tests.harness import Daemon, shell

WAIT_S = 30
_ENDED = r"overseerctl: {}: exited with 0 after [\d.]+m?s\n"


def test_start_prints_the_id_and_wait_exits_as_the_task(ctl: Ctl):
    task_id = ctl("start", "ticks").out.strip()
    assert ctl("wait", task_id).status == 4
    assert ctl("start", "count", "n=3", "--id", "named", "--json").json["task_id"] == "named"
    done = ctl("wait", "named", task_id, "--json")
    assert done.status == 4
    assert [each["exited"]["exit_code"] for each in done.json] == [0, 4]


def test_a_wait_may_be_bounded(ctl: Ctl):
    ctl("start", "sleep", "--id", "long")
    done = ctl("wait", "long", "--timeout", "0.05")
    assert done.status == 124
    assert "long has not ended" in done.err
    assert ctl("stop", "long", "--wait").status == 0
    assert ctl("wait", "long").status == 143


def test_a_code_that_is_a_success_is_none_of_a_wait_s(ctl: Ctl):
    assert ctl("run", "three").status == 3
    assert ctl("wait", ctl("start", "three").out.strip()).status == 0


def test_what_ran_too_long_ends_as_timeout_does(ctl: Ctl):
    done = ctl("run", "bounded", "--id", "bounded")
    assert done.status == 124
    assert re.fullmatch(r"overseerctl: ended by SIGTERM after [\d.]+ms \(timeout\)\n", done.err)
    assert ctl("wait", "bounded").status == 124
    (line,) = [line for line in ctl("list").out.splitlines() if line.startswith("bounded ")]
    assert "  timeout  " in line
    assert "stopped after 50ms, which is a failure" in ctl("actions", "bounded").out


def test_restarts(ctl: Ctl):
    ctl("start", "sleep", "--id", "r1")
    wait_until(lambda: "running" in ctl("list").out)
    done = ctl("restart", "r1", "nobody", "--json")
    assert (done.status, done.err) == (1, "overseerctl: nobody: task not found\n")
    assert [(each["type"], each["task_id"]) for each in done.json] == [("started", "r1")]
    assert done.json[0]["restart_of"] > 0
    ctl("stop", "r1", "--wait")
    assert (ctl("restart", "r1").status, ctl("stop", "r1", "--wait").status) == (0, 0)


def test_signals(ctl: Ctl):
    for name in ("g1", "g2"):
        ctl("start", "sleep", "--id", name)
    assert ctl("signal", "CONT", "g1", "g2").out == ""
    done = ctl("signal", "kill", "g1", "nobody", "g2", "--json")
    assert (done.status, done.json) == (1, {"signaled": ["g1", "g2"]})
    assert done.err == "overseerctl: nobody: task not found\n"
    assert ctl("wait", "g1").status == 137
    assert ctl("signal", "HUP", "g1").err == "overseerctl: g1: task is not running\n"


def test_several_are_stopped_and_the_unknown_are_named(ctl: Ctl):
    for name in ("s1", "s2"):
        ctl("start", "sleep", "--id", name)
    done = ctl("stop", "s1", "nobody", "s2", "--json")
    assert (done.status, done.json) == (1, {"stopped": ["s1", "s2"]})
    assert done.err == "overseerctl: nobody: task not found\n"


def test_a_stop_that_waits_stops_those_that_there_are(ctl: Ctl):
    ctl("start", "sleep", "--id", "w1")
    done = ctl("stop", "--wait", "w1", "nobody", "w1")
    assert (done.status, done.err) == (1, "overseerctl: nobody: task not found\n")
    assert ctl("wait", "w1").status == 143


def test_a_refused_stop_is_not_waited_for(ctl: Ctl, tmp_path):
    tokens = {"boss": {"role": "admin"}, "eve": {"role": "viewer"}}
    auth = {"tokens": [{"name": name, "token": name * 8, **more} for name, more in tokens.items()]}
    with Daemon(actions=ACTIONS, auth=auth) as guarded:
        server = ("--url", guarded.url, "--token")
        assert ctl("start", "sleep", "--id", "kept", *server, "boss" * 8).status == 0
        done = ctl("stop", "kept", "--wait", *server, "eve" * 8)
        assert done.status == 1
        assert done.err.startswith("overseerctl: kept: ")
        assert ctl("stop", "kept", "--wait", *server, "boss" * 8).status == 0


def test_a_reset(ctl: Ctl):
    ctl("run", "hopeless", "--id", "lost")
    assert ctl("reset", "lost").status == 0
    assert ctl("wait", "lost").status == 9
    done = ctl("reset", "nobody")
    assert (done.status, "nobody: " in done.err) == (1, True)


def test_the_list(ctl: Ctl):
    ctl("run", "count", "--id", "listed")
    assert "listed" in ctl("list").out
    (info,) = [task for task in ctl("list", "--json").json if task["task_id"] == "listed"]
    assert (info["last_exit_code"], info["action"]) == (0, "count")
    assert ctl("list", "--since", "2100-01-01T00:00:00Z", "--json").json == []
    assert ctl("list", "--since", "soon").status == 2
    ids = [task["task_id"] for task in ctl("list", "--json").json]
    page = [task["task_id"] for task in ctl("list", "--limit", "1", "--json").json]
    assert page == sorted(ids)[:1]
    rest = [task["task_id"] for task in ctl("list", "--after", page[0], "--json").json]
    assert rest == sorted(ids)[1:]
    assert ctl("list", "--limit", "-1").status == 2


def test_pools(ctl: Ctl):
    assert ctl("set-pool", "one", "--limit", "1", "--queue-size", "5", "--json").json["limit"] == 1
    for name in ("q1", "q2", "q3"):
        ctl("start", "one", "--id", name)
    assert "queued; overseerctl pool shows the queue" in ctl("start", "one", "--id", "q4").err
    pool = ctl("pool", "one")
    assert pool.out.splitlines()[0] == "one: 1 running of 1, 3 queued"
    assert pool.out.splitlines()[2].split()[:3] == ["1", "q2", "one"]
    assert ctl("pool", "one", "--json").json["queue_depth"] == 3
    assert ctl("purge", "one", "--yes").out == "removed 3 tasks from the queue\n"
    assert ctl("purge", "one", "--json", "--yes").json == {"count": 0}
    ctl("stop", "q1", "--wait")
    assert ctl("set-pool", "one").status == 2
    assert ctl("pool", "nothing").status == 1


def test_actions(ctl: Ctl):
    assert "[n=20]" in ctl("actions").out
    assert "must satisfy: int(value) > 0" in ctl("actions", "count").out
    assert [action["name"] for action in ctl("actions", "count", "--json").json] == ["count"]
    assert ctl("actions", "nothing").status == 1


def test_metrics(ctl: Ctl):
    ctl("run", "count", "n=7", "--id", "metered")
    assert "output_lines    7" in ctl("metrics", "--task", "metered").out
    assert ctl("metrics", "--json").json["tasks_started"] > 0
    assert ctl("metrics", "count", "--json").json["total_output_lines"] >= 7
    assert ctl("metrics", "nothing").status == 1


def test_check(ctl: Ctl):
    assert ctl("check").out.startswith("ok: 11 actions, ")
    assert ctl("check", "--json").json["ok"] is True
    assert ctl("check", "--url", "unix:/nowhere").status == 125


def test_top_into_a_pipe_is_printed_once(ctl: Ctl):
    ctl("run", "count", "--id", "topped")
    done = ctl("top")
    assert "topped" in done.out
    assert "\x1b" not in done.out
    assert {"tasks", "pool", "metrics", "usage"} == set(ctl("top", "--json").json)


def test_a_reload_says_what_changed(daemon: Daemon, ctl: Ctl):
    file = daemon.directory / "config.yaml"
    before = file.read_text()
    config = json.loads(before)
    config["actions"]["new"] = shell("true")
    file.write_text(json.dumps({**config, "log_file": "log"}))
    done = ctl("reload", "--dry-run")
    assert (done.status, done.out) == (0, "added: new\nrestart needed: log_file\n")
    assert "nothing has changed" in done.err
    file.write_text(json.dumps({**config, "actoins": {}}))
    done = ctl("reload")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("added: new\nwarnings: config.yaml:1: actoins: unknown key")
    assert '"new"' in ctl("actions", "--json").out
    file.write_text("actions: 3")
    done = ctl("reload")
    assert (done.status, done.out) == (1, "")
    assert "config.yaml:1: actions: expected" in done.err
    file.write_text(before)
    assert ctl("reload", "--json").json["removed"] == ["new"]
    assert ctl("reload").err == "overseerctl: no changes\n"


class TestTail:
    def test_shows_the_last_lines(self, ctl: Ctl):
        ctl("run", "count", "n=50", "--id", "tailed")
        done = ctl("tail", "tailed")
        assert done.out == "".join(f"{n}\n" for n in range(41, 51))
        assert re.fullmatch(_ENDED.format("tailed"), done.err)
        assert ctl("tail", "tailed", "-n", "2").out == "49\n50\n"
        assert ctl("tail", "tailed", "-n", "0").out == ""
        done = ctl("tail", "tailed", "-n", "400")
        assert len(done.out.split()) == 50
        assert re.fullmatch(_ENDED.format("tailed"), done.err)

    @pytest.mark.parametrize("more", [[], ["-f"], ["--json"]])
    def test_says_when_there_are_not_as_many_as_are_wanted(self, ctl: Ctl, more: list[str]):
        ctl("run", "count", "n=450", "--id", "counted")
        done = ctl("tail", "counted", "-n", "400", *more)
        note = "counted: only its last 99 lines are still stored"
        assert done.err.splitlines()[0] == f"overseerctl: {note}"
        assert "still stored" not in ctl("tail", "counted", "-n", "50", *more).err

    def test_follows_to_the_end(self, ctl: Ctl):
        ctl("start", "ticks", "--id", "followed")
        done = ctl("tail", "followed", "-f", "-n", "100")
        assert done.out == "".join(f"{n}\n" for n in range(1, 31))
        assert done.status == 0

    def test_tells_several_apart(self, ctl: Ctl):
        for name in ("a", "longer"):
            ctl("start", "ticks", "--id", name)
        done = ctl("tail", "a", "longer", "-f", "-n", "100")
        lines = done.out.splitlines()
        assert [line[9:] for line in lines if line.startswith("a      | ")][:30] == [
            str(n) for n in range(1, 31)
        ]
        last = [line[9:] for line in lines if line.startswith("longer | ")][-1]
        assert re.fullmatch(r"\(exited with 4 after [\d.]+m?s\)", last)
        coloured = ctl("tail", "a", "longer", "--color", "always").out
        assert "\x1b[36ma      |\x1b[0m 30" in coloured
        assert "\x1b[33mlonger |\x1b[0m 30" in coloured

    def test_keeps_the_streams_apart_and_the_bytes_as_they_are(self, ctl: Ctl):
        ctl("run", "both", "--id", "streams")
        done = ctl("tail", "streams")
        assert done.out == "to stdout\n"
        assert done.err.startswith("to stderr\n")

    def test_names_who_is_not_there(self, ctl: Ctl):
        for more in ([], ["-f"]):
            done = ctl("tail", "nobody", *more)
            assert (done.status, done.err) == (1, "overseerctl: nobody: task not found\n")

    def test_with_times_and_as_json(self, ctl: Ctl):
        ctl("run", "count", "n=1", "--id", "timed")
        assert ctl("tail", "timed", "-t").out.split()[0].endswith("Z")
        events = [json.loads(line) for line in ctl("tail", "timed", "--json").out.splitlines()]
        assert [event["type"] for event in events] == ["output", "exited"]


def test_a_replay(ctl: Ctl):
    ctl("run", "count", "n=150", "--id", "replayed")
    assert ctl("replay", "replayed").out.split() == [str(n) for n in range(52, 151)]
    done = ctl("replay", "replayed", "--since-seq", "148")
    assert done.out.split() == ["149", "150"]
    assert re.fullmatch(_ENDED.format("replayed"), done.err)
    note = "overseerctl: replayed: lines 11 to 51 are no longer stored\n"
    assert ctl("replay", "replayed", "--since-seq", "10").err.startswith(note)
    assert ctl("replay", "replayed", "--since", "2100-01-01T00:00:00Z").out == ""
    assert ctl("replay", "nobody").status == 1


def test_all_events_of_tasks_that_others_start(ctl: Ctl, daemon: Daemon, monkeypatch: pytest.MonkeyPatch):
    clients: list[Client] = []
    init = Client.__init__

    def remember(self: Client, *arguments, **options) -> None:
        init(self, *arguments, **options)
        clients.append(self)

    monkeypatch.setattr(Client, "__init__", remember)

    def work() -> None:
        with daemon.connect() as other:
            for _ in range(2):
                other.run("count", params={"n": "3"})
        threading.Timer(1.5, lambda: clients[0].close()).start()

    timer = threading.Timer(0.3, work)
    timer.start()
    done = ctl("events")
    timer.join()
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [event["type"] for event in events].count("output") == 6
    assert [event["type"] for event in events].count("exited") == 2


class TestSettings:
    def write(self, tmp_path, text: str, mode: int = 0o600) -> None:
        (tmp_path / "overseerctl.yaml").write_text(text)
        (tmp_path / "overseerctl.yaml").chmod(mode)

    def test_a_file_is_read_when_nothing_else_says_so(self, ctl: Ctl, daemon, tmp_path, monkeypatch):
        self.write(tmp_path, f"url: {daemon.url}\n")
        monkeypatch.delenv("OVERSEER_URL")
        assert ctl("check").status == 0
        monkeypatch.setenv("OVERSEER_URL", "unix:/nowhere")
        assert ctl("check").status == 125
        assert ctl("check", "--url", daemon.url).status == 0

    def test_its_lines_are_yaml_of_the_simplest_kind(self, ctl: Ctl, daemon, tmp_path, monkeypatch):
        monkeypatch.delenv("OVERSEER_URL")
        for url in (f'"{daemon.url}"', f"'{daemon.url}'  # a note", f" {daemon.url} # a note"):
            self.write(tmp_path, f"---\n# whose\n\nurl: {url}\n")
            assert ctl("check").status == 0

    def test_a_token_that_others_may_read_is_warned_of(self, ctl: Ctl, tmp_path):
        self.write(tmp_path, "token: abc\n", 0o644)
        assert "chmod 600" in ctl("check").err
        self.write(tmp_path, "token: abc\n")
        assert ctl("check").err == ""

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("urk: x", "urk is not a setting"),
            ("[", ":1: expected NAME: VALUE"),
            ("# mine\n- x", ":2: expected NAME: VALUE"),
            ("url: [x]", ":1: url must be a string"),
            ("url: ws://a/ws\nurl: ws://b/ws", ":2: url is given twice"),
        ],
    )
    def test_a_file_that_cannot_be_used(self, ctl: Ctl, tmp_path, text, words):
        self.write(tmp_path, text)
        done = ctl("check")
        assert done.status == 2
        assert words in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["wait"], ["stop"], ["tail", "x", "-n", "-1"], ["set-pool", "--limit", "x"], ["completion", "tcsh"],
        ["list", "--json", "extra"], ["start", "count", "n"], ["check", "--token", "a b"],
    ],
)  # fmt: skip
def test_wrong_usage(ctl: Ctl, arguments):
    done = ctl(*arguments)
    assert done.status == 2
    assert done.err
