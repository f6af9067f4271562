"""``input`` and ``resize``: what running tasks are given to read, through a pipe or a terminal."""

from __future__ import annotations

import base64
import json
import os
import signal
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.faults.support import Held, wait_until
from tests.harness import Daemon, WsClient, allowed, run_program, shell

_PIPE = {"stdin": "pipe"}
_PTY = {"stdin": "pty"}
_ASKS = "import getpass; print('got', getpass.getpass('Secret: '))"
_SIZES = "trap 'stty size' WINCH; stty size; while :; do sleep 0.02; done"
_BAR = r"printf '10%%\r50%%\r\033[K100%%\n'; printf '\033[31mred\033[0m\n'; printf 'last'"
_YES = "output.data == 'yes'"
ACTIONS: dict[str, Any] = {
    "cat": {"type": "exec", "config": {"entrypoint": "cat", **_PIPE}},
    "deaf": shell("echo up; exec sleep 60", config=_PIPE),
    "closes": shell("exec <&-; echo up; exec sleep 60", config=_PIPE),
    "again": shell("read -r line; echo \"$line\"; exit 1", config=_PIPE, retry={"restart_delay": "1ms"}),
    "none": shell("if read -r line; then echo read; else echo nothing; fi; exec sleep 60"),
    "tty": shell("tty; ps -o tty=,sid=,pid= -p $$; cat; echo done", config=_PTY),
    "asks": {"type": "exec", "config": {"entrypoint": sys.executable, "command": ["-c", _ASKS], **_PTY}},
    "sizes": shell(_SIZES, config={**_PTY, "pty": {"rows": 7, "cols": 33}}),
    "waits": shell("trap 'echo caught; exit 9' INT; echo up; while :; do sleep 0.02; done", config=_PTY),
    "term": shell("echo $TERM; exit 3", config={**_PTY}),
    "own-term": shell("echo $TERM", config={**_PTY, "env": {"TERM": "dumb"}}),
    "bar": shell(_BAR, config=_PTY),
    "deaf-tty": shell("stty -echo; echo up; exec sleep 60", config=_PTY),
    "leaves": shell("trap '' HUP; setsid sh -c 'sleep 0.3; echo late' & echo early", config=_PTY),
    "jobs": shell("set -m; sh -c 'trap \"echo job; exit\" HUP; echo up; while :; do sleep 0.02; done' & "
                  "trap 'echo leader' HUP; while :; do sleep 0.02; done", config=_PTY, kill_mode="group"),
    "left": shell("set -m; sleep 60 & echo $!", config=_PTY),
    "flood": shell("exec seq 300000", config=_PTY),
    "quiet": shell("echo no; echo yes", config={**_PTY, "output": {"stdout": {"condition": _YES}}}),
}  # fmt: skip


def begin(client: WsClient, action: str, task_id: str, line: str = "up", **fields: Any) -> None:
    client.send("start", action=action, task_id=task_id, **fields)
    client.expect("output", task_id=task_id, data=line) if line else client.expect("started", task_id=task_id)


def lines_of(client: WsClient, action: str, timeout: float = 30.0, **fields: Any) -> list[str]:
    """What a run of this action writes."""
    return [output["data"] for output in client.run(action, timeout, **fields)[1]]


def give(client: WsClient, task_id: str, data: str | bytes = "", **fields: Any) -> dict[str, Any]:
    if isinstance(data, bytes):
        fields["data_base64"] = base64.b64encode(data).decode()
    elif data:
        fields["data"] = data
    return client.request("input", task_id=task_id, **fields)


# Pipes


def test_a_task_reads_what_it_is_given_to_the_end(client: WsClient) -> None:
    begin(client, "cat", "c", "")
    answer = give(client, "c", "héllo\n")
    assert answer == {"type": "input_accepted", "id": answer["id"], "task_id": "c", "bytes": 7}
    client.expect("output", task_id="c", data="héllo")
    assert give(client, "c", b"\xff\n")["bytes"] == 2
    client.expect("output", task_id="c", data="\ufffd")
    give(client, "c", "no end", eof=True)
    client.expect("output", task_id="c", data="no end")
    assert client.expect("exited", task_id="c")["exit_code"] == 0


