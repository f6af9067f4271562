"""Children that do what children do to supervisors."""

from __future__ import annotations

import os
import signal
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.support import FaultDaemon, Held, alive, gone
from tests.harness import Daemon, WsClient, allowed, shell

_MIB = 1 << 20


@pytest.fixture(scope="module")
def server() -> Iterator[FaultDaemon]:
    actions = {
        "sh": shell("[[.script]]", config={"parameters": {"script": None}}, stop_grace="500ms"),
        "program": {"type": "exec", "config": {"entrypoint": "[[.path]]", "parameters": {"path": None}}},
    }
    with FaultDaemon(actions=actions, clients={"buffer": "32MiB"}) as server:
        yield server


@pytest.fixture
def client(server: FaultDaemon) -> Iterator[WsClient]:
    with server.connect() as client:
        yield client
    server.must_be_idle()


def run(client: WsClient, script: str, timeout: float = 30.0) -> tuple[list[str], dict[str, object]]:
    _, outputs, exited = client.run("sh", timeout, params={"script": script})
    return [output["data"] for output in outputs], exited


def test_pipes_closed_early_are_no_exit(client: WsClient) -> None:
    begun = time.monotonic()
    lines, exited = run(client, "echo on its way; exec >&- 2>&-; sleep 0.5; exit 3")
    assert time.monotonic() - begun >= 0.5
    assert (lines, exited["exit_code"]) == (["on its way"], 3)


def test_what_is_written_after_the_leaders_death_is_still_heard(client: WsClient) -> None:
    lines, exited = run(client, "(sleep 0.3; echo late; sleep 0.3; echo later) & echo early")
    assert (lines, exited["exit_code"]) == (["early", "late", "later"], 0)


def test_a_silent_holder_of_the_pipe_delays_the_exit_by_seconds_only_and_is_ended(client: WsClient) -> None:
    begun = time.monotonic()
    (pid,), exited = run(client, "sleep 60 & echo $!")
    assert 1 < time.monotonic() - begun < allowed(8)
    assert exited["exit_code"] == 0
    assert gone(pid)


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        ("printf 'no newline'", ["no newline"]),
        ("printf 'one\\r\\n\\ntwo\\r'", ["one", "", "two\r"]),
        ("printf 'a\\377b\\300\\200\\355\\240\\200\\n'", ["a\ufffdb\ufffd\ufffd\ufffd\ufffd\ufffd"]),
        ("printf '\\342\\202\\254 \\342\\202'", ["€ \ufffd"]),
        ("printf 'a\\000b\\033[1m\\n'", ["a\0b\033[1m"]),
        ("exit 0", []),
    ],
    ids=["no newline", "carriage returns", "bad bytes", "half a character", "control characters", "nothing"],
)
def test_odd_output_arrives_as_promised(client: WsClient, script: str, lines: list[str]) -> None:
    got, exited = run(client, script)
    assert (exited["exit_code"], len(got)) == (0, len(lines))
    if "bad bytes" not in script:
        assert [line.rstrip("\ufffd") for line in got] == [line.rstrip("\ufffd") for line in lines]


def test_forty_megabytes_in_one_line_are_cut_and_the_child_goes_on(
    server: FaultDaemon, client: WsClient
) -> None:
    before = Held.by(server).memory
    script = "head -c 40000000 /dev/zero | tr '\\0' y; echo; echo done"
    _, outputs, exited = client.run("sh", 30.0, params={"script": script})
    assert exited["exit_code"] == 0
    assert [len(output["data"]) for output in outputs] == [10 * _MIB, len("done")]
    assert outputs[0]["truncated"] is True
    assert "truncated" not in outputs[1]
    del outputs
    client.messages.clear()
    assert Held.by(server).memory < before + 100_000


