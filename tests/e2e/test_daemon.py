"""The daemon as a program: flags, bad configurations, its ends, its other transports, its event log."""

from __future__ import annotations

import json
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.harness import Daemon, run_program, shell


def test_flags_with_one_dash_or_two(tmp_path: Path) -> None:
    for version in ("-version", "--version"):
        assert run_program(version, cwd=tmp_path).stdout.startswith("sticky-overseer ")
    assert run_program("-list-handlers", cwd=tmp_path).stdout == "dask\nexec\n"
    assert "-config" in run_program("--help", cwd=tmp_path).stdout
    (tmp_path / "ok.yaml").write_text("listen: stdio\n")
    for config, check in (("-config", "--check"), ("--config", "-check")):
        checked = run_program(config, "ok.yaml", check, cwd=tmp_path)
        assert (checked.returncode, checked.stderr) == (0, "")
    assert run_program("-nonsense", cwd=tmp_path).returncode == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("actions: [", "config.yaml:1"),
        ("actions:\n  a:\n    type: nope\n", "config.yaml:3: actions.a.type: "),
        ("task_pool: {limit: -1}\n", "config.yaml:1: task_pool.limit: "),
        ("retry: {restart_delay: soon}\n", "config.yaml:1: retry.restart_delay: "),
        (
            "actions:\n  a:\n    type: exec\n    config:\n      entrypoint: x\n      command:\n"
            "        - '[[ .x'\n",
            "config.yaml:7: actions.a.config.command.0: ",
        ),
        (
            "actions:\n  a:\n    type: exec\n    config:\n      entrypoint: x\n      parameters:\n"
            "        p:\n          validate: nope == 1\n",
            "config.yaml:8: actions.a.config.parameters.p.validate: ",
        ),
    ],
)
def test_a_broken_config_is_a_plain_line_with_its_place_and_exit_status_1(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "config.yaml").write_text(text)
    ended = run_program(cwd=tmp_path)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.splitlines()) <= 3