def test_nothing_follows_an_eof(client: WsClient) -> None:
    begin(client, "deaf", "e")
    assert give(client, "e", eof=True)["bytes"] == 0
    for more in ("x", ""):
        assert give(client, "e", more, eof=True)["message"] == "the task's input has been closed by an eof"


def test_what_waits_is_bounded_and_taken_whole_or_not_at_all(daemon: Daemon, client: WsClient) -> None:
    """60 MB into a task that does not read: nobody waits, and the server does not grow."""
    begin(client, "deaf", "d")
    before = Held.by(daemon).memory
    piece, taken = "x" * 500_000, 0
    began = time.monotonic()
    for _ in range(120):
        answer = give(client, "d", piece)
        if answer["type"] == "input_accepted":
            taken += 1
        else:
            assert answer["message"].startswith("the task is not reading its input: ")
    assert time.monotonic() - began < allowed(20)
    assert taken == 2  # a pipe's 64 KiB, and what waits
    assert Held.by(daemon).memory - before < 16 << 10  # kB
    # The others do not notice.
    begin(client, "cat", "beside", "")
    give(client, "beside", "still here\n")
    client.expect("output", task_id="beside", data="still here")


def test_all_of_what_waits_arrives_in_order(client: WsClient) -> None:
    begin(client, "cat", "long", "", on_lag="block")
    total = 0
    for number in range(40):
        lines = "".join(f"{number} {line}\n" for line in range(5000))
        total += 5000
        while give(client, "long", lines)["type"] == "error":
            client.expect("output", task_id="long")
    give(client, "long", eof=True)
    client.expect("exited", timeout=allowed(20), task_id="long")
    seqs = [line["seq"] for line in client.outputs("long")]
    assert seqs[-1] == total


def test_inputs_of_several_clients_stay_whole(daemon: Daemon, client: WsClient) -> None:
    begin(client, "cat", "both", "")
    count, size = 60, 30_000

    def type_(letter: str) -> None:
        with daemon.connect() as mine:
            for _ in range(count):
                while give(mine, "both", letter * size + "\n")["type"] == "error":
                    time.sleep(0.001)

    threads = [threading.Thread(target=type_, args=(letter,)) for letter in "abc"]
    for thread in threads:
        thread.start()
    lines = [client.expect("output", timeout=allowed(20), task_id="both")["data"] for _ in range(3 * count)]
    for thread in threads:
        thread.join()
    assert {(line[0] * size == line) for line in lines} == {True}
    assert {letter: sum(line[0] == letter for line in lines) for letter in "abc"} == dict.fromkeys(
        "abc", count
    )


def test_who_does_not_take_it_is_said(client: WsClient) -> None:
    begin(client, "none", "none", "nothing")
    assert give(client, "none", "x")["message"] == "the task takes no input (stdin: none)"
    begin(client, "closes", "closed")
    assert give(client, "closed", "x")["message"] == "the task has closed its stdin"
    client.run("term", task_id="over")
    assert give(client, "over", "x")["message"] == "task is not running"
    assert give(client, "nobody", "x")["message"] == "task not found"
    for task_id in ("none", "closed"):
        answer = client.request("resize", task_id=task_id, rows=9, cols=9)
        assert answer["message"] == "the task has no terminal (stdin: pty)"


def test_a_restart_begins_with_nothing_to_read(client: WsClient) -> None:
    begin(client, "again", "r", "")
    give(client, "r", "first\nsecond\nthird\n")
    client.expect("exited", task_id="r")
    client.expect("started", task_id="r")
    give(client, "r", "fourth\n")
    client.expect("exited", task_id="r")
    assert [line["data"] for line in client.outputs("r")] == ["first", "fourth"]
    client.send("stop", task_id="r")


