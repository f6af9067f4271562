"""``input``, ``attach`` and ``run -it``, in a real terminal."""

from __future__ import annotations

import os
import re
import signal
import sys
import termios
import time
import urllib.request
from pathlib import Path

import pytest

from overseer.ctl.attach import Keys
from tests.ctl.conftest import Ctl, Done
from tests.ctl.test_terminal import LIMIT_S, Terminal, terminal
from tests.harness import Daemon, allowed, shell

_TALKS = """
import os, signal, sys
def size(*_): print(*os.get_terminal_size()[::-1], flush=True)
signal.signal(signal.SIGWINCH, size)
signal.signal(signal.SIGINT, lambda *_: print("interrupted", flush=True))
print("ready", flush=True)
for line in sys.stdin:
    if line == "quit\\n": sys.exit(7)
    if line == "size\\n": size()
    print(f"<{line.strip()}>", flush=True)
print("eof")
"""
_READS_LATE = """
import os, sys, time, tty
tty.setraw(0)
print("ready", flush=True)
while not os.path.exists(sys.argv[1]): time.sleep(0.01)
while b"\\x04" not in os.read(0, 65536): pass
print("the end was read")
"""
_RAW = "stty raw -echo; printf 'ready'; head -c 3 | od -An -tx1 | tr -d '\\n'; printf done; sleep 60"
ACTIONS = {
    "talks": {
        "type": "exec",
        "config": {"entrypoint": sys.executable, "command": ["-c", _TALKS], "stdin": "pty"},
    },
    "keys": shell(_RAW, config={"stdin": "pty"}),
    "screen": shell("printf '\\033[?1049h\\033[?25lready'; sleep 60", config={"stdin": "pty"}),
    "cat": {"type": "exec", "config": {"entrypoint": "cat", "stdin": "pipe"}},
    "late": {
        "type": "exec",
        "config": {
            "entrypoint": sys.executable,
            "command": ["-c", _READS_LATE, "[[.gate]]"],
            "stdin": "pty",
            "parameters": {"gate": {}},
        },
    },
    "slow": shell("sleep 0.5; exec wc -c", config={"stdin": "pipe"}),
    "none": shell("echo ready; exec sleep 60"),
    "one": shell("echo ready; read -r x", config={"stdin": "pty"},
                 task_pool={"limit": 1, "queue": {"enabled": True, "size": 3}}),
    "twice": shell("[ -e [[.f]] ] && exit 0; echo ready; read -r x; echo $x > [[.f]]; exit 1",
                   config={"stdin": "pty", "parameters": {"f": {}}}, retry={"restart_delay": "1ms"}),
}  # fmt: skip


def modes(terminal: Terminal) -> list[object]:
    """How the terminal treats keys."""
    return termios.tcgetattr(terminal.fd)[:4]


@pytest.mark.parametrize(
    ("typed", "given", "detached"),
    [
        ([b"abc"], b"abc", False),
        ([b"ab\x10\x11cd"], b"ab", True),
        ([b"a\x10", b"\x11"], b"a", True),
        ([b"a\x10", b"b"], b"a\x10b", False),
        ([b"\x10\x10\x11"], b"\x10", True),
        ([b"\x11\x10"], b"\x11", False),
    ],
)
def test_two_keys_detach(typed: list[bytes], given: bytes, detached: bool):
    keys = Keys()
    got, end = b"", False
    for part in typed:
        more, end = keys.feed(part)
        got += more
    assert (got, end) == (given, detached)


def test_a_held_key_is_not_lost():
    keys = Keys()
    keys.feed(b"\x10")
    assert keys.release() == b"\x10"
    assert keys.release() == b""


def test_attached_and_detached(daemon: Daemon):
    with daemon.connect() as client:
        client.send("start", action="talks", task_id="a")
        client.expect("output", task_id="a", data="ready")
        with terminal(daemon, "attach", "a", size=(33, 99)) as shown:
            before = modes(shown)
            shown.wait_for(b"33 99\r\n")  # which says that it is attached, and has this terminal's size
            assert modes(shown) != before
            shown.type(b"hello\r")
            assert b"<hello>\r\n" in shown.wait_for(b"<hello>\r\n")
            shown.resize(20, 50)
            shown.wait_for(b"20 50\r\n")
            shown.type(b"\x03")
            shown.wait_for(b"interrupted\r\n")
            shown.type(b"\x10\x11")
            assert shown.wait() == 0
            assert shown.shown.endswith(b"overseerctl: detached; task a keeps running\r\n")
            assert modes(shown) == before
        assert client.request("list")["tasks"][0]["worker_state"] == "running"
        with terminal(daemon, "attach", "a") as shown:
            # What was shown before is there at once.
            assert b"<hello>" in shown.wait_for(b"interrupted\r\n")
            before = modes(shown)
            shown.type(b"quit\r")
            assert shown.wait() == 7
            assert b"overseerctl: exited with 7 after" in shown.shown
            assert modes(shown) != before


