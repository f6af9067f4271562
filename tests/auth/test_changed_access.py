"""Who may come in changes while the server runs: a reload parts with those who may not, and nobody else."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.auth.conftest import Certificates
from tests.auth.support import (
    TlsRawClient,
    address_of,
    bearer,
    http,
    open_status,
    request,
    sign_in,
    token_of,
)
from tests.harness import Daemon, shell
from tests.net.rawclient import Closed, RawClient, RawSocket, upgrade_request

ACTIONS = {"mine": shell("echo ready; exec sleep 60"), "other": shell("sleep 60")}


def entry(name: str, role: str = "operator", **more: Any) -> dict[str, Any]:
    source = {} if "token_file" in more else {"token": token_of(name)}
    return {"name": name, "role": role, **source, **more}


BOSS = entry("boss", "admin")
START = [BOSS, entry("a"), entry("b")]


@pytest.fixture(scope="module")
def server() -> Iterator[Daemon]:
    with Daemon(actions=ACTIONS, auth={"tokens": START}) as daemon:
        yield daemon


@pytest.fixture
def daemon(server: Daemon) -> Iterator[Daemon]:
    """A server that knows boss, a and b, whatever a test has made of it."""
    yield server
    write(server, auth={"tokens": START})
    server.process.send_signal(signal.SIGHUP)
    with connect(server, "boss") as boss:
        assert request(boss, "reload")["type"] == "reloaded"
        for task in request(boss, "list")["tasks"]:
            boss.send_json(type="stop", task_id=task["task_id"])


def write(daemon: Daemon, **config: Any) -> None:
    whole = {"listen": "127.0.0.1:0", "actions": ACTIONS, **config}
    (daemon.directory / "config.yaml").write_text(json.dumps(whole))


def connect(daemon: Daemon, name: str = "") -> RawClient:
    return RawClient(address_of(daemon), headers=[bearer(name)] if name else [])


def reload(daemon: Daemon, boss: RawClient, **config: Any) -> dict[str, Any]:
    write(daemon, **config)
    reply = request(boss, "reload")
    return {key: value for key, value in reply.items() if key not in ("type", "id")}


def closed(client: RawClient) -> tuple[int | None, str]:
    """How the connection ended; what comes before that is of no interest."""
    try:
        while True:
            client.receive()
    except Closed as end:
        return end.code, end.reason


def goes_on(client: RawClient) -> bool:
    return request(client, "list")["type"] == "tasks"


def test_a_token_that_is_taken_out_ends_its_connections_and_no_task(daemon: Daemon) -> None:
    with connect(daemon, "boss") as boss, connect(daemon, "a") as a, connect(daemon, "b") as b:
        assert request(a, "start", action="mine", task_id="t")["type"] == "started"
        assert reload(daemon, boss, auth={"tokens": [BOSS, entry("b")]}) == {"settings": ["auth"]}
        assert closed(a) == (1008, "access has changed: connect again")
        assert goes_on(b)
        assert goes_on(boss)
        assert open_status(daemon, [bearer("a")]) == 401
        (task,) = request(b, "list")["tasks"]
        assert (task["task_id"], task["worker_state"]) == ("t", "running")
        assert daemon.wait_stderr("closed 1 of the clients")


@pytest.mark.parametrize(
    "change", [{"role": "viewer"}, {"actions": ["mine"]}, {"token": token_of("another")}]
)
def test_other_rights_or_another_token_make_somebody_else(daemon: Daemon, change: dict[str, Any]) -> None:
    with connect(daemon, "boss") as boss, connect(daemon, "a") as a:
        reload(daemon, boss, auth={"tokens": [BOSS, {**entry("a"), **change}, entry("b")]})
        assert closed(a)[0] == 1008
        if "token" in change:
            assert open_status(daemon, [bearer("a")]) == 401
            assert open_status(daemon, [bearer("another")]) == 101
        else:
            with connect(daemon, "a") as again:
                session = request(again, "manifest")["manifest"]["session"]
                assert change.items() <= session.items()


def test_a_token_file_is_read_anew(daemon: Daemon, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text(token_of("first"))
    tokens = {"tokens": [BOSS, entry("filed", token_file=str(file))]}
    with connect(daemon, "boss") as boss:
        reload(daemon, boss, auth=tokens)
        with connect(daemon, "first") as first:
            assert reload(daemon, boss, auth=tokens) == {}
            assert goes_on(first)
            file.write_text(token_of("second"))
            assert reload(daemon, boss, auth=tokens) == {"settings": ["auth"]}
            assert closed(first)[0] == 1008
        assert open_status(daemon, [bearer("second")]) == 101
        file.unlink()
        answer = reload(daemon, boss, auth=tokens, actions={})
        assert "token cannot be read" in answer["message"]
        assert open_status(daemon, [bearer("second")]) == 101
        assert [each["name"] for each in request(boss, "describe")["actions"]] == list(ACTIONS)


def test_who_takes_away_its_own_token_is_told_that_it_worked(daemon: Daemon) -> None:
    with connect(daemon, "boss") as boss:
        other = entry("other-boss", "admin")
        assert reload(daemon, boss, auth={"tokens": [other, *START[1:]]}) == {"settings": ["auth"]}
        assert closed(boss)[0] == 1008
    with connect(daemon, "other-boss") as boss:
        assert reload(daemon, boss, auth={"tokens": START}) == {"settings": ["auth"]}


def test_who_watched_with_other_rights_begins_anew(daemon: Daemon) -> None:
    with connect(daemon, "boss") as boss:
        with connect(daemon, "a") as a:
            request(a, "start", action="other", task_id="hidden")
            request(a, "start", action="mine", task_id="seen")
            cursor = request(a, "watch")["cursor"]
            assert "tasks" not in request(a, "watch", after=cursor)
            reload(daemon, boss, auth={"tokens": [BOSS, entry("a", actions=["mine"])]})
            assert closed(a)[0] == 1008
        with connect(daemon, "a") as a:
            tasks = request(a, "watch", after=cursor)["tasks"]
            assert {task["action"] for task in tasks} == {"mine"}
            assert "seen" in [task["task_id"] for task in tasks]


def test_a_dry_run_closes_nobody(daemon: Daemon) -> None:
    with connect(daemon, "boss") as boss, connect(daemon, "a") as a:
        write(daemon, auth={"tokens": [BOSS]})
        assert request(boss, "reload", dry_run=True)["settings"] == ["auth"]
        assert goes_on(a)
        assert open_status(daemon, [bearer("a")]) == 101


def test_sign_ins_end_with_the_token_that_they_are_by(daemon: Daemon) -> None:
    mine, others = sign_in(daemon, "a"), sign_in(daemon, "b")
    with connect(daemon, "boss") as boss, RawClient(address_of(daemon), headers=[mine]) as page:
        reload(daemon, boss, auth={"tokens": [BOSS, entry("b")], "session_age": 5})
        assert closed(page)[0] == 1008
        assert open_status(daemon, [mine]) == 401
        assert open_status(daemon, [others]) == 101
        reply = http(daemon, "/session", [bearer("b")], method="POST")
        assert "Max-Age=5;" in reply.headers["set-cookie"]


def test_tokens_come_and_go_as_a_whole(daemon: Daemon) -> None:
    with connect(daemon, "boss") as boss:
        assert reload(daemon, boss) == {"settings": ["auth"]}
        assert closed(boss)[0] == 1008  # as whom it came, it is not known any more
    with connect(daemon) as anybody:
        answer = reload(daemon, anybody, auth={"tokens": [BOSS]})
        assert answer == {"settings": ["auth"]}
        assert closed(anybody)[0] == 1008
    assert open_status(daemon) == 401
    assert open_status(daemon, [bearer("boss")]) == 101


def test_access_and_all_else_go_over_together(daemon: Daemon, tmp_path: Path) -> None:
    """Each key is told once, though both the file and a file that it names have changed; and whoever may no
    longer come in is gone by the same answer."""
    file = tmp_path / "a.token"
    file.write_text(token_of("a"))
    file.chmod(0o600)
    a = entry("a", token_file=str(file))
    with connect(daemon, "boss") as boss:
        reload(daemon, boss, auth={"tokens": [BOSS, a, entry("b")]})
        with connect(daemon, "a") as known, connect(daemon, "b") as gone:
            file.write_text(token_of("c"))
            more = {"actions": {**ACTIONS, "new": shell("true")}, "limits": {"max_param": 1}}
            answer = reload(daemon, boss, auth={"tokens": [BOSS, a], "session_age": 5}, **more)
            assert (answer["added"], sorted(answer["settings"])) == (["new"], ["auth", "limits"])
            assert closed(known)[0] == closed(gone)[0] == 1008
            assert goes_on(boss)
        assert [open_status(daemon, [bearer(name)]) for name in "abc"] == [401, 401, 101]
        with connect(daemon, "c") as known:
            assert request(known, "start", action="new")["type"] == "started"
            assert "at most 1" in request(known, "start", action="new", params={"x": "long"})["message"]


def test_networks_and_origins_are_as_the_file_says_now(daemon: Daemon) -> None:
    page = ("Origin", "https://app.example")
    with connect(daemon, "boss") as boss:
        assert open_status(daemon, [bearer("a"), page]) == 403
        auth = {"tokens": START}
        reload(daemon, boss, auth=auth, allowed_origins=["https://app.example"])
        assert open_status(daemon, [bearer("a"), page]) == 101
        assert reload(daemon, boss, auth=auth, trusted_cidrs=["10.0.0.0/8"])["settings"] == [
            "trusted_cidrs",
            "allowed_origins",
        ]
        assert closed(boss)[0] == 1008
    assert open_status(daemon, [bearer("boss")]) == 403
    write(daemon, auth=auth)
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_stderr("settings trusted_cidrs")
    while open_status(daemon, [bearer("boss")]) != 101:
        pass


def test_nobody_slips_in_by_a_token_that_is_being_taken_out() -> None:
    """Clients that connect as fast as they can meanwhile are refused, or closed: none stays."""

    def come_until_refused(opened: list[RawClient], enough: threading.Semaphore) -> None:
        while True:
            try:
                opened.append(connect(daemon, "a"))
            except Closed:
                return
            finally:
                enough.release()

    with Daemon(actions=ACTIONS, auth={"tokens": START}) as daemon, connect(daemon, "boss") as boss:
        for _ in range(3):  # three wrong tokens each: with more than ten, nobody would be let in for a while
            opened: list[RawClient] = []
            enough = threading.Semaphore(0)
            threads = [threading.Thread(target=come_until_refused, args=(opened, enough)) for _ in range(3)]
            for thread in threads:
                thread.start()
            for _ in range(10):
                assert enough.acquire(timeout=30)
            reload(daemon, boss, auth={"tokens": [BOSS]})
            for thread in threads:
                thread.join(30)
                assert not thread.is_alive()
            for client in opened:
                with client:
                    assert closed(client)[0] in (None, 1008)
            reload(daemon, boss, auth={"tokens": START})


def test_tls_is_turned_on_and_its_certificate_replaced(daemon: Daemon, certificates: Certificates) -> None:
    context = ssl.create_default_context(cafile=certificates.path("ca.crt"))
    auth = {"tokens": START}

    def tls(name: str) -> dict[str, str]:
        return {"cert": certificates.path(f"{name}.crt"), "key": certificates.path(f"{name}.key")}

    with connect(daemon, "boss") as boss:
        assert reload(daemon, boss, auth=auth, tls=tls("server")) == {"settings": ["tls"]}
        assert closed(boss)[0] == 1008  # who came in clear text
    assert open_status(daemon, [bearer("boss")]) == 400
    with TlsRawClient(address_of(daemon), context, [bearer("boss")]) as secure:
        first = secure.sock.getpeercert()
        wrong = {**tls("server"), "key": certificates.path("second.key")}
        assert "the key is another certificate's" in reload(daemon, secure, auth=auth, tls=wrong)["message"]
        assert reload(daemon, secure, auth=auth, tls=tls("second")) == {"settings": ["tls"]}
        with TlsRawClient(address_of(daemon), context, [bearer("boss")]) as another:
            assert another.sock.getpeercert() != first
        assert goes_on(secure)  # a renewal is no reason to go
        demanding = {**tls("second"), "client_ca": certificates.path("ca.crt")}
        assert reload(daemon, secure, auth=auth, tls=demanding) == {"settings": ["tls"]}
        assert closed(secure)[0] == 1008
    context.load_cert_chain(certificates.path("nobody.crt"), certificates.path("nobody.key"))
    with TlsRawClient(address_of(daemon), context, [bearer("boss")]) as certified:
        assert reload(daemon, certified, auth=auth) == {"settings": ["tls"]}
        assert closed(certified)[0] == 1008
    assert open_status(daemon, [bearer("boss")]) == 101


def test_who_was_accepted_before_tls_was_turned_on_is_not_let_in_in_clear_text(
    daemon: Daemon, certificates: Certificates
) -> None:
    upgrade = upgrade_request(headers=[bearer("boss")])
    tls = {"cert": certificates.path("server.crt"), "key": certificates.path("server.key")}
    with connect(daemon, "boss") as boss, RawSocket(address_of(daemon)) as early:
        early.send_raw(upgrade[:20])
        reload(daemon, boss, auth={"tokens": START}, tls=tls)
        early.send_raw(upgrade[20:])
        assert early.read_reply().status == 403
    context = ssl.create_default_context(cafile=certificates.path("ca.crt"))
    with TlsRawClient(address_of(daemon), context, [bearer("boss")]) as secure:
        assert reload(daemon, secure, auth={"tokens": START}) == {"settings": ["tls"]}


def test_a_sign_in_that_has_ended_does_not_come_back_with_its_token(daemon: Daemon) -> None:
    cookie = sign_in(daemon, "a")
    with connect(daemon, "boss") as boss:
        reload(daemon, boss, auth={"tokens": [BOSS]})
        reload(daemon, boss, auth={"tokens": START})
        assert open_status(daemon, [cookie]) == 401
        assert open_status(daemon, [bearer("a")]) == 101


@pytest.mark.parametrize("kind", ["token_file", "config"])
def test_a_pipe_in_place_of_a_file_does_not_end_all_reloads(
    daemon: Daemon, tmp_path: Path, kind: str
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with connect(daemon, "boss") as boss:
        if kind == "token_file":
            answer = reload(daemon, boss, auth={"tokens": [BOSS, entry("a", token_file=str(pipe))]})
        else:
            (daemon.directory / "config.yaml").unlink()
            os.mkfifo(daemon.directory / "config.yaml")
            answer = request(boss, "reload")
            (daemon.directory / "config.yaml").unlink()
        assert "not a regular file" in answer["message"]
        assert reload(daemon, boss, auth={"tokens": [BOSS]}) == {"settings": ["auth"]}


def test_a_dry_run_leaves_the_environment_of_tasks_alone() -> None:
    tokens = {"tokens": [{"name": "boss", "role": "admin", "token_env": "BOSS"}]}
    more = {"tokens": [*tokens["tokens"], {"name": "x", "role": "viewer", "token_env": "NEEDED"}]}
    actions = {"show": shell('echo "$NEEDED"')}
    variables = {"BOSS": token_of("boss"), "NEEDED": "by-all-tasks-of-this"}
    with (
        Daemon(actions=actions, auth=tokens, environment=variables) as daemon,
        connect(daemon, "boss") as boss,
    ):

        def shown() -> str:
            boss.send_json(type="start", id="s", action="show")
            while (message := boss.receive_json())["type"] != "output":
                pass
            return str(message["data"])

        write(daemon, auth=more, actions=actions)
        assert request(boss, "reload", dry_run=True)["settings"] == ["auth"]
        assert shown() == "by-all-tasks-of-this"
        assert request(boss, "reload")["settings"] == ["auth"]
        assert shown() == ""


def test_a_token_from_a_variable_outlives_reloads() -> None:
    secret = token_of("boss")
    auth = {"tokens": [{"name": "boss", "role": "admin", "token_env": "BOSS"}]}
    late = {"name": "late", "role": "viewer", "token_env": "LATE"}
    digest = hashlib.sha256(token_of("a").encode()).hexdigest()
    hashed = {"name": "a", "role": "viewer", "token_sha256": digest}
    variables = {"BOSS": secret, "LATE": token_of("late")}
    with Daemon(actions=ACTIONS, auth=auth, environment=variables) as daemon, connect(daemon, "boss") as boss:
        assert reload(daemon, boss, auth={"tokens": [*auth["tokens"], hashed]}) == {"settings": ["auth"]}
        assert goes_on(boss)
        assert open_status(daemon, [bearer("a")]) == 101
        missing = {"name": "none", "role": "viewer", "token_env": "NO_SUCH"}
        answer = reload(daemon, boss, auth={"tokens": [*auth["tokens"], missing]})
        assert "the environment has no NO_SUCH" in answer["message"]
        for _ in range(2):  # what was taken from the environment stays known
            write(daemon, auth={"tokens": [*auth["tokens"], late]})
            assert request(boss, "reload", dry_run=True)["type"] == "reloaded"
        reload(daemon, boss, auth={"tokens": [*auth["tokens"], late]})
        assert open_status(daemon, [bearer("late")]) == 101
        assert "LATE cannot be removed from /proc/" in daemon.wait_stderr("LATE")