def test_list_and_describe_tell_who_takes_input(client: WsClient) -> None:
    begin(client, "deaf", "l1")
    begin(client, "deaf-tty", "l2")
    begin(client, "none", "l3", "nothing")
    stdin = {task["task_id"]: task.get("stdin") for task in client.request("list")["tasks"]}
    assert (stdin["l1"], stdin["l2"], stdin["l3"]) == ("pipe", "pty", None)
    for task_id in ("l1", "l2"):
        client.send("stop", task_id=task_id)
        client.expect("exited", task_id=task_id)
    assert not any(
        "stdin" in task for task in client.request("list")["tasks"] if task["task_id"] in ("l1", "l2")
    )
    (action,) = client.request("describe", action="sizes")["actions"]
    assert action["settings"] == {"stdin": "pty", "pty": "rows 7, cols 33"}
    (action,) = client.request("describe", action="none")["actions"]
    assert "settings" not in action


# Terminals


def test_a_terminal_controls_the_task(client: WsClient) -> None:
    begin(client, "tty", "t", "")
    path = client.expect("output", task_id="t")["data"]
    assert path.startswith("/dev/pts/")
    tty, sid, pid = client.expect("output", task_id="t")["data"].split()
    assert (f"/dev/{tty}", sid) == (path, pid)
    give(client, "t", "typed\n")
    assert [client.expect("output", task_id="t")["data"] for _ in range(2)] == ["typed", "typed"]  # echo, cat
    give(client, "t", eof=True)
    client.expect("output", task_id="t", data="done")
    assert client.expect("exited", task_id="t")["exit_code"] == 0


def test_a_password_is_asked_for_and_not_echoed(client: WsClient) -> None:
    client.send("start", action="asks", task_id="p", partial=True)
    assert client.expect("partial", task_id="p", data="Secret: ")["stream"] == "stdout"
    give(client, "p", "hunter2\n")
    assert client.expect("exited", task_id="p")["exit_code"] == 0
    assert [line["data"] for line in client.outputs("p")] == ["Secret: ", "got hunter2"]


def test_the_size_is_known_and_changes(client: WsClient) -> None:
    begin(client, "sizes", "s", "7 33")
    answer = client.request("resize", task_id="s", rows=50, cols=132)
    assert answer == {"type": "resized", "id": answer["id"], "task_id": "s", "rows": 50, "cols": 132}
    client.expect("output", task_id="s", data="50 132")
    for rows, cols in ((0, 80), (24, 0), (65536, 80), (-1, 80), (10**30, 80)):
        assert client.request("resize", task_id="s", rows=rows, cols=cols)["type"] == "error"
    client.run("term", task_id="small")
    assert client.request("resize", task_id="small", rows=1, cols=1)["message"] == "task is not running"


def test_ctrl_c_is_typed(client: WsClient) -> None:
    begin(client, "waits", "int")
    give(client, "int", "\x03")
    exited = client.expect("exited", task_id="int")
    assert (exited["exit_code"], exited["reason"], exited["intentional"]) == (9, "exited", False)
    assert "caught" in "".join(line["data"] for line in client.outputs("int"))


def test_it_is_told_what_terminal_it_is(client: WsClient) -> None:
    assert lines_of(client, "term") == ["xterm-256color"]
    assert lines_of(client, "own-term") == ["dumb"]


def test_lines_are_what_a_terminal_shows_in_the_end(client: WsClient) -> None:
    assert lines_of(client, "bar") == ["100%", "\x1b[31mred\x1b[0m", "last"]


def test_a_terminal_nobody_reads_takes_no_more_than_it_may(client: WsClient) -> None:
    begin(client, "deaf-tty", "full")
    answers = [give(client, "full", "abc\n" * 50_000)["type"] for _ in range(10)]
    assert answers[:5] == ["input_accepted"] * 5
    assert answers[-1] == "error"
    client.send("stop", task_id="full")
    client.expect("exited", task_id="full")


