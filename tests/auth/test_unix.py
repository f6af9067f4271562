"""Unix sockets: who may open the file, and who each user is."""

from __future__ import annotations

import grp
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.auth.support import ACTIONS, TOKENS, address_of, bearer, http, open_status, request
from tests.harness import ROOT, Daemon, run_program
from tests.net.rawclient import RawClient

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be other users")

_AS_ANOTHER = """
import os, sys
sys.path.insert(0, sys.argv[3])
from tests.net.rawclient import RawClient, Closed
os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[2]))
try:
    with RawClient(sys.argv[4]) as client:
        print([client.request(type=type, id=type)["type"] for type in ("list", "purge")])
except Closed as closed:
    print(closed.reason)
except PermissionError:
    print("permission denied")
"""


def _as_user(uid: int, gid: int, path: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", _AS_ANOTHER, str(gid), str(uid), str(ROOT), path],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return (ended.stdout + ended.stderr).strip()


@pytest.fixture
def socket_path() -> Iterator[str]:
    # Others must be able to get as far as the socket itself; and pytest closes its own directory to them
    # whenever another session of it begins.
    with tempfile.TemporaryDirectory(prefix="overseer-sockets-") as directory:
        Path(directory).chmod(0o755)
        yield str(Path(directory) / "socket")


def test_only_its_owner_may_open_the_file(socket_path: str) -> None:
    with Daemon(actions=ACTIONS, listen=f"unix:{socket_path}") as daemon:
        assert stat.S_IMODE(Path(socket_path).stat().st_mode) == 0o600
        with RawClient(address_of(daemon)) as client:
            assert request(client, "purge")["type"] == "purged"


@as_root
def test_mode_and_group_let_others_open_it_and_the_map_says_who_they_are(socket_path: str) -> None:
    auth = {"unix": {"1001": "viewer", "daemon": "operator"}}
    with Daemon(
        actions=ACTIONS, listen=socket_path, socket_mode="0660", socket_group="games", auth=auth
    ) as daemon:
        found = Path(socket_path).stat()
        games = grp.getgrnam("games").gr_gid
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, games)
        assert _as_user(1001, 1001, socket_path) == "permission denied"
        assert _as_user(1001, games, socket_path) == "['tasks', 'error']"
        assert _as_user(1002, games, socket_path).endswith("upgrade answered 403")
        daemon.wait_stderr("refused uid 1002: it is not in auth.unix")
        with RawClient(address_of(daemon)) as client:
            assert request(client, "purge")["type"] == "purged"  # the server's own user


@as_root
def test_without_a_map_the_file_decides_alone(socket_path: str) -> None:
    with Daemon(actions=ACTIONS, listen=socket_path, socket_mode="0666"):
        assert _as_user(1002, 1002, socket_path) == "['tasks', 'purged']"


def test_with_tokens_the_own_user_needs_none_but_a_proxy_of_its_does(socket_path: str) -> None:
    with Daemon(actions=ACTIONS, listen=socket_path, auth={"tokens": TOKENS}) as daemon:
        assert open_status(daemon) == 101
        for header in (
            ("X-Forwarded-For", "10.0.0.9"),
            ("Forwarded", "for=10.0.0.9"),
            ("Via", "1.1 proxy"),
            ("X-Forwarded-Proto", "https"),
        ):
            assert open_status(daemon, [header]) == 401
        assert http(daemon, "/ws/manifest", [("Origin", "http://localhost")]).status == 401
        manifest = http(daemon, "/ws/manifest", [bearer("viewer-mine"), ("Via", "1.1 proxy")]).json()
        assert manifest["session"]["name"] == "viewer-mine"
        assert http(daemon, "/ws/manifest", [("Authorization", "Bearer wrong")]).status == 401
        own = http(daemon, "/ws/manifest").json()["session"]
        assert own == {"name": f"uid {os.geteuid()}", "role": "admin", "actions": ["*"]}


def test_the_own_user_can_be_less_than_an_admin(socket_path: str) -> None:
    auth = {"unix": {str(os.geteuid()): "viewer"}}
    with (
        Daemon(actions=ACTIONS, listen=socket_path, auth=auth) as daemon,
        RawClient(address_of(daemon)) as client,
    ):
        assert "needs the role admin" in request(client, "purge")["message"]


def test_an_unknown_group_is_a_plain_line(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("{listen: ./socket, socket_group: no-such-group}")
    ended = run_program(cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr == ("sticky-overseer: ./config.yaml:1: socket_group: no such group no-such-group\n")


def test_stdio_is_whoever_started_the_server() -> None:
    with Daemon(actions=ACTIONS, listen="stdio", auth={"tokens": TOKENS}) as daemon:
        client = daemon.stdio()
        assert client.request("purge")["type"] == "purged"
        client.end()
        daemon.wait()
        client._join()
