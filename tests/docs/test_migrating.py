"""Each claim of docs/MIGRATING.md is held to by a test; here are those that no other test is about."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from overseer.config import load_config
from overseer.net.limits import ConnectionLimits
from tests.docs.migrating import PROOFS
from tests.harness import ROOT, Daemon, WsClient, shell

_TERMINAL = (
    "exec 2>/dev/null; read -r _ _ _ _ group session _ < /proc/$$/stat; "
    'echo "$(($$ == group)) $(($$ == session))"; exec < /dev/tty && echo terminal; exit 0'
)
ACTIONS = {
    "terminal": shell(_TERMINAL),
    "twice": shell(
        "echo run; if [ -e again ]; then exec sleep 60; fi; : > again; exit 1",
        retry={"restart_delay": "1ms"},
    ),
    "one": shell("exec sleep 60", task_pool={"limit": 1, "queue": {"enabled": True, "size": 9}}),
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory):
    database = tmp_path_factory.mktemp("database") / "overseer.db"
    with Daemon(actions=ACTIONS, db=str(database)) as daemon:
        yield daemon


def _claims() -> list[str]:
    """The first cells of the rows, the items of lists, and the sections."""
    text = (ROOT / "docs/MIGRATING.md").read_text("utf-8")
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    rows = re.findall(r"^\| ([^|]+?) \|", text, re.MULTILINE)
    return [*(row for row in rows if row != "original"), *re.findall(r"^- (.*)$", text, re.MULTILINE)]


def test_each_claim_is_held_to() -> None:
    sections = set(re.findall(r"^## (.*)$", (ROOT / "docs/MIGRATING.md").read_text("utf-8"), re.MULTILINE))
    claims = set(_claims())
    assert claims - set(PROOFS) == set(), "name the tests that prove these, in tests/docs/migrating.py"
    assert set(PROOFS) - claims <= sections, "these are no longer said"


def test_these_tests_exist() -> None:
    for test in {test for tests in PROOFS.values() for test in tests}:
        path, *names = re.sub(r"\[.*\]$", "", test).split("::")
        assert (ROOT / path).exists(), test
        body: list[ast.stmt] = ast.parse((ROOT / path).read_text("utf-8")).body if names else []
        for name in names:
            found = [each for each in body if getattr(each, "name", "") == name]
            assert found, test
            body = getattr(found[0], "body", [])


def test_clients_are_pinged_every_20_s_and_given_a_minute_more(tmp_path: Path) -> None:
    assert load_config(tmp_path / "none.yaml", {}).clients.keepalive == 20.0
    assert ConnectionLimits().ping_timeout == 60.0


def test_limit_wins_over_size_and_what_is_absent_stays(client: WsClient) -> None:
    def limit(**changes: object) -> int:
        return client.request("set_pool", action="one", **changes)["pool"]["limit"]

    assert limit(limit=3, size=5) == 3
    assert limit(size=4) == 4
    assert limit(queue_size=7) == 4
    assert limit(limit=1) == 1


def test_stored_events_survive_restarts(daemon: Daemon, client: WsClient) -> None:
    client.send("start", action="twice", task_id="twice")
    client.expect("output", task_id="twice", seq=2)
    with daemon.connect() as other:
        other.send("replay", task_id="twice", since="2000-01-01T00:00:00Z")
        told = other.settle()
    assert [message["type"] for message in told] == ["output", "exited", "output"]
    client.send("stop", task_id="twice")
    client.expect("exited", task_id="twice", reason="stopped")


def test_an_id_has_at_most_256_printable_characters(client: WsClient) -> None:
    for wrong in ("x" * 257, "a\nb", "a\x1bb"):
        assert client.request("start", action="terminal", task_id=wrong)["type"] == "error"
    client.run("terminal", task_id="ä" * 256)


def test_positions_count_from_1_in_queued_and_from_0_in_pool_info(client: WsClient) -> None:
    client.request("start", action="one", task_id="first")
    queued = [client.request("start", action="one", task_id=f"next {n}")["position"] for n in range(2)]
    assert queued == [1, 2]
    items = client.request("pool_info", action="one")["pool"]["queue_items"]
    assert [(item["task_id"], item["position"]) for item in items] == [("next 0", 0), ("next 1", 1)]
    client.request("purge", action="one")
    client.send("stop", task_id="first")
    client.expect("exited", task_id="first")


def test_a_run_has_its_own_session_and_no_terminal(client: WsClient) -> None:
    assert [line["data"] for line in client.run("terminal")[1]] == ["1 1"]


def test_a_database_is_accepted_and_not_opened(daemon: Daemon) -> None:
    database = Path(json.loads((daemon.directory / "config.yaml").read_text())["db"])
    assert "db" not in daemon.stderr
    assert list(database.parent.iterdir()) == []