def _program(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    path.chmod(0o755)
    return str(path)


def test_a_program_that_dies_on_its_way_into_exec_is_a_run_that_a_signal_ended(
    client: WsClient, tmp_path: Path
) -> None:
    """A segment where no process may have one: the kernel finds out when the old image is gone already."""
    elf = b"\x7fELF\x02\x01\x01" + bytes(9)
    elf += struct.pack(
        "<HHIQQQIHHHHHH", 2, 62 if os.uname().machine == "x86_64" else 183, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    elf += struct.pack("<IIQQQQQQ", 1, 5, 0, 0xFFFF_8000_0000_0000, 0, 4096, 4096, 4096)
    path = _program(tmp_path / "dying", elf.ljust(4096, b"\0"))
    started = client.request("start", action="program", task_id="dying", params={"path": path})
    assert started["type"] == "started", started
    exited = client.expect("exited", task_id="dying")
    assert exited["exit_code"] == -1
    assert exited["signal"] in ("SIGSEGV", "SIGKILL")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"#!/no/such/interpreter\n", "interpreter is missing"),
        (b"\x7fELF junk", "neither a program"),
        (b"", ""),
    ],
)
def test_a_program_that_cannot_be_executed_is_refused_and_leaves_nothing(
    client: WsClient, tmp_path: Path, content: bytes, said: str
) -> None:
    reply = client.request("start", action="program", params={"path": _program(tmp_path / "it", content)})
    assert reply["type"] == "error"
    assert said in reply["message"]


def test_a_frozen_child_harms_nobody_and_can_be_stopped(client: WsClient) -> None:
    started = client.request(
        "start", action="sh", task_id="frozen", params={"script": "echo on; exec sleep 60"}
    )
    client.expect("output", task_id="frozen")
    os.kill(started["pid"], signal.SIGSTOP)
    assert run(client, "echo fine")[0] == ["fine"]
    begun = time.monotonic()
    client.send("stop", task_id="frozen")
    exited = client.expect("exited", task_id="frozen")
    assert exited["signal"] == "SIGTERM"  # it was woken for it
    assert time.monotonic() - begun < allowed(3)


def test_a_child_that_ignores_everything_is_killed_with_all_of_its_tree(client: WsClient) -> None:
    script = (
        "trap '' TERM; for i in 1 2 3; do (trap '' TERM; setsid sh -c 'echo $$; exec sleep 60') & done"
        "; sleep 0.3; echo $$; while :; do sleep 0.1; done"
    )
    client.request("start", action="sh", task_id="stubborn", params={"script": script})
    pids = [client.expect("output", task_id="stubborn")["data"] for _ in range(4)]
    client.send("stop", task_id="stubborn")
    exited = client.expect("exited", task_id="stubborn")
    assert (exited["signal"], exited["intentional"]) == ("SIGKILL", True)
    assert not [pid for pid in pids if alive(pid)]


def test_a_thousand_lines_on_both_pipes_right_before_the_end_are_all_there(client: WsClient) -> None:
    lines, exited = run(client, "seq 1000 & seq 1001 2000 >&2 & wait; kill -9 $$")
    assert sorted(map(int, lines)) == list(range(1, 2001))
    assert exited["signal"] == "SIGKILL"


def test_a_server_that_was_started_with_signals_ignored_starts_children_that_hear_them() -> None:
    """As from the background of a shell, and with nohup."""
    ignored = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ignored}
    try:
        daemon = Daemon(
            actions={"quits": shell("echo up; exec sleep 60", stop_signal="SIGQUIT", stop_grace="1h")},
            alone=True,
        )
        daemon.start()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    try:
        with daemon.connect() as client:
            client.request("start", action="quits", task_id="t")
            client.expect("output", task_id="t")
            daemon.process.send_signal(signal.SIGQUIT)
            daemon.process.send_signal(signal.SIGHUP)
            daemon.wait_stderr("reloaded")
            client.send("stop", task_id="t")
            assert client.expect("exited", task_id="t")["signal"] == "SIGQUIT"
        daemon.stop()
    finally:
        daemon.process.kill()
        daemon.kill()