def test_check_says_the_same_and_exits(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("task_pool: {limit: -1}\n")
    ended, checked = run_program(cwd=tmp_path), run_program("--check", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (checked.returncode, checked.stderr)
    assert "task_pool.limit" in checked.stderr


def test_an_unknown_key_fails_the_check_and_is_warned_of_by_a_lenient_one(tmp_path: Path) -> None:
    action = shell("true", config={"parametres": {}})
    (tmp_path / "config.yaml").write_text(json.dumps({"lisen": ":1", "actions": {"a": action}}))
    for arguments, status, level in ((["--check"], 1, ""), (["--check", "--lenient"], 0, "warning: ")):
        ended = run_program(*arguments, cwd=tmp_path)
        assert ended.returncode == status
        listen, parameters = ended.stderr.removeprefix("sticky-overseer: ").splitlines()[:2]
        place = f"{level}./config.yaml:1: "
        assert {listen, parameters} == {
            f"{place}lisen: unknown key; did you mean listen?",
            f"{place}actions.a.config.parametres: unknown key; did you mean parameters?",
        }


def test_a_default_that_can_never_be_accepted_is_said(tmp_path: Path) -> None:
    refused = {"default": "x", "validate": "int(value) > 0"}
    parameters = {"n": refused, "m": {**refused, "default": "1"}}
    action = shell("true", config={"parameters": parameters})
    (tmp_path / "config.yaml").write_text(json.dumps({"listen": "stdio", "actions": {"a": action}}))
    ended = run_program("--check", cwd=tmp_path)
    assert ended.returncode == 0
    (said,) = ended.stderr.splitlines()
    assert "actions.a.config.parameters.n.default: does not meet the parameter's own validate" in said


def test_a_template_s_name_that_is_no_parameter_is_warned_of(tmp_path: Path) -> None:
    action = shell("echo [[.megabyte]] [[.megabytes]]", config={"parameters": {"megabytes": "1"}})
    (tmp_path / "config.yaml").write_text(json.dumps({"listen": "stdio", "actions": {"a": action}}))
    ended = run_program("--check", cwd=tmp_path)
    assert ended.returncode == 0
    assert "uses 'megabyte'" in ended.stderr
    assert "did you mean 'megabytes'?" in ended.stderr


def test_the_environment_beats_the_file_and_the_flag(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("listen: 127.0.0.1:0\n")
    with Daemon(
        "listen: stdio\n",
        environment={
            "OVERSEER_CONFIG": str(tmp_path / "other.yaml"),
            "OVERSEER_TRUSTED_CIDRS": "10.9.9.0/24",
        },
    ) as daemon:
        host, _, port = daemon.address.partition(":")
        with socket.create_connection((host, int(port))) as sock:
            sock.sendall(
                b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            )
            assert sock.recv(100).startswith(b"HTTP/1.1 403")


def test_a_missing_config_means_defaults_with_a_warning(tmp_path: Path) -> None:
    ended = run_program("--check", cwd=tmp_path)
    assert ended.returncode == 0
    assert "config.yaml" in ended.stderr


def _get(daemon: Daemon, path: str, method: str = "GET") -> tuple[int, bytes]:
    request = urllib.request.Request(f"http://{daemon.address}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.mark.parametrize("named", [{"OVERSEER_CONFIG": "nowhere.yaml"}, {}], ids=["environment", "flag"])
def test_a_check_of_a_file_that_is_named_and_missing_fails(tmp_path: Path, named: dict[str, str]) -> None:
    arguments = [] if named else ["--config", "nowhere.yaml"]
    ended = run_program("--check", *arguments, cwd=tmp_path, **named)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "sticky-overseer: nowhere.yaml: no such file\n"


@pytest.mark.parametrize(
    ("listen", "rest"),
    [(":0", " (every interface)"), ("0.0.0.0:0", " (every interface)"), ("127.0.0.1:0", "")],
)
def test_it_says_when_it_listens_on_every_interface(listen: str, rest: str) -> None:
    with Daemon(listen=listen, actions={}) as daemon:
        said = daemon.wait_stderr("listening on ")
        assert said.endswith(f"listening on {daemon.address}{rest}")
        summary = daemon.wait_stderr("the page: ")
        assert summary.endswith(f"0 actions from config.yaml; the page: http://{daemon.address}/")


def test_http_paths() -> None:
    with Daemon(name="mine", actions={"one": shell("echo hi")}) as daemon, daemon.connect() as client:
        assert _get(daemon, "/ws")[0] == 400
        assert _get(daemon, "/ws", "HEAD")[0] == 200
        assert _get(daemon, "/healthz") == (200, b"ok\n")
        assert _get(daemon, "/nope")[0] == 404
        status, body = _get(daemon, "/openapi.json")
        assert (status, json.loads(body)["info"]["title"]) == (200, "mine")
        assert "start-one" in [
            command["operationId"] for command in json.loads(body)["paths"]["/ws"]["ws"]["commands"]
        ]
        manifest = client.request("manifest")
        assert json.loads(_get(daemon, "/ws/manifest")[1]) == manifest["manifest"]
        status, body = _get(daemon, "/")
        assert status == 200
        assert b"<html" in body


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything_in_order_and_exit_status_is_0(number: signal.Signals) -> None:
    actions = {
        "sleep": shell("echo ready; exec sleep 60"),
        "queued": {**shell("true"), "task_pool": {"limit": 1, "queue": {"enabled": True}}},
        "fails": shell("exit 1"),
    }
    with Daemon(actions=actions, task_pool={"limit": 2, "queue": {"enabled": True}}) as daemon:
        with daemon.connect() as client:
            client.request("start", action="sleep", task_id="running")
            client.expect("output", data="ready")
            client.send("start", action="fails", task_id="waiting", retry_policy={"restart_delay": "1h"})
            client.expect("restarting", task_id="waiting")
            client.request("start", action="queued", task_id="queued")
            daemon.process.send_signal(number)
            client.expect("exited", task_id="running", intentional=True)
            assert client.expect("dequeued", task_id="queued")["reason"] == "shutdown"
            assert client.expect("dequeued", task_id="waiting")["reason"] == "shutdown"
            assert client.wait_closed()[0] == 1001
        daemon.wait()


def test_a_shutdown_refuses_new_work_and_a_second_signal_hurries() -> None:
    stubborn = shell(
        'trap "" TERM; echo ready; while :; do sleep 1; done',
        stop_grace="30s",
        task_pool={"limit": 1, "queue": {"enabled": True}},
    )
    with Daemon(actions={"stubborn": stubborn}) as daemon:
        with daemon.connect() as client:
            client.request("start", action="stubborn", task_id="t")
            client.request("start", action="stubborn", task_id="queued")
            client.expect("output", data="ready")
            daemon.process.send_signal(signal.SIGTERM)
            assert client.expect("dequeued", task_id="queued")["reason"] == "shutdown"
            assert "shutting down" in client.request("start", action="stubborn")["message"]
            assert [task["task_id"] for task in client.request("list")["tasks"]] == ["t"]
            daemon.process.send_signal(signal.SIGTERM)
            assert client.expect("exited", task_id="t", timeout=30)["signal"] == "SIGKILL"
        daemon.wait(5)


def test_stdio_serves_one_client_and_ends_when_it_and_its_tasks_are_done() -> None:
    with Daemon(listen="STDIO", actions={"slow": shell("echo one; sleep 0.3; echo two")}) as daemon:
        client = daemon.stdio()
        client.request("start", action="slow", task_id="t")
        client.end()
        assert client.expect("exited", task_id="t")["exit_code"] == 0
        assert [output["data"] for output in client.outputs("t")] == ["one", "two"]
        daemon.wait()


def test_a_unix_socket_serves_and_is_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "overseer.sock"
    with (
        Daemon(listen=f"unix:{path}", actions={"echo": shell("echo hi")}) as daemon,
        daemon.connect() as client,
    ):
        _, (output,), _ = client.run("echo")
        assert output["data"] == "hi"
    assert not path.exists()


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with Daemon() as daemon:
        (tmp_path / "config.yaml").write_text(f"listen: {daemon.address}\n")
        ended = run_program(cwd=tmp_path)
        assert ended.returncode == 1
        assert daemon.address in ended.stderr
        assert len(ended.stderr.splitlines()) == 1


def test_the_event_log_has_every_task_event_as_clients_see_them(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    actions = {"fails": shell("echo bye; exit 1")}
    with Daemon(log_file=str(log), actions=actions) as daemon, daemon.connect() as client:
        client.send("start", action="fails", task_id="t", retry_policy={"error_threshold": 2})
        events = client.collect("errored")
    logged = [json.loads(line) for line in log.read_text().splitlines()]
    assert [{**event, "id": ""} if "id" in event else event for event in events] == logged


def test_a_log_file_that_cannot_be_opened_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("listen: 127.0.0.1:0\nlog_file: /no/such/directory/log\n")
    ended = run_program(cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.endswith("config.yaml:2: log_file: no such directory /no/such/directory\n")
    assert "Traceback" not in ended.stderr
