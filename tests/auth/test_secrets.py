"""Where a token must not be found: environments, logs, errors, descriptions, command lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from overseer.config import load_config
from overseer.daemon import environment
from overseer.daemon.access_rules import load_access
from overseer.daemon.advice import advice
from overseer.errors import ConfigError
from tests.auth.support import address_of, http, request
from tests.harness import ROOT, Daemon, run_program, shell
from tests.net.rawclient import RawClient, RawSocket

MAIN, OTHER, PLAIN = "main-0123456789abcdef", "other-0123456789abcdef", "plain-0123456789abcdef"
SECRETS = (MAIN, OTHER, PLAIN)


def test_a_token_is_nowhere_but_with_its_owner() -> None:
    auth = {
        "tokens": [
            {"name": "ci", "token_env": "CI_TOKEN", "role": "operator"},
            {"name": "file", "token": PLAIN, "role": "viewer"},
        ]
    }
    actions = {"env": shell("cat /proc/self/environ /proc/$PPID/environ | tr '\\0' '\\n'; echo end")}
    with (
        Daemon(
            actions=actions,
            auth=auth,
            log_file="events.jsonl",
            audit_file="audit.jsonl",
            no_such_key=1,
            environment={"OVERSEER_TOKEN": MAIN, "CI_TOKEN": OTHER},
        ) as daemon,
        RawClient(address_of(daemon), headers=[("Authorization", f"Bearer {MAIN}")]) as client,
        RawClient(address_of(daemon), headers=[("Authorization", f"Bearer {OTHER}")]) as ci,
    ):
        assert request(client, "purge")["type"] == "purged"
        assert "operator" in request(ci, "purge")["message"]
        request(ci, "start", action="env", task_id="t")
        seen = [each.get("data", "") for each in ci.receive_until("exited")]
        assert "end" in seen
        assert any(line.startswith("OVERSEER_TASK_ID=") for line in seen)
        assert any(line.startswith("OVERSEER_TEST_MARKER=") for line in seen)  # it did see the server's too
        everything = [
            *seen,
            json.dumps(request(client, "describe")),
            json.dumps(request(client, "manifest")),
            json.dumps(request(client, "list")),
            http(daemon, "/openapi.json", [("Authorization", f"Bearer {PLAIN}")]).body.decode(),
        ]
        # Broken requests with a token in them.
        for broken in (
            f"GET /ws/manifest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \x01{PLAIN}\r\n\r\n",
            f"GET /ws/manifest HTTP/1.1\r\nAuthorization : Bearer {PLAIN}\r\n\r\n",
            f"GET /ws?token={PLAIN} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
        ):
            with RawSocket(address_of(daemon)) as connection:
                connection.send_raw(broken.encode())
                reply = connection.read_reply()
                assert reply.status in (400, 401)
                everything.append(reply.body.decode())
        for pid in daemon.processes():
            for name in ("environ", "cmdline"):
                everything.append(Path(f"/proc/{pid}/{name}").read_bytes().decode("utf-8", "replace"))
        for file in ("events.jsonl", "audit.jsonl"):
            everything.append((daemon.directory / file).read_text())
        everything.append(daemon.stderr)
        assert daemon.stderr.count("no_such_key") == 1  # it started twice, and said everything once
        for secret in SECRETS:
            assert not [text for text in everything if secret in text]
        assert not Path(f"/proc/{daemon.pid}/environ").read_bytes().count(b"CI_TOKEN")
        links = [os.readlink(f"/proc/{daemon.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{daemon.pid}/fd")]  # noqa: PTH208, PTH115
        own = ("overseer-runs", "overseer-package", "overseer-stage")  # runs and program: no secrets
        assert not [link for link in links if "memfd" in link and not any(name in link for name in own)]


def test_the_program_starts_over_as_itself(tmp_path: Path) -> None:
    program = """
import os, sys, threading
from overseer.daemon.environment import handed_on, withdraw_secrets
if sys.argv[1] == "threads":
    threading.Thread(target=threading.Event().wait, daemon=True).start()
secrets = withdraw_secrets(["OVERSEER_TOKEN", "B"], start_over=True, before=handed_on(), config=b"x")
print(os.getpid(), sys.argv[1:], secrets, "OVERSEER_TOKEN" in open("/proc/self/environ").read(), sorted(
    name for name in os.environ if name in ("OVERSEER_TOKEN", "B", "OVERSEER_HANDED_ON")))
