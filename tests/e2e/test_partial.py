"""Lines in the making: who is shown a line that has no end yet, and when."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from overseer.util.timestamps import parse_timestamp
from tests.harness import Daemon, WsClient, allowed, run_program, shell
from tests.net.rawclient import RawClient

# Writes what comes through its pipes as it is, so that a test decides how each byte is written.
_FED = "cat <[[.err]] >&2 & cat <[[.out]]; wait"
_FIFOS = {"out": None, "err": None}
_BAR = """
import sys
for number in range(40000):
    sys.stdout.write(f"\\r{number:6} of it")
sys.stdout.write("\\nplain\\r\\nCRLF too\\r\\n" + "x" * 70000 + "\\r\\n")
"""


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    python = {"type": "exec", "config": {"entrypoint": sys.executable}}
    actions = {
        "fed": shell(_FED, config={"parameters": _FIFOS}),
        "filtered": shell(
            _FED,
            config={"parameters": _FIFOS, "output": {"stdout": {"condition": 'output.data.contains("ok")'}}},
        ),
        "flood": shell(
            "i=0; while [ $i -lt 100 ]; do i=$((i+1)); printf '%020000d\\n' $i; done; printf end?; sleep 1000"
        ),
        "again": shell(
            "printf 'once more? '; cat <[[.fifo]]; exit 1",
            config={"parameters": {"fifo": None}},
            retry={"restart_delay": "1ms", "error_threshold": 2, "error_window": "1m"},
        ),
        "spin": shell(
            "i=0; while [ $i -lt 200 ]; do i=$((i+1)); printf '\\r%d%%' $i; sleep 0.005; done; sleep 1000"
        ),
        "bar": {**python, "config": {**python["config"], "command": ["-c", _BAR]}},
        "order": shell(
            "for n in 1 3 5 7; do echo $n; echo $((n+1)) >&2; done", config={"output": {"merge": True}}
        ),
        "binary": shell("exec tr '\\0' '\\377' </dev/zero"),
    }
    with Daemon(actions=actions) as daemon:
        yield daemon


class Fed:
    """A task that writes what it is told to; whoever starts it asked for lines in the making."""

    def __init__(self, client: WsClient, directory: Path, task_id: str, action: str = "fed") -> None:
        self._client, self.task_id = client, task_id
        paths = {name: directory / name for name in _FIFOS}
        for path in paths.values():
            os.mkfifo(path)
        params = {name: str(path) for name, path in paths.items()}
        started = client.request("start", action=action, task_id=task_id, params=params, partial=True)
        assert started["type"] == "started", started
        self._pipes = {f"std{name}": path.open("wb", buffering=0) for name, path in paths.items()}

    def write(self, text: str | bytes, stream: str = "stdout") -> None:
        self._pipes[stream].write(text.encode() if isinstance(text, str) else text)

    def shown(self, text: str, stream: str = "stdout") -> dict[str, Any]:
        return self._client.expect("partial", task_id=self.task_id, stream=stream, data=text)

    def end(self) -> None:
        for pipe in self._pipes.values():
            pipe.close()


@pytest.fixture
def fed(client: WsClient, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Fed]:
    task = Fed(client, tmp_path, request.node.name[:60])
    yield task
    task.end()


def test_a_prompt_is_shown_at_once_and_to_those_who_asked_alone(
    daemon: Daemon, client: WsClient, fed: Fed
) -> None:
    with daemon.connect() as plain, daemon.connect() as late:
        plain.request("subscribe", task_id=fed.task_id)
        begun = time.monotonic()
        fed.write("Continue? [y/N] ")
        partial = fed.shown("Continue? [y/N] ")
        assert time.monotonic() - begun < allowed(0.5)
        assert partial == {
            "type": "partial",
            "task_id": fed.task_id,
            "pid": client.request("list")["tasks"][0]["current_pid"],
            "stream": "stdout",
            "data": "Continue? [y/N] ",
            "ts": partial["ts"],
        }
        asked = late.send("subscribe", task_id=fed.task_id, partial=True)
        late.expect("partial", data="Continue? [y/N] ")
        assert [(m["type"], m.get("id")) for m in late.messages] == [("subscribed", asked), ("partial", None)]
        fed.write("yes\n")
        output = client.expect("output")
        assert (output["data"], output["seq"]) == ("Continue? [y/N] yes", 1)
        fed.write("last words")
        fed.shown("last words")
        fed.end()
        for each in (client, plain, late):
            each.expect("exited")
            each.settle()
        assert [m["type"] for m in client.messages[-3:-1]] == ["output", "exited"]
        assert [m["data"] for m in plain.messages if m["type"] == "output"][-1] == "last words"
        assert [m["type"] for m in plain.messages if m["type"] == "partial"] == []
        with daemon.connect() as after:
            after.request("subscribe", task_id=fed.task_id, since_seq=0, partial=True)
            assert [m["type"] for m in after.settle()] == ["output", "output", "exited"]


def test_a_wish_can_be_changed(client: WsClient, fed: Fed) -> None:
    fed.write("a")
    fed.shown("a")
    client.request("subscribe", task_id=fed.task_id)  # says nothing of it
    fed.write("b")
    fed.shown("ab")
    client.request("subscribe", task_id=fed.task_id, partial=False)
    fed.write("c\n")
    client.expect("output", data="abc")
    fed.write("d")
    client.request("subscribe", task_id=fed.task_id, partial=True)
    fed.shown("d")
    told = [m["data"] for m in client.messages if m["type"] == "partial"]
    assert told == ["a", "a", "ab", "d"]  # each subscribe is told how it stands


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("10%\r55%", "55%"),
        ("long text\rX", "Xong text"),
        ("abc\b\b\x1b[KX", "aX"),
        ("\x1b[32mgreen\x1b[0m ", "\x1b[32mgreen\x1b[0m "),
        ("構築\r作", "作築"),
        (b"caf\xc3", "caf"),  # half a character is not shown
        (b"bad\xff!", "bad\ufffd!"),
    ],
)
def test_it_is_shown_as_a_terminal_would(fed: Fed, written: str | bytes, shown: str) -> None:
    fed.write(written)
    fed.shown(shown)


def test_nothing_is_said_when_nothing_changed(client: WsClient, fed: Fed) -> None:
    fed.write("50%")
    fed.shown("50%")
    for number in range(3):
        fed.write("\r50%")
        fed.write(f"\r{number}", "stderr")
        fed.shown(str(number), "stderr")
    fed.write("\r\x1b[K")
    fed.shown("")  # it was erased
    stdout = [m["data"] for m in client.messages if m.get("stream") == "stdout"]
    assert stdout == ["50%", ""]


def test_at_most_ten_a_second_and_always_the_last(client: WsClient) -> None:
    client.request("start", action="spin", task_id="spin", partial=True)
    client.expect("partial", data="200%")
    told = [m for m in client.messages if m["type"] == "partial"]
    times = [parse_timestamp(m["ts"]) for m in told]
    # One that was late may be followed by one that was not, but never by two.
    assert all(c - a > timedelta(seconds=0.19) for a, c in zip(times, times[2:], strict=False))
    assert len(told) > 5
    client.send("stop", task_id="spin")
    client.expect("exited")


def test_of_a_filtered_stream_nothing_leaks(client: WsClient, tmp_path: Path) -> None:
    task = Fed(client, tmp_path, "filtered", "filtered")
    task.write("secret")
    task.write("warning", "stderr")
    task.shown("warning", "stderr")
    task.write("\nok\nsecret too")
    client.expect("output", data="ok")
    task.write("!", "stderr")
    task.shown("warning!", "stderr")
    task.end()
    client.expect("exited")
    assert "secret" not in str(client.messages)


def test_each_run_has_its_own(client: WsClient, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    params = {"fifo": str(tmp_path / "fifo")}
    client.request("start", action="again", task_id="again", params=params, partial=True)
    for _ in range(2):
        client.expect("partial", data="once more? ")
        (tmp_path / "fifo").open("w").close()
    client.expect("errored")
    told = [(m["type"], m["pid"]) for m in client.messages if m["type"] in ("started", "partial", "exited")]
    pids = list(dict.fromkeys(pid for _, pid in told))
    assert told == [(kind, pid) for pid in pids for kind in ("started", "partial", "exited")]
    assert len(pids) == 2


def test_a_prompt_is_shown_behind_a_long_replay(daemon: Daemon, client: WsClient) -> None:
    client.request("start", action="flood", task_id="flood", partial=True)
    client.expect("partial", data="end?")
    address = daemon.address.rpartition(":")
    with RawClient((address[0], int(address[2])), receive_buffer=4096) as slow:
        slow.send_json(type="subscribe", id="s", task_id="flood", since_seq=0, partial=True)
        client.settle()  # by now nothing is read, and much is pending
        got = [slow.receive_json(timeout=30)["type"] for _ in range(102)]
        assert got == ["subscribed", *["output"] * 100, "partial"]
    client.send("stop", task_id="flood")
    client.expect("exited")


def test_who_does_not_read_is_told_the_latest_alone(daemon: Daemon, client: WsClient, tmp_path: Path) -> None:
    task = Fed(client, tmp_path, "lagging")
    address = daemon.address.rpartition(":")
    with RawClient((address[0], int(address[2])), receive_buffer=4096) as slow:
        slow.send_json(type="subscribe", id="s", task_id="lagging", partial=True)
        assert slow.receive_json()["type"] == "subscribed"
        task.write("".join(f"{'x' * 500}\n" for _ in range(16_000)))
        client.expect("output", seq=16_000)
        for number in range(5):
            task.write(f"\r{number}")
            task.shown(str(number))
        seen = slow.receive_until(lambda m: m["type"] == "partial" and m["data"].isdigit(), timeout=30)
        assert seen[-1]["data"] == "4"
    task.end()


def test_of_a_line_that_redraws_itself_the_end_is_kept(client: WsClient) -> None:
    _, outputs, _ = client.run("bar")
    bar, plain, crlf, long = outputs
    assert bar["overwritten"] is True
    assert bar["data"].endswith("\r 39999 of it")
    assert 65_000 < len(bar["data"]) <= 65_536
    assert [m["data"] for m in (plain, crlf)] == ["plain", "CRLF too"]
    assert long["data"] == "x" * 70_000
    assert not any("overwritten" in m for m in (plain, crlf, long))


def test_merged_streams_keep_their_order(client: WsClient) -> None:
    for _ in range(200):
        client.send("start", action="order")
    orders: dict[str, list[str]] = {}
    for _ in range(200):
        client.expect("exited")
    for message in client.messages:
        if message["type"] == "output":
            assert message["stream"] == "stdout"
            orders.setdefault(message["task_id"], []).append(message["data"])
    assert Counter("".join(order) for order in orders.values()) == {"12345678": 200}


@pytest.mark.parametrize("value", ["true", "maybe"])
def test_what_merge_cannot_be(value: str, tmp_path: Path) -> None:
    output = {"merge": value, "stderr": {"condition": 'output.data != ""'}}
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({"actions": {"a": shell("true", config={"output": output})}}))
    checked = run_program("--check", "--config", str(config), cwd=tmp_path)
    assert checked.returncode == 1
    wanted = "has no effect with merge" if value == "true" else "expected true or false"
    assert wanted in checked.stdout + checked.stderr


def test_bytes_that_are_no_text_hold_up_no_end(client: WsClient) -> None:
    tasks = [client.request("start", action="binary")["task_id"] for _ in range(8)]
    client.expect("output", timeout=30)
    begun = time.monotonic()
    for task_id in tasks:
        client.send("stop", task_id=task_id)
    for task_id in tasks:
        client.expect("exited", timeout=30, task_id=task_id)
    assert time.monotonic() - begun < allowed(5)
