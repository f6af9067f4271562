"""Clients that stop reading, hardly read, freeze, vanish or talk nonsense, against the daemon.

What matters is what others feel of it: the task that the client listens to, the other clients, the server.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.support import FaultDaemon, Held, address_of, alive, deaf, wait_until
from tests.harness import ROOT, Daemon, WsClient, allowed, shell
from tests.net.rawclient import CONTINUATION, PING, PONG, TEXT, RawClient, RawSocket, frame, upgrade_request

STALL = 1.0
# Of a server whose clients may be as slow as they like: longer than any wait here. What is held up until then
# is seen to be, and what is not comes in time on the busiest machine.
PATIENT = 60.0
# More than the kernel takes for a client that does not read (some megabytes), and the buffer.
LINES = 3000
# Long lines with their numbers; how far it has come is seen in a file, whoever reads or not.
_FLOOD = """exec awk -v lines=[[.lines]] -v file=[[.progress]] 'BEGIN {
  pad = sprintf("%4000s", ""); gsub(" ", "x", pad)
  for (i = 1; i <= lines; i++) {
    print i " " pad; fflush()
    if (i % 10 == 0) { print i >file; close(file) }
  }
}'"""


@contextmanager
def serving(stall: float, program: str) -> Iterator[FaultDaemon]:
    actions = {
        "flood": shell(_FLOOD, config={"parameters": {"lines": "3000", "progress": None}}),
        "echo": shell("echo hi"),
        "sleep": shell("exec sleep 60"),
    }
    limits = {"handshake_timeout": "500ms", "max_connections": 40}
    clients = {"buffer": "256KiB", "stall_timeout": f"{stall}s", "keepalive": f"{stall}s"}
    environment = {"PYTHONPATH": str(ROOT)}
    with FaultDaemon(
        actions=actions, limits=limits, clients=clients, program=ROOT / program, environment=environment
    ) as server:
        yield server


@pytest.fixture(scope="module")
def server() -> Iterator[FaultDaemon]:
    # Pings that come soon; the rest of the program is as ever.
    with serving(STALL, "tests/faults/quick_pings.py") as server:
        yield server


@pytest.fixture(scope="module")
def patient_server() -> Iterator[FaultDaemon]:
    # Its pings come late: who does not read answers none, and would be cut off for that.
    with serving(PATIENT, "sticky_overseer.py") as server:
        yield server


@pytest.fixture
def patient(patient_server: FaultDaemon) -> Iterator[Daemon]:
    """One that waits for its clients; it has given everything back as well."""
    yield patient_server
    patient_server.must_be_idle()


@pytest.fixture
def daemon(server: FaultDaemon) -> Iterator[Daemon]:
    """The server, which must have given everything back when the test is over."""
    yield server
    server.must_be_idle()


@pytest.fixture
def client(daemon: Daemon) -> Iterator[WsClient]:
    with daemon.connect() as client:
        yield client


def progress(path: Path) -> int:
    try:
        return int(path.read_text() or 0)
    except FileNotFoundError:
        return 0


def flood(client: RawClient, path: Path, task_id: str, on_lag: str, lines: int = LINES) -> None:
    started = client.request(
        id="start",
        type="start",
        action="flood",
        task_id=task_id,
        on_lag=on_lag,
        params={"lines": str(lines), "progress": str(path)},
    )
    assert started["type"] == "started", started


def held_up(client: WsClient, path: Path) -> None:
    """Wait until a flood stands still: while others came and went, for longer than all of it would take."""
    before, since = 0, time.monotonic()
    while before < 50 or time.monotonic() - since < 0.5:
        client.run("echo")
        if (now := progress(path)) != before:
            before, since = now, time.monotonic()
        assert now < LINES, "nothing holds it up"


def test_a_blocking_client_that_never_reads_holds_up_its_own_task_and_no_other(
    patient: Daemon, tmp_path: Path
) -> None:
    path = tmp_path / "progress"
    with patient.connect() as client, deaf(patient) as stuck:
        flood(stuck, path, "stuck", "block")
        held_up(client, path)
        client.send("stop", task_id="stuck")


def test_a_blocking_client_that_never_reads_is_cut_off_after_the_stall_timeout(
    daemon: Daemon, client: WsClient, tmp_path: Path
) -> None:
    path = tmp_path / "progress"
    with deaf(daemon) as stuck:
        begun = time.monotonic()
        flood(stuck, path, "blocked", "block")
        # The child goes on to its end.
        wait_until(lambda: progress(path) == LINES)
        assert time.monotonic() - begun >= STALL * 0.9
        client.request("subscribe", task_id="blocked", since_seq=LINES - 1)
        client.expect("exited", task_id="blocked", exit_code=0)
        assert stuck.close_code() in (1013, None)