def test_who_holds_the_terminal_after_the_end_is_heard(client: WsClient) -> None:
    assert lines_of(client, "leaves", allowed(10)) == ["early", "late"]


def test_signals_and_stops_reach_all_jobs_of_the_session(client: WsClient) -> None:
    begin(client, "jobs", "j")
    client.request("signal", task_id="j", signal="HUP")
    client.expect("output", task_id="j", data="leader")
    client.expect("output", task_id="j", data="job")
    client.send("stop", task_id="j")
    client.expect("exited", task_id="j")
    begin(client, "jobs", "j2")
    client.send("stop", task_id="j2")
    assert client.expect("exited", timeout=allowed(5), task_id="j2")["reason"] == "stopped"


def test_jobs_do_not_outlive_their_shell(client: WsClient) -> None:
    client.send("start", action="left", task_id="left")
    pid = int(client.expect("output", task_id="left")["data"])
    client.expect("exited", timeout=allowed(10), task_id="left")
    assert not Path(f"/proc/{pid}").exists()


# As the terminal sees it


def test_raw_is_what_the_terminal_is_sent(client: WsClient) -> None:
    client.send("start", action="bar", task_id="raw", raw=True)
    client.expect("exited", task_id="raw")
    assert raw_of(client, "raw") == b"10%\r50%\r\x1b[K100%\r\n\x1b[31mred\x1b[0m\r\nlast"


def raw_of(client: WsClient, task_id: str) -> bytes:
    """All that came, which must be without gaps from the first on."""
    messages = client.pending("data", task_id=task_id)
    at = messages[0]["offset"]
    whole = b""
    for message in messages:
        assert message["offset"] == at + len(whole)
        whole += base64.b64decode(message["data"])
    return whole


def test_who_comes_late_sees_the_end_of_what_was_shown(daemon: Daemon, client: WsClient) -> None:
    begin(client, "asks", "late", "", partial=True)
    client.expect("partial", task_id="late", data="Secret: ")
    with daemon.connect() as other:
        other.request("subscribe", task_id="late", raw=True)
        message = other.expect("data", task_id="late")
        assert (message["offset"], base64.b64decode(message["data"])) == (0, b"Secret: ")
        give(client, "late", "x\n")
        other.expect("exited", task_id="late")
        assert raw_of(other, "late") == b"\r\ngot x\r\n"
        other.request("subscribe", task_id="late", raw=True)
        other.settle()
        assert not other.pending("data")


def test_raw_is_only_for_those_who_ask(client: WsClient) -> None:
    client.run("bar", task_id="plain")
    assert not client.pending("data")


def test_a_condition_keeps_raw_from_being_seen(client: WsClient) -> None:
    assert lines_of(client, "quiet", raw=True) == ["yes"]
    assert not client.pending("data")


def test_a_flood_is_cut_for_who_lags_and_nobody_waits(daemon: Daemon, client: WsClient) -> None:
    client.send("start", action="flood", task_id="flood", raw=True, on_lag="drop")
    client.expect("exited", timeout=allowed(30), task_id="flood")
    messages = client.pending("data", task_id="flood")
    at = 0
    for message in messages:
        assert message["offset"] >= at
        at = message["offset"] + len(base64.b64decode(message["data"]))
    assert base64.b64decode(messages[-1]["data"]).endswith(b"300000\r\n")


# Around it


def test_nothing_of_it_stays_open(daemon: Daemon, client: WsClient) -> None:
    client.run("bar")
    begin(client, "cat", "warm", "")
    give(client, "warm", "x", eof=True)
    client.expect("exited", task_id="warm")
    before = Held.by(daemon).fds
    for number in range(5):
        client.run("bar", task_id=f"b{number}")
        begin(client, "cat", f"c{number}", "")
        give(client, f"c{number}", "x", eof=True)
        client.expect("exited", task_id=f"c{number}")
    wait_until(lambda: Held.by(daemon).fds == before)