def test_every_byte_arrives_as_it_is(daemon: Daemon):
    with terminal(daemon, "run", "-it", "keys") as shown:
        shown.wait_for(b"ready")
        shown.type(b"\x1b\x7f\x10")  # the last one may be the first of two, for a while
        assert b"1b 7f 10" in shown.wait_for(b"done")
        shown.type(b"\x10\x11")
        assert shown.wait() == 0


def test_a_run_is_attached_and_ends_as_the_task_does(daemon: Daemon):
    with terminal(daemon, "run", "-it", "talks", size=(9, 44)) as shown:
        shown.wait_for(b"ready\r\n")
        shown.type(b"size\r")
        shown.wait_for(b"9 44\r\n")
        shown.type(b"\x04")
        shown.wait_for(b"eof\r\n")
        assert shown.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_detach_from_a_task_and_stop_one_s_own(daemon: Daemon, number: int):
    with daemon.connect() as client:
        client.send("start", action="talks", task_id=f"s{number}")
        client.expect("output", data="ready")
        with terminal(daemon, "attach", f"s{number}") as shown:
            before = modes(shown)
            shown.wait_for(b"ready\r\n")
            os.kill(shown.pid, number)
            assert shown.wait() == 0
            assert modes(shown) == before
    with terminal(daemon, "run", "-it", "talks") as shown:
        before = modes(shown)
        shown.wait_for(b"ready\r\n")
        os.kill(shown.pid, number)
        assert shown.wait() == 128 + signal.SIGTERM
        assert modes(shown) == before


def test_what_a_program_left_on_the_screen_is_undone(daemon: Daemon):
    with terminal(daemon, "run", "-it", "screen") as shown:
        shown.wait_for(b"ready")
        shown.type(b"\x10\x11")
        assert shown.wait() == 0
        for undone in (b"\x1b[?1047l", b"\x1b[?25h"):
            assert undone in shown.shown


def test_the_server_s_end_gives_the_terminal_back():
    with Daemon(actions=ACTIONS) as daemon:
        with terminal(daemon, "--reconnect", "0", "run", "-it", "talks") as shown:
            before = modes(shown)
            shown.wait_for(b"ready\r\n")
            os.kill(daemon.pid, signal.SIGKILL)
            daemon.process.wait()
            assert shown.wait() == 125
            assert b"may still be running" in shown.shown
            assert modes(shown) == before
        daemon.kill()


def test_a_restart_stays_attached(daemon: Daemon, tmp_path: Path):
    with terminal(daemon, "run", "-it", "twice", f"f={tmp_path}/x") as shown:
        shown.wait_for(b"ready")
        shown.type(b"go\r")
        assert shown.wait() == 0
        assert b"[exited with 1 after" in shown.shown
        assert b"it is restarted]\r\n" in shown.shown


def test_a_place_in_the_queue_is_waited_for(daemon: Daemon):
    with daemon.connect() as client:
        client.send("start", action="one", task_id="first")
        client.expect("output", data="ready")
        with terminal(daemon, "run", "-it", "one", "--id", "second") as shown:
            shown.wait_for(b"queued at position 1 as task second")
            client.send("stop", task_id="first")
            shown.wait_for(b"ready\r\n")
            shown.type(b"x\r")
            assert shown.wait() == 0
        client.send("start", action="one", task_id="first")
        client.expect("output", data="ready")
        with terminal(daemon, "run", "-it", "one", "--id", "third") as shown:
            shown.wait_for(b"queued at position 1")
            shown.type(b"\x03")
            assert shown.wait() == 130
        client.send("stop", task_id="first")


def test_lines_for_what_reads_a_pipe(daemon: Daemon):
    with daemon.connect() as client:
        client.send("start", action="cat", task_id="lines")
        client.expect("started")
        client.request("input", task_id="lines", data="before\n")
        client.expect("output")
        with terminal(daemon, "attach", "lines") as shown:
            shown.wait_for(b"before\r\n")
            shown.type(b"typed\r")
            shown.wait_for(b"typed\r\n", 2)  # the echo, and what cat says
            shown.type(b"\x04")
            assert shown.wait() == 0