def test_a_dropping_client_that_never_reads_costs_its_task_nothing_and_is_told_exactly_what_it_missed(
    patient: Daemon, tmp_path: Path
) -> None:
    path = tmp_path / "progress"
    with deaf(patient) as slow:
        flood(slow, path, "dropped", "drop")
        wait_until(lambda: progress(path) == LINES, timeout=PATIENT / 3, what="the end of the output")
        # It reads again, before its time is over: nothing may be missing but what gaps say.
        seen: list[int] = []
        missed = 0
        while not seen or seen[-1] < LINES:
            message = slow.receive_json()
            if message["type"] == "output":
                assert message["seq"] == (seen[-1] if seen else 0) + 1
                assert message["data"].startswith(f"{message['seq']} ")
                seen.append(message["seq"])
            elif message["type"] == "gap":
                assert message["from_seq"] == seen[-1] + 1
                missed += message["to_seq"] - message["from_seq"] + 1
                seen.append(message["to_seq"])
        assert missed > 0


def test_a_dropping_client_that_resumes_is_not_told_again_of_what_it_missed_before(
    patient: Daemon, tmp_path: Path
) -> None:
    path = tmp_path / "progress"
    with deaf(patient) as slow, patient.connect() as other:
        flood(slow, path, "resumed", "drop")

        def all_published() -> bool:
            return bool(other.request("metrics", task_id="resumed")["task"]["output_lines"] == LINES)

        wait_until(all_published, timeout=PATIENT / 3, what="the end of the output")
        slow.send_json(id="again", type="subscribe", task_id="resumed", since_seq=1)
        slow.receive_until("subscribed")
        rest = slow.receive_until("exited")
        assert [line["seq"] for line in rest[:-1]] == list(range(rest[0]["seq"], LINES + 1))
        slow.send_json(id="last", type="pool_info")
        assert [message["type"] for message in slow.receive_until("pool_info")] == ["pool_info"]


def test_a_client_that_reads_a_byte_now_and_then_is_cut_as_well(daemon: Daemon, tmp_path: Path) -> None:
    path = tmp_path / "progress"
    with deaf(daemon) as slow:
        flood(slow, path, "trickled", "block")
        slow.sock.settimeout(5)
        deadline = time.monotonic() + 30
        while progress(path) < LINES:
            assert time.monotonic() < deadline
            slow.sock.recv(1)
            time.sleep(0.05)


def test_who_unsubscribes_holds_up_the_task_no_longer(patient: Daemon, tmp_path: Path) -> None:
    path = tmp_path / "progress"
    with patient.connect() as client, deaf(patient) as slow:
        flood(slow, path, "left", "block")
        held_up(client, path)
        slow.send_json(id="u", type="unsubscribe", task_id="left")
        wait_until(lambda: progress(path) == LINES, timeout=PATIENT / 3, what="the end of the output")