def test_other_tasks_do_not_inherit_our_ends(daemon: Daemon, client: WsClient) -> None:
    begin(client, "deaf", "i1")
    begin(client, "deaf-tty", "i2")
    begin(client, "deaf", "i3")
    pids = {
        task["task_id"]: task["current_pid"]
        for task in client.request("list")["tasks"]
        if "current_pid" in task
    }
    for task_id in ("i2", "i3"):
        open_ = {path.name for path in Path(f"/proc/{pids[task_id]}/fd").iterdir()}
        assert open_ == {"0", "1", "2"}


def test_a_killed_server_takes_its_terminals_tasks_with_it() -> None:
    with Daemon(actions=ACTIONS) as daemon, daemon.connect() as client:
        begin(client, "jobs", "k")
        begin(client, "deaf-tty", "k2")
        left = daemon.processes().keys() - {daemon.pid}
        os.kill(daemon.pid, signal.SIGKILL)
        daemon.process.wait()
        wait_until(lambda: not daemon.processes(), allowed(10))
        assert len(left) >= 3  # a shell and its job, and a sleep
        daemon.kill()


def test_what_was_given_and_refused_is_counted() -> None:
    with Daemon(actions=ACTIONS) as daemon, daemon.connect() as client:
        begin(client, "deaf", "m")
        give(client, "m", "x" * 1000)
        give(client, "m", eof=True)
        give(client, "m", "y")
        with urllib.request.urlopen(f"http://{daemon.address}/metrics") as answer:
            metrics = answer.read().decode()
        assert 'overseer_input_bytes_total{action="deaf"} 1000.0' in metrics
        assert 'overseer_inputs_refused_total{action="deaf"} 1.0' in metrics


def test_what_was_given_is_not_in_the_audit(tmp_path: Path) -> None:
    audit = tmp_path / "audit"
    with Daemon(actions=ACTIONS, audit_file=str(audit)) as daemon, daemon.connect() as client:
        begin(client, "deaf", "a")
        give(client, "a", "hunter2\n")
        give(client, "a", b"hunter2\n", eof=True)
        client.request("resize", task_id="a", rows=1, cols=2)
    lines = [json.loads(line) for line in audit.read_text("utf-8").splitlines()]
    assert "hunter2" not in audit.read_text("utf-8")
    assert "aHVudGVy" not in audit.read_text("utf-8")
    requests = [line["request"] for line in lines if line["request"]["type"] in ("input", "resize")]
    assert [each.get("bytes") for each in requests] == [8, 8, None]
    assert requests[1]["eof"] is True


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"stdin": "tty"}, "config.stdin: expected none, pipe or pty, found"),
        ({"stdin": "pipe", "pty": {"rows": 9}}, "config.pty: only stdin: pty has a terminal"),
        ({"stdin": "pty", "pty": {"rows": 0}}, "config.pty.rows: 0 is too small: the least is 1"),
        ({"stdin": "pty", "pty": {"cols": 65536}}, "config.pty.cols: 65536 is too large: the most is 65535"),
        ({"stdin": "pty", "pty": {"colums": 9}}, "config.pty.colums"),
        (
            {"stdin": "pty", "output": {"stderr": {"condition": "false"}}},
            "config.stdin: has no effect on a terminal",
        ),
    ],
)
def test_what_is_wrong_in_the_file_is_said(config: dict[str, Any], says: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        json.dumps({"listen": "127.0.0.1:0", "actions": {"a": shell("true", config=config)}}, indent=1)
    )
    checked = run_program("--check", "--config", str(path), cwd=tmp_path)
    assert checked.returncode == 1
    assert f"actions.a.{says}" in checked.stderr
