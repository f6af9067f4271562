"""Silent clients, which have no threads: they go over, and are served as before."""

from __future__ import annotations

import contextlib
from pathlib import Path

from tests.faults.support import address_of, wait_until
from tests.harness import Daemon, shell
from tests.net.rawclient import RawClient
from tests.upgrade.support import upgrade

_MANY = 300
_THREADS = 30  # more than the server has by itself
_WAIT = 60.0


def test_hundreds_hold_no_threads_before_an_upgrade_and_after_it() -> None:
    cat = shell("cat", config={"stdin": "pipe"})
    with Daemon(actions={"cat": cat}) as daemon, daemon.connect() as client, contextlib.ExitStack() as stack:

        def threads() -> int:
            return len(list(Path(f"/proc/{daemon.pid}/task").iterdir()))

        def all_hear(text: str) -> None:
            client.request("input", task_id="cat", data=f"{text}\n")
            for each in silent:
                while (message := each.receive_json(timeout=_WAIT))["type"] != "output":
                    pass
                assert message["data"] == text

        client.request("start", action="cat", task_id="cat")
        silent = [
            stack.enter_context(RawClient(address_of(daemon), timeout=_WAIT)) for _ in range(_MANY)
        ]
        for each in silent:
            each.request(type="subscribe", id="1", task_id="cat")
        wait_until(lambda: threads() <= _THREADS, what="the end of their threads")
        all_hear("before")
        upgrade(client)
        assert threads() <= _THREADS
        all_hear("after")
        assert threads() <= _THREADS
        for each in silent:  # all at once
            each.send_json(type="pool_info", id="2")
        for each in silent:
            assert each.receive_json(timeout=_WAIT)["id"] == "2"
        upgrade(client)
        gone, rest = silent[: _MANY // 2], silent[_MANY // 2 :]
        for each in gone:
            each.drop()
        for each in rest:
            assert each.close() == 1000
        wait_until(lambda: threads() <= _THREADS, what="their end")
        fds = Path(f"/proc/{daemon.pid}/fd")
        wait_until(lambda: len(list(fds.iterdir())) < _MANY // 2, what="the end of their sockets")