def test_input_of_all_kinds(daemon: Daemon, ctl: Ctl, tmp_path: Path):
    with daemon.connect() as client:
        client.send("start", action="cat", task_id="c")
        client.expect("started")
        assert ctl("input", "c", "two", "words") == Done(0, "", "")
        client.expect("output", data="two words")
        assert ctl("input", "c", "-n", "no").status == 0
        (tmp_path / "file").write_bytes(b" end\n")
        assert ctl("input", "c", "--file", f"{tmp_path}/file", "--json").json == {
            "task_id": "c", "bytes": 5, "eof": False,
        }  # fmt: skip
        client.expect("output", data="no end")
        assert ctl("input", "c", "last", "--eof").status == 0
        client.expect("output", data="last")
        client.expect("exited")
    assert ctl("input", "c", "x").err == "overseerctl: task is not running\n"
    assert ctl("input", "c").status == 2
    assert ctl("input", "c", "x", "--file", "-").status == 2
    assert ctl("input", "c", "--file", "/no/such").err == "overseerctl: /no/such: No such file or directory\n"


def test_a_file_waits_for_who_reads_slowly(daemon: Daemon, ctl: Ctl, tmp_path: Path):
    (tmp_path / "big").write_bytes(b"x" * 2_000_000)
    task = ctl("start", "slow").out.strip()
    assert ctl("input", task, "--file", f"{tmp_path}/big", "--eof").status == 0
    assert ctl("wait", task).status == 0
    assert ctl("tail", task).out.split() == ["2000000"]


def test_what_comes_through_stdin_is_a_run_s(daemon: Daemon, tmp_path: Path):
    (tmp_path / "big").write_bytes(b"y" * 3_000_000)
    script = f"exec {sys.executable} -m overseer.ctl run -i slow < {tmp_path}/big"
    with Terminal(["/bin/sh", "-c", script], daemon.url) as shown:
        assert shown.wait() == 0
        assert b"3000000" in shown.shown


def test_what_takes_nothing_is_refused(daemon: Daemon, ctl: Ctl):
    with daemon.connect() as client:
        client.send("start", action="none", task_id="none")
        client.expect("output")
        refused = ctl("attach", "none")
        assert refused.status == 1
        assert "takes no input (stdin: none); overseerctl tail -f" in refused.err
        client.send("stop", task_id="none")
        client.expect("exited")
    assert ctl("attach", "none").err == "overseerctl: task is not running\n"
    assert ctl("attach", "nobody").err == "overseerctl: nobody: task not found\n"
    assert ctl("run", "-it", "none").err == "overseerctl: tasks of none have no terminal (stdin: none)\n"
    assert ctl("run", "-i", "none").err == "overseerctl: tasks of none take no input (stdin: none)\n"
    assert ctl("run", "-t", "cat").err == "overseerctl: tasks of cat have no terminal (stdin: pipe)\n"


@pytest.mark.parametrize(("action", "option"), [("cat", b"-i"), ("one", b"-it")])
def test_on_a_terminal_run_says_how_to_give_input(daemon: Daemon, action: str, option: bytes):
    with terminal(daemon, "run", action) as shown:
        shown.wait_for(b"use overseerctl run " + option + b" " + action.encode())
        shown.type(b"\x03")
        shown.wait()


def test_on_a_terminal_what_was_sent_is_confirmed(daemon: Daemon, ctl: Ctl):
    ctl("start", "cat", "--id", "fed")
    with terminal(daemon, "input", "fed", "50", "--eof") as shown:
        shown.wait_for(b"fed: sent 3 bytes, and the end of the input")
        assert shown.wait() == 0


def test_the_end_of_the_input_waits_for_room(daemon: Daemon, tmp_path: Path):
    def refused() -> int:
        with urllib.request.urlopen(f"http://{daemon.address}/metrics", timeout=LIMIT_S) as answer:
            (sample,) = re.findall(r'inputs_refused_total\{action="late"\} (\d+)', answer.read().decode())
        return int(sample)

    with daemon.connect() as client:
        client.send("start", action="late", task_id="late", params={"gate": f"{tmp_path}/gate"})
        client.expect("output", data="ready")
        for size in (65536, 1):  # until there is not room for a byte
            while client.request("input", task_id="late", data="x" * size)["type"] != "error":
                pass
    before = refused()
    script = f"exec {sys.executable} -m overseer.ctl attach late < /dev/null"
    with Terminal(["/bin/sh", "-c", script], daemon.url) as shown:
        deadline = time.monotonic() + LIMIT_S
        while refused() == before:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (tmp_path / "gate").touch()
        shown.wait_for(b"the end was read")
        assert shown.wait() == 0


def test_who_does_not_read_holds_up_nobody(daemon: Daemon):
    with terminal(daemon, "run", "-it", "screen", "--id", "paste") as shown:
        shown.wait_for(b"ready")
        began = time.monotonic()
        for _ in range(40):
            shown.type(b"x" * 2000)
        shown.type(b"\x10\x11")
        assert shown.wait() == 0
        assert time.monotonic() - began < allowed(5)
