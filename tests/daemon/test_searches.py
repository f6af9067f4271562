"""A search that takes its time holds up nothing else."""

from __future__ import annotations

from tests.harness import Daemon, shell

# Lines at which an expression with nested repetition takes for ever.
ACTIONS = {"write": shell("echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab")}
FOR_EVER = {"query": "^(a+)+$", "regex": True}


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
