"""A search that takes its time holds up nothing else."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests import faults
from tests.faults.support import wait_until
from tests.harness import Daemon, shell

# Lines at which an expression with nested repetition takes for ever.
ACTIONS = {"write": shell("echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab")}
FOR_EVER: dict[str, Any] = {"query": "^(a+)+$", "regex": True}
LONG_SEARCHES = Path(faults.__file__).parent / "long_searches.py"


def searches(daemon: Daemon) -> list[str]:
    """The ids of the processes that search."""
    found = []
    for children in Path(f"/proc/{daemon.pid}/task").glob("*/children"):
        with suppress(OSError):  # it has ended meanwhile
            for pid in children.read_text().split():
                if b"search.main()" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
    return found


def test_other_requests_of_the_same_client_are_answered_meanwhile() -> None:
    with Daemon(actions=ACTIONS, data_dir="data") as daemon, daemon.connect() as client:
        client.run("write", task_id="t")
        for number in (1, 2):
            client.send("search", id=f"search {number}", **FOR_EVER)
        assert client.request("list")["tasks"][0]["task_id"] == "t"
        # Those that go on are not answered yet, and a third one is refused rather than waited for.
        third = client.send("search", **FOR_EVER)
        assert "try again" in client.expect("error", id=third)["message"]
        assert not client.pending("error") + client.pending("matches")
        # The server ends all the same, as the harness checks.


@pytest.mark.parametrize("way", ["websocket", "http"])
def test_a_search_ends_once_the_client_is_gone(way: str) -> None:
    """Else it would keep others from searching."""
    with (
        Daemon(actions=ACTIONS, data_dir="data", program=LONG_SEARCHES) as daemon,
        daemon.connect() as client,
    ):
        client.run("write", task_id="t")
        with ExitStack() as gone:
            for _ in range(2):
                if way == "websocket":
                    gone.enter_context(daemon.connect()).send("search", **FOR_EVER)
                else:
                    connection = HTTPConnection(daemon.address)
                    gone.callback(connection.close)
                    connection.request("GET", f"/api/v1/search?regex=true&query={quote(FOR_EVER['query'])}")
            wait_until(lambda: len(searches(daemon)) == 2)
            assert client.request("search", query="b")["code"] == "full"
        wait_until(lambda: not searches(daemon))
        assert client.request("search", query="b")["type"] == "matches"


def test_what_is_wrong_with_a_search_is_told_from_what_passes() -> None:
    with Daemon(actions=ACTIONS, data_dir="data") as daemon, daemon.connect() as client:
        for wrong in ({"query": "(", "regex": True}, {"query": "a\nb"}, {"query": "a", "after": "nonsense"}):
            assert client.request("search", **wrong)["code"] == "invalid"
