"""overseerctl as a process, against a real server with real children."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from overseer.ctl.times import rounded
from tests.harness import ROOT, Daemon, shell
from tests.harness.forking import CTL, Forked, run_forked

LIMIT_S = 30
ACTIONS = {
    "both": shell("echo to stdout; echo to stderr >&2"),
    "exit": shell("exit [[.code]]", config={"parameters": {"code": {"validate": "int(value) < 256"}}}),
    "kill": shell("kill -KILL $$"),
    "sleep": shell("echo ready; exec sleep 60"),
    "stubborn": shell("trap '' TERM; echo ready; while :; do sleep 0.1; done", stop_grace="1s"),
    "forever": shell("while :; do echo again; sleep 0.01; done"),
    "count": shell("seq 20000"),
    "long": shell("head -c 1000000 /dev/zero | tr '\\0' x; echo; echo 'Zoë €'; echo two >&2; echo three"),
    "params": shell("", config={"command": ["-c", "printf '<%s>\\n' \"$1\"", "sh", "[[.a]]"]}),
    "one": shell("echo ready; exec sleep 60", task_pool={"limit": 1, "queue": {"enabled": True, "size": 1}}),
    "flaky": shell(
        "echo run; if [ -e [[.file]] ]; then exit 0; else : > [[.file]]; exit 3; fi",
        config={"parameters": {"file": {}}},
        retry={"restart_delay": "10ms", "error_threshold": 5},
    ),
    "hopeless": shell("exit 9", retry={"restart_delay": "10ms", "error_threshold": 3}),
}


def command(*arguments: str, url: str) -> tuple[list[str], dict[str, str]]:
    environment = {**os.environ, "OVERSEER_URL": url, "PYTHONPATH": str(ROOT)}
    return [*CTL, *arguments], environment


def ctl(*arguments: str, url: str) -> subprocess.CompletedProcess[str]:
    argv, environment = command(*arguments, url=url)
    return run_forked(argv, environment, timeout=LIMIT_S)


@contextmanager
def started(*arguments: str, url: str) -> Iterator[subprocess.Popen[str]]:
    """overseerctl in the background, without a buffer of ours; killed at the end if it still runs."""
    argv, environment = command(*arguments, url=url)
    with Forked(
        argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    ) as process:
        alarm = threading.Timer(LIMIT_S, process.kill)
        alarm.start()
        try:
            yield process
        finally:
            alarm.cancel()
            alarm.join()
            process.kill()


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=LIMIT_S)
    return process.returncode, out, err


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def state_of(daemon: Daemon, task_id: str) -> dict[str, object]:
    with daemon.connect() as client:
        tasks = client.request("list")["tasks"]
    return next(task for task in tasks if task["task_id"] == task_id)


def test_output_goes_where_the_task_sent_it(daemon: Daemon):
    done = ctl("run", "both", url=daemon.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "to stdout\n", "to stderr\n")


def test_a_signal_that_ended_it_is_named(daemon: Daemon):
    said = ctl("run", "kill", url=daemon.url).stderr
    assert re.fullmatch(r"overseerctl: ended by SIGKILL after [\d.]+m?s\n", said)


@pytest.mark.parametrize(
    ("nanos", "text"),
    [(1_475_960_105, "1.5s"), (999, "999ns"), (10_123_456, "10ms"), (61_960_000_000, "1m2s"), (0, "0s")],
)
def test_a_delay_is_rounded_for_people(nanos: int, text: str):
    assert rounded(nanos) == text


@pytest.mark.parametrize(
    ("arguments", "status"), [(["exit", "code=0"], 0), (["exit", "code=7"], 7), (["kill"], 137)]
)
def test_it_exits_as_the_task_did(daemon: Daemon, arguments, status):
    assert ctl("run", *arguments, url=daemon.url).returncode == status


def test_every_line_arrives_in_order(daemon: Daemon):
    assert ctl("run", "count", url=daemon.url).stdout.split() == [str(n) for n in range(1, 20001)]


def test_long_lines_and_other_alphabets_pass(daemon: Daemon):
    done = ctl("run", "long", url=daemon.url)
    assert done.stdout == "x" * 1_000_000 + "\nZoë €\nthree\n"
    assert done.stderr == "two\n"


def test_a_value_may_hold_anything_and_options_may_stand_anywhere(daemon: Daemon):
    done = ctl(
        "run", "params", "--id", "any", "a=x=y [[z]] $HOME", "--url", daemon.url, "b=", url="ws://127.0.0.1:1"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "<x=y [[z]] $HOME>\n", "")
    assert state_of(daemon, "any")["params"] == {"a": "x=y [[z]] $HOME", "b": ""}


def test_output_is_shown_as_it_comes_and_a_stop_is_passed_on(daemon: Daemon):
    with started("run", "sleep", "--id", "interrupted", url=daemon.url) as process:
        assert first_line(process) == "ready\n"
        process.send_signal(signal.SIGINT)
        status, _, err = finish(process)
    assert status == 128 + signal.SIGTERM
    assert "stopping" in err
    assert state_of(daemon, "interrupted")["state"] == "stopped"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_polite_signals_stop_the_task_too(daemon: Daemon, number):
    with started("run", "sleep", url=daemon.url) as process:
        first_line(process)
        process.send_signal(number)
        assert finish(process)[0] == 128 + signal.SIGTERM


def test_ctrl_c_in_a_terminal(daemon: Daemon):
    argv, environment = command("run", "sleep", url=daemon.url)
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(argv[0], argv, environment)
    try:
        shown = b""
        while b"ready" not in shown:
            assert select.select([terminal], [], [], LIMIT_S)[0], shown
            shown += os.read(terminal, 4096)
        os.write(terminal, b"\x03")
        deadline = time.monotonic() + LIMIT_S
        while b"stopping" not in shown:
            assert select.select([terminal], [], [], deadline - time.monotonic())[0], shown
            shown += os.read(terminal, 4096)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 128 + signal.SIGTERM
    finally:
        os.close(terminal)


def test_a_second_ctrl_c_leaves_without_waiting(daemon: Daemon):
    with started("run", "stubborn", "--id", "stubborn", url=daemon.url) as process:
        first_line(process)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert "stopping" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        status, _, err = finish(process)
    assert status == 130
    assert "left task stubborn while it is being stopped" in err


def test_a_task_that_outlives_its_grace_ends_by_sigkill(daemon: Daemon):
    with started("run", "stubborn", url=daemon.url) as process:
        first_line(process)
        process.send_signal(signal.SIGINT)
        assert finish(process)[0] == 128 + signal.SIGKILL


@pytest.mark.parametrize("more", [[], ["--json"]], ids=["text", "json"])
def test_a_reader_that_has_seen_enough_ends_the_task(daemon: Daemon, more: list[str]):
    with started("run", "forever", "--id", "headed", *more, url=daemon.url) as process:
        first_line(process)
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(LIMIT_S) == 128 + signal.SIGTERM
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    assert state_of(daemon, "headed")["state"] == "stopped"


@pytest.mark.parametrize("more", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize("command", ["tail -f", "events"])
def test_a_reader_that_has_seen_enough_ends_a_look(daemon: Daemon, command: str, more: list[str]):
    with daemon.connect() as client:
        busy, silent = f"busy-{command}{more}", f"silent-{command}{more}"
        client.request("start", action="forever", task_id=busy)
        client.request("start", action="sleep", task_id=silent)
        tasks = [silent, busy] if command == "tail -f" else [busy]
        with started(*command.split(), *more, *tasks, url=daemon.url) as process:
            first_line(process)
            assert process.stdout is not None
            process.stdout.close()
            assert process.wait(LIMIT_S) == 0
            assert process.stderr is not None
            assert process.stderr.read() == ""
        for task in (busy, silent):
            assert state_of(daemon, task)["worker_state"] == "running"
            client.send("stop", task_id=task)


@pytest.mark.parametrize(
    "arguments",
    ["tail full", "tail -f full", "tail -f full idle", "tail --json full", "replay full", "list",
     "list --json", "actions", "pool", "metrics", "check", "top", "events full",
     "completion bash"],
)  # fmt: skip
def test_a_full_disk_is_one_line_and_status_1(daemon: Daemon, arguments: str):
    with daemon.connect() as client:
        for task in ("full", "idle"):  # refused when they run already
            client.request("start", action="forever" if task == "full" else "sleep", task_id=task)
        argv, environment = command(*arguments.split(), url=daemon.url)
        with Path("/dev/full").open("wb") as full:
            done = run_forked(argv, environment, stdout=full.fileno(), timeout=LIMIT_S)
    assert (done.returncode, done.stderr) == (
        1,
        "overseerctl: cannot write to stdout: No space left on device\n",
    )


def test_a_run_on_a_full_disk_has_failed(daemon: Daemon):
    argv, environment = command("run", "both", url=daemon.url)
    with Path("/dev/full").open("wb") as full:
        done = run_forked(argv, environment, stdout=full.fileno(), timeout=LIMIT_S)
    assert done.returncode == 1
    assert "overseerctl: cannot write to stdout: No space left on device\n" in done.stderr


def test_waiting_in_a_queue_is_said(daemon: Daemon):
    with started("run", "one", url=daemon.url) as first:
        first_line(first)
        with started("run", "one", "--id", "second", url=daemon.url) as second:
            assert second.stderr is not None
            assert second.stderr.readline() == "overseerctl: queued at position 1 as task second\n"
            refused = ctl("run", "one", url=daemon.url)
            assert refused.returncode == 1
            assert refused.stderr.startswith("overseerctl: ")
            first.send_signal(signal.SIGINT)
            assert finish(first)[0] == 128 + signal.SIGTERM
            assert first_line(second) == "ready\n"
            second.send_signal(signal.SIGINT)
            assert finish(second)[0] == 128 + signal.SIGTERM


def test_a_task_may_be_stopped_while_it_waits(daemon: Daemon):
    with started("run", "one", url=daemon.url) as first:
        first_line(first)
        with started("run", "one", url=daemon.url) as second:
            assert second.stderr is not None
            second.stderr.readline()
            second.send_signal(signal.SIGINT)
            assert finish(second)[0] == 130
        first.send_signal(signal.SIGINT)
        finish(first)


def test_a_purged_task_was_never_run(daemon: Daemon):
    with started("run", "one", url=daemon.url) as first:
        first_line(first)
        with started("run", "one", url=daemon.url) as second:
            assert second.stderr is not None
            second.stderr.readline()
            with daemon.connect() as client:
                client.request("purge", action="one")
            status, _, err = finish(second)
            assert (status, err) == (1, "overseerctl: removed from the queue: purged\n")
        first.send_signal(signal.SIGINT)
        finish(first)


def test_restarts_are_followed_to_the_end(daemon: Daemon, tmp_path: Path):
    done = ctl("run", "flaky", f"file={tmp_path}/there", url=daemon.url)
    assert (done.returncode, done.stdout) == (0, "run\nrun\n")
    assert re.match(r"overseerctl: exited with 3 after [\d.]+m?s; restart 1 in ", done.stderr)


def test_a_task_given_up_exits_with_its_last_code(daemon: Daemon):
    done = ctl("run", "hopeless", url=daemon.url)
    assert done.returncode == 9
    assert done.stderr.count("restart ") == 2
    assert "given up after too many failures" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing-like-it"], "nothing-like-it"),
        (["exit"], "code"),
        (["exit", "code=999"], "code"),
        (["both", "--id", "x" * 300], "task_id"),
    ],
)
def test_a_refusal_is_shown_in_the_servers_words(daemon: Daemon, arguments, words):
    done = ctl("run", *arguments, url=daemon.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("overseerctl: ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [["run"], [], ["run", "both", "oops"], ["run", "both", "a=1", "a=2"], ["list", "x"], ["dance"]],
)
def test_wrong_usage_is_status_2(arguments):
    done = ctl(*arguments, url="ws://127.0.0.1:1/ws")
    assert done.returncode == 2
    assert done.stderr.startswith("overseerctl: ")
    assert done.stderr.endswith(" --help\n")


def test_the_list_is_a_table_or_json(daemon: Daemon):
    ctl("run", "both", "--id", "listed", url=daemon.url)
    table = ctl("list", url=daemon.url)
    assert table.returncode == 0
    assert table.stdout.startswith("ID ")
    row = next(line.split() for line in table.stdout.splitlines() if line.startswith("listed "))
    assert row[1:4] == ["both", "succeeded", "0"]
    tasks = json.loads(ctl("list", "--json", url=daemon.url).stdout)
    assert "listed" in [task["task_id"] for task in tasks]


def test_it_speaks_to_a_unix_socket(tmp_path: Path):
    with Daemon(actions=ACTIONS, listen=f"unix:{tmp_path}/o.sock") as daemon:
        assert ctl("list", url=f"unix:{tmp_path}/o.sock").stderr == "overseerctl: no tasks\n"
        assert ctl("run", "exit", "code=4", url=daemon.url).returncode == 4


def test_http_urls_will_do(daemon: Daemon):
    assert ctl("run", "both", url=f"http://{daemon.address}").stdout == "to stdout\n"


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize("arguments", [["list"], ["run", "both"]])
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ws://127.0.0.1:{port}/ws", "nothing is listening there"),
        ("unix:/nowhere/at/all", "no such socket"),
    ],
)
def test_a_server_that_is_not_there(arguments, url, words):
    done = ctl(*arguments, url=url.format(port=free_port()))
    assert done.returncode == 125
    assert words in done.stderr
    assert "OVERSEER_URL" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "it answered 404"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "trusted_cidrs"),
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "set OVERSEER_TOKEN"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not a WebSocket server"),
        (b"", ""),
    ],
)
def test_a_server_that_is_another_one(answer, words):
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(LIMIT_S)

    def serve() -> None:
        with closing(listener), closing(listener.accept()[0]) as connection:
            connection.recv(65536)
            connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    done = ctl("run", "both", url=f"ws://127.0.0.1:{listener.getsockname()[1]}")
    thread.join()
    assert done.returncode == 125
    assert words in done.stderr
    assert done.stderr.startswith("overseerctl: ")
    assert done.stderr.count("\n") == 1


def test_a_server_that_dies_is_noticed():
    with (
        Daemon(actions=ACTIONS) as daemon,
        started("run", "sleep", "--reconnect", "0.3", url=daemon.url) as process,
    ):
        first_line(process)
        daemon.process.kill()
        status, _, err = finish(process)
        daemon.kill()
    assert status == 125
    assert "trying to connect again" in err
    assert "may still be running" in err


def test_a_server_that_shuts_down_ends_the_task_first():
    with Daemon(actions=ACTIONS) as daemon, started("run", "sleep", url=daemon.url) as process:
        first_line(process)
        daemon.stop()
        assert finish(process)[0] == 128 + signal.SIGTERM