"""
    (tmp_path / "program.py").write_text(program)
    environment = {**os.environ, "OVERSEER_TOKEN": "a\nb\u00e9", "B": "", "PYTHONPATH": str(ROOT)}
    for arguments, remains in ((["x", "y z"], False), (["threads"], True)):
        process = subprocess.Popen(
            [sys.executable, "program.py", *arguments],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        said, complaint = process.communicate(timeout=30)
        secrets = {"OVERSEER_TOKEN": "a\nb\u00e9", "B": ""}
        assert said == f"{process.pid} {arguments} {secrets} {remains} []\n"
        assert ("cannot be removed" in complaint) is remains
        assert "a\nb" not in complaint


@pytest.mark.parametrize("value", ["0", "9999", "x", "-1"])
def test_nobody_else_hands_secrets_on(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("OVERSEER_HANDED_ON", value)
    assert environment.handed_on() is None
    assert "OVERSEER_HANDED_ON" not in os.environ


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        ("{}", True),
        ("listen: 0.0.0.0:8080", True),
        ("listen: '[::]:8080'", True),
        ("listen: some.host:8080", True),
        ("listen: 10.0.0.1:8080", True),
        ("listen: 127.0.0.1:8080", False),
        ("listen: 127.9.9.9:8080", False),
        ("listen: '[::1]:8080'", False),
        ("listen: localhost:8080", False),
        ("listen: ./socket", False),
        ("listen: stdio", False),
        ("trusted_cidrs: 10.0.0.0/8", False),
        ("tls: {cert: a, client_ca: b}", False),
        ("tls: {cert: a}", True),
        ("{listen: ./socket, tls: {cert: a}}", True),
    ],
)
def test_listening_wide_with_nothing_else_is_warned_of(tmp_path: Path, text: str, warned: bool) -> None:
    (tmp_path / "config.yaml").write_text(text)
    config = load_config(tmp_path / "config.yaml", {})
    assert bool(advice(config, {}, {}, asks=False)) is warned
    if "tls" not in text:
        assert not advice(config, {}, {}, asks=True)


def test_check_warns_and_reads_tokens(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("listen: ':8080'\nauth:\n  unix: {}\n")

    def check(**environment: str) -> str:
        ended = run_program("--check", cwd=tmp_path, **environment)
        assert ended.returncode == 0
        return ended.stderr

    assert "config.yaml:1: listen: :8080 can be reached from other machines" in check()
    assert check(OVERSEER_TOKEN=MAIN) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "auth:\n  tokens:\n    - {name: a, role: viewer, token_env: NOT_SET}\n",
            "config.yaml:3: auth.tokens.0.token_env: the environment has no NOT_SET",
        ),
        ("auth:\n  unix:\n    no-such-user: viewer\n", "config.yaml:3: auth.unix.no-such-user: no such user"),
        (
            "auth: {tokens: [{name: a, role: viewer, token_file: /no/token}], unix: {nobody-at-all: admin}}\n"
            "tls: {cert: /etc/passwd, key: /not/there}\n",
            "config.yaml:1: auth.tokens.0.token_file: /no/token cannot be read: No such file or directory\n"
            "config.yaml:1: auth.unix.nobody-at-all: no such user\n"
            "config.yaml:2: tls.key: /not/there cannot be used: No such file or directory",
        ),
        ("tls: {cert: /not/there}\n", "config.yaml:1: tls.cert: /not/there cannot be used: No such file"),
        ("tls: {cert: /dev/null}\n", "tls.cert: /dev/null cannot be used: it is not a regular file"),
        ("tls: {cert: /etc/passwd}\n", "config.yaml:1: tls.cert: /etc/passwd cannot be used: "),
        ("auth: {tokens: [{name: a, role: viewer, token: !Zx8dK2mQp9 }]}\n", "token: a YAML tag (!...)"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_access(load_config(tmp_path / "config.yaml", {}), {})
    assert said in str(caught.value).replace(f"{tmp_path}/", "")
    assert "Zx8dK2mQp9" not in str(caught.value)
