"""Ways to reach the daemon: every spelling of ``listen``, trust, the environment, stdio."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.harness import Daemon, WsClient, run_program, shell

_ACTIONS = {"echo": shell("echo hi"), "sleep": shell("echo ready; exec sleep 60")}


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="no IPv6 here")


def _port(daemon: Daemon) -> str:
    return daemon.address.rpartition(":")[2]


def _talks(address: str) -> bool:
    with WsClient(address) as client:
        _, (output,), _ = client.run("echo")
        return bool(output["data"] == "hi")


def _config(listen: str, more: str = "") -> str:
    return f"listen: {listen}\n{more}actions: {json.dumps(_ACTIONS)}\n"


@needs_ipv6
@pytest.mark.parametrize("listen", ["0", '":0"'])
def test_a_bare_port_listens_on_both_families(listen: str) -> None:
    with Daemon(_config(listen, 'trusted_cidrs: "10.0.0.0/8, 127.0.0.1,::1"\n')) as daemon:
        assert _talks(f"127.0.0.1:{_port(daemon)}")
        assert _talks(f"[::1]:{_port(daemon)}")


@needs_ipv6
def test_an_ipv6_address_stands_in_brackets() -> None:
    with Daemon(_config('"[::1]:0"', 'trusted_cidrs: ""\n')) as daemon:
        assert daemon.address.startswith("[::1]:")
        assert _talks(daemon.address)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(_port(daemon))), 5)


@pytest.mark.parametrize("listen", ["./o.sock", "unix:o.sock"])
def test_a_path_is_a_unix_socket_beside_where_the_daemon_runs(listen: str) -> None:
    # Who is let in by address does not matter there.
    with Daemon(_config(listen, "trusted_cidrs: [192.0.2.0/24]\n")) as daemon:
        assert _talks(f"unix:{daemon.directory}/o.sock")


def _status(daemon: Daemon, method: str, path: str) -> int:
    request = urllib.request.Request(f"http://{daemon.address}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_an_untrusted_peer_gets_403_for_all_but_health_checks() -> None:
    with Daemon(_config("127.0.0.1:0", "trusted_cidrs: [192.0.2.0/24, 10.1.1.1]\n")) as daemon:
        with pytest.raises(AssertionError, match=r"HTTP/1\.1 403"):
            daemon.connect()
        statuses = [
            _status(daemon, *request) for request in (("GET", "/ws"), ("HEAD", "/ws"), ("GET", "/healthz"))
        ]
        assert statuses == [400, 200, 200]
        for path in ("/", "/ws/manifest", "/openapi.json", "/asyncapi.json", "/metrics", "/nowhere"):
            assert _status(daemon, "GET", path) == 403, path
        assert _status(daemon, "POST", "/session") == _status(daemon, "DELETE", "/session") == 403


def test_the_environment_beats_the_file_for_all_that_it_names(tmp_path: Path) -> None:
    log, db = tmp_path / "log.jsonl", tmp_path / "data.db"
    environment = {
        "OVERSEER_LISTEN": f"unix:{tmp_path}/o.sock",
        "OVERSEER_LOG_FILE": str(log),
        "OVERSEER_DB": str(db),
        "OVERSEER_TRUSTED_CIDRS": "127.0.0.1",
    }
    config = _config("192.0.2.1:1", "log_file: /no/such/file\ndb: /no/such/db\ntrusted_cidrs: [10.0.0.0/8]\n")
    with Daemon(config, environment=environment) as daemon:
        assert daemon.address == f"unix:{tmp_path}/o.sock"
        assert _talks(daemon.address)
    assert [json.loads(line)["type"] for line in log.read_text().splitlines()] == [
        *("started", "output", "exited"),
    ]
    assert not db.exists()


def test_stdio_answers_bad_lines_goes_on_and_ends_when_its_last_task_is_stopped() -> None:
    with Daemon(listen="Stdio", actions=_ACTIONS) as daemon:
        client = daemon.stdio()
        for line, id, says in (
            ("nonsense", "", "not JSON"),
            ("[]", "", "JSON object"),
            ('{"type": "list"}', "", "id is required"),
            ('{"type": "list", "id": "i", "since": 5}', "i", "since"),
        ):
            client.send_text(line)
            assert says in client.expect("error", id=id)["message"]
        client.send_text("")
        assert client.settle() == []
        client.request("start", action="sleep", task_id="t")
        client.expect("output", data="ready")
        client.send("stop", task_id="t")
        client.end()
        assert client.expect("exited", task_id="t")["intentional"] is True
        daemon.wait()


def test_an_address_that_is_none_is_one_line_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("# first\nlisten: nowhere\n")
    ended = run_program(cwd=tmp_path)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert "config.yaml:2: listen: no port" in line
