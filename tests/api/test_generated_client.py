"""A client that openapi-python-client generates from the server's own document drives the server."""

from __future__ import annotations

import importlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.api.conftest import Http
from tests.auth.support import TOKENS, token_of
from tests.harness import Daemon

TOP_LEVEL = {"auth": {"tokens": TOKENS}}
NAME = "generated_overseer_client"


@pytest.fixture(scope="module")
def generated(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The package, made anew."""
    if importlib.util.find_spec("openapi_python_client") is None:
        pytest.skip("openapi-python-client is not installed")
    directory = tmp_path_factory.mktemp("generated")
    token = {"Authorization": f"Bearer {token_of('viewer-all')}"}
    (directory / "openapi.json").write_bytes(Http(daemon.address)("GET", "/openapi.json", **token).body)
    (directory / "config.yaml").write_text(json.dumps({"post_hooks": []}))  # which would only tidy it up
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"]
    files = ["--path", "openapi.json", "--config", "config.yaml", "--output-path", NAME]
    made = subprocess.run(
        [*command, *files, "--fail-on-warning"],
        cwd=directory, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    sys.path.insert(0, str(directory))
    try:
        yield importlib.import_module(NAME)
    finally:
        sys.path.remove(str(directory))
        for name in [each for each in sys.modules if each.partition(".")[0] == NAME]:
            del sys.modules[name]


class Client:
    """``client("tasks.get_task", "ID", wait=5)``: one operation, as the generated client does it."""

    def __init__(self, daemon: Daemon, generated: ModuleType, role: str) -> None:
        self._base = f"http://{daemon.address}/api/v1"
        self._token = token_of(f"{role}-all")
        self._generated = generated

    def __call__(self, operation: str, *path: str, **given: Any) -> Any:
        module = importlib.import_module(f"{NAME}.api.{operation}")
        with self._generated.AuthenticatedClient(base_url=self._base, token=self._token) as client:
            return module.sync(*path, client=client, **given)

    def model(self, name: str, document: dict[str, Any]) -> Any:
        return getattr(importlib.import_module(f"{NAME}.models"), name).from_dict(document)


@pytest.fixture
def client(daemon: Daemon, generated: ModuleType) -> Client:
    return Client(daemon, generated, "admin")


def test_it_lists_actions_and_waits_for_the_end_of_a_start(client: Client) -> None:
    actions = {action.name: action for action in client("actions.list_actions").actions}
    assert actions["hello"].params["who"].default == "you"
    assert client("actions.get_action", "hello").type_ == "exec"
    body = client.model("StartActionBody", {"task_id": "one", "params": {"who": "ann"}})
    end = client("actions.start_action", "hello", body=body, wait=30.0)
    assert (end.task_id, end.status, end.exit_code) == ("one", "failed", 3)
    said = [line.data for line in end.output]
    assert [line for line in said if line != "oops"] == ["1 ann", "2 ann", "3 ann"]


def test_it_reads_a_task_and_its_output_and_ends_it(client: Client) -> None:
    body = client.model("StartActionBody", {"task_id": "two"})
    first = client("actions.start_action", "sleep", body=body, idempotency_key="two")
    again = client("actions.start_action", "sleep", body=body, idempotency_key="two")
    assert first.created_at == again.created_at
    task = client("tasks.get_task", "two")
    assert (task.action, task.status) == ("sleep", "running")
    assert "two" in [each.task_id for each in client("tasks.list_tasks").tasks]
    assert client("tasks.signal_task", "two", body=client.model("SignalTaskBody", {"signal": "CONT"})).signal
    assert client("server.get_usage", task_id="two").tasks[0].processes == 1
    assert client("tasks.restart_task", "two").pid > 0
    end = client("tasks.delete_task", "two", wait=30.0)
    assert end.reason == "stopped"
    assert client("tasks.get_task_output", "two", tail=1) == "ready\n"
    newest, older = client("runs.list_runs", task_id="two").runs
    assert client("runs.get_run_output", older.run_id) == "ready\n"
    assert client("runs.get_run", newest.run_id).reason == "stopped"


def test_it_gets_and_sets_a_pool_and_reads_the_rest(client: Client) -> None:
    limits = client.model("SetPoolBody", {"limit": 3, "excess": {"action": "stop", "order": "first"}})
    assert client("pools.set_pool", "one", body=limits).limit == 3
    assert client("pools.get_pool", "one").limit == 3
    assert client("pools.get_global_pool").limit == 0
    assert client("server.get_metrics").global_.tasks_started > 0
    assert client("server.get_graph").nodes == []
    assert client("server.list_schedules").schedules == []
    assert client("server.reload_config", body=client.model("ReloadConfigBody", {"dry_run": True})).dry_run
    matches = client("server.search_logs", query="ann").matches
    assert {match.task_id for match in matches} <= {"one"}


def test_a_refusal_is_a_problem(client: Client, daemon: Daemon, generated: ModuleType) -> None:
    problem = client("tasks.get_task", "nobody")
    assert (problem.status, problem.code, problem.title) == (404, "not_found", "Not Found")
    body = client.model("StartActionBody", {"params": {"who": "ANN"}})
    problem = client("actions.start_action", "hello", body=body)
    assert (problem.status, problem.code, problem.param) == (422, "invalid", "who")
    refused = Client(daemon, generated, "viewer")("actions.start_action", "hello")
    assert (refused.status, refused.code) == (403, "not_permitted")