def test_a_frozen_client_process_is_cut_and_nobody_else_feels_it(
    daemon: Daemon, client: WsClient, tmp_path: Path
) -> None:
    path = tmp_path / "progress"
    viewer = subprocess.Popen(
        [sys.executable, "-m", "overseer.ctl", "run", "--url", daemon.url, "flood", f"progress={path}"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: progress(path) > 5)
        viewer.send_signal(signal.SIGSTOP)
        wait_until(lambda: progress(path) == LINES, timeout=STALL + 10)
        client.run("echo")
    finally:
        viewer.kill()
        viewer.wait()


@pytest.mark.parametrize("way", ["reset", "no word at all"])
def test_a_client_that_vanishes_leaves_nothing(daemon: Daemon, tmp_path: Path, way: str) -> None:
    path = tmp_path / "progress"
    client = RawClient(address_of(daemon))
    flood(client, path, f"vanished {way}", "block", lines=200)
    client.receive_until("output")
    if way == "reset":
        client.reset()
    else:
        try:  # a socket in repair mode is closed without a FIN
            client.sock.setsockopt(socket.IPPROTO_TCP, 19, 1)
        except PermissionError:
            client.drop()
            pytest.skip("TCP_REPAIR needs CAP_NET_ADMIN")
        client.drop()
    wait_until(lambda: progress(path) == 200)


def test_a_client_that_is_silent_and_answers_no_ping_is_closed(daemon: Daemon) -> None:
    with RawClient(address_of(daemon)) as silent:
        opcode, _ = silent.receive_frame(timeout=30)
        assert opcode == PING
        while opcode == PING:
            opcode, payload = silent.receive_frame(timeout=30)
        assert struct.unpack("!H", payload[:2])[0] == 1011


def test_time_in_which_the_server_did_not_run_counts_against_nobody(daemon: Daemon) -> None:
    with RawClient(address_of(daemon)) as idle, RawClient(address_of(daemon)) as asking:
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            asking.send_json(type="pool_info", id="asked meanwhile")
            time.sleep(3)  # longer than interval and timeout of the pings together
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
        assert asking.receive_until("pool_info")
        assert idle.receive_frame(timeout=30)[0] == PING, "and no close"
        idle.send_frame(PONG)
        assert idle.request(type="pool_info", id="still there")["type"] == "pool_info"


@pytest.mark.parametrize(
    "sent", [b"", b"GET /ws HT", upgrade_request()[:-2]], ids=["nothing", "a word", "a bit less"]
)
def test_half_a_handshake_ends_in_time(daemon: Daemon, sent: bytes) -> None:
    with RawSocket(address_of(daemon)) as half:
        half.send_raw(sent)
        begun = time.monotonic()
        assert half.at_end(timeout=allowed(8))
        assert time.monotonic() - begun > 0.4


BROKEN = {
    "not masked": frame(TEXT, b"{}", masked=False),
    "a reserved bit": frame(TEXT, b"{}", rsv=4),
    "an unknown opcode": frame(0x3, b"{}"),
    "an unknown control opcode": frame(0xB, b""),
    "a continuation of nothing": frame(CONTINUATION, b"{}"),
    "a message within a message": frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"),
    "a ping in pieces": frame(PING, b"a", fin=False),
    "a ping too long": frame(PING, b"x" * 126),
    "text that is no UTF-8": frame(TEXT, b"\xff\xfe"),
    "a message of 2 MiB": frame(TEXT, b"", announce=2 << 20),
    "a message of 2^63 bytes": frame(TEXT, b"", announce=(1 << 63) - 1, length_bytes=8),
    "a length with its highest bit set": frame(TEXT, b"", announce=(1 << 64) - 1, length_bytes=8),
    "fragments that add up to too much": frame(TEXT, b"x" * 700_000, fin=False)
    + frame(CONTINUATION, b"x" * 700_000),
    "a close code that does not exist": frame(0x8, struct.pack("!H", 999)),
    "plain nonsense": bytes(range(256)) * 8,
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_frames_close_that_client_and_stop_no_task_of_its(daemon: Daemon, name: str) -> None:
    with daemon.connect() as client:
        broken = RawClient(address_of(daemon))
        started = broken.request(id="s", type="start", action="sleep")
        broken.send_raw(BROKEN[name])
        assert broken.close_code() in (1002, 1003, 1007, 1009)
        broken.drop()
        task_id = started["task_id"]
        assert alive(started["pid"])
        client.request("subscribe", task_id=task_id)
        client.send("stop", task_id=task_id)
        client.expect("exited", task_id=task_id)


def test_fragments_with_control_frames_between_them_are_one_request(daemon: Daemon) -> None:
    with RawClient(address_of(daemon)) as client:
        text = b'{"type":"pool_info","id":"in pieces"}'
        client.send_frame(TEXT, text[:5], fin=False)
        client.send_frame(PING, b"one")
        assert client.receive_frame() == (PONG, b"one")
        for byte in text[5:-1]:
            client.send_frame(CONTINUATION, bytes([byte]), fin=False)
            client.send_frame(PONG, b"not asked for")
        client.send_frame(PING, b"two")
        assert client.receive_frame() == (PONG, b"two")
        client.send_frame(CONTINUATION, text[-1:])
        assert client.receive_json()["id"] == "in pieces"


def test_a_hundred_connections_at_once_are_bounded_and_forgotten(daemon: Daemon, client: WsClient) -> None:
    sockets = []
    for _ in range(200):
        sock = RawSocket(address_of(daemon))
        sock.send_raw(upgrade_request())
        sockets.append(sock)
    statuses = []
    for sock in sockets:
        try:
            statuses.append(sock.read_reply().status)
        except AssertionError:
            statuses.append(0)
    assert statuses.count(101) <= 40
    assert set(statuses) <= {101, 503, 0}
    for sock in sockets:
        sock.reset()
    client.run("echo")


def test_all_this_cost_the_server_little_memory(server: FaultDaemon) -> None:
    # Python gives memory back late; what would matter is a leak of the megabytes that went through.
    assert Held.by(server).memory < server.idle.memory + 60_000
