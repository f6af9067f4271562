"""What clients that do not read cost the server in memory, whatever they ask for."""

from __future__ import annotations

import json
import select
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.faults.support import FaultDaemon, Held, address_of, deaf
from tests.harness import Daemon, shell
from tests.net.rawclient import RawClient

_VIEWERS = 8
# A hundred lines of control characters: 10 MB of text, 60 MB of JSON.
_LINES, _LENGTH = 100, 100_000
_TASKS, _PARAM = 40, 100_000


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    actions = {
        "say": shell(
            f"for i in $(seq {_LINES}); do head -c {_LENGTH} /dev/zero | tr '\\0' '\\1'; echo; done"
        ),
        "wait": {
            **shell("exec sleep 60"),
            "task_pool": {"limit": 1, "queue": {"enabled": True, "size": 1000}},
        },
    }
    with FaultDaemon(actions=actions, limits={"max_params_size": "1MiB"}) as daemon:
        with daemon.connect() as client:
            client.run("say", task_id="said")
            for number in range(_TASKS):
                params = {f"p{each}": "x" * _PARAM for each in range(8)}
                started = client.request("start", action="wait", task_id=f"waits-{number:03}", params=params)
                assert started["type"] in ("started", "queued"), started
        yield daemon


def _unread(daemon: Daemon, **request: object) -> int:
    """How much memory (kB) viewers take that ask for this and read nothing of it."""
    with ExitStack() as stack:
        clients = [stack.enter_context(deaf(daemon)) for _ in range(_VIEWERS)]
        before = Held.by(daemon).memory
        for client in clients:
            client.send_json(id="r", **request)
        for client in clients:
            assert select.select([client.sock], [], [], 30)[0], "no reply has begun"
        return Held.by(daemon).memory - before


def test_replays_that_nobody_reads_cost_next_to_nothing(daemon: Daemon) -> None:
    assert _unread(daemon, type="replay", task_id="said") < 60_000, "kB: sixty MB of JSON for each of them"


def test_a_replay_that_is_read_late_is_whole(daemon: Daemon) -> None:
    with RawClient(address_of(daemon), timeout=30) as client:
        client.send_json(type="replay", id="r", task_id="said", since_seq=_LINES - 3)
        lines = [message for message in client.receive_until("exited") if message["type"] == "output"]
        assert [line["seq"] for line in lines] == list(range(_LINES - 2, _LINES + 1))
        assert all(line["data"] == "\1" * _LENGTH for line in lines)


def test_lists_that_nobody_reads_cost_next_to_nothing(daemon: Daemon) -> None:
    assert _unread(daemon, type="list") < 60_000, "kB: thirty MB for each of them"


def test_a_long_list_is_one_message_and_pages_are_short(daemon: Daemon) -> None:
    with RawClient(address_of(daemon), timeout=30) as client:
        whole = client.request(type="list", id="all")
        assert "next" not in whole
        pages, after = [], ""
        while True:
            client.send_json(type="list", id="page", limit=100, **({"after": after} if after else {}))
            text = client.receive()
            assert len(text) < 2**20, "longer than what many a library takes"
            page = json.loads(text)
            pages.append(page["tasks"])
            if "next" not in page:
                break
            after = page["next"]
            assert after == page["tasks"][-1]["task_id"]
        listed = [task for page in pages for task in page]
        assert listed == sorted(whole["tasks"], key=lambda task: str(task["task_id"]))
        assert len(listed) == _TASKS + 1
