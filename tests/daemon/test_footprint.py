"""What nobody has configured is not loaded."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.harness import ROOT, Daemon, shell

CODE = """
import sys
from overseer.daemon import cli

class Daemon:
    def __init__(self, *given):
        pass

    def run(self):
        print(*sorted({name.split(".")[0] for name in sys.modules}))
        return 0

cli.Daemon = Daemon
sys.exit(cli.run_cli("", ""))
"""
# What a server loads for its configuration, or for who asks for it, alone.
OPTIONAL = (
    *("overseer.api", "overseer.cel.program", "overseer.chains", "overseer.daemon.boot"),
    *("overseer.daemon.handover", "overseer.daemon.takeover", "overseer.history.store", "overseer.logs"),
    *("overseer.net.stdio", "overseer.net.tls", "overseer.notices", "overseer.probes"),
    *("overseer.protocol.specs.asyncapi", "overseer.schedules", "overseer.supervisor.handover"),
    *("overseer.supervisor.output.catch_up", "overseer.templates.compiled", "overseer.upgrade.reexec"),
    *("overseer.upgrade.rehearsal", "overseer.upgrade.standalone.stage", "overseer.webhooks"),
    "overseer.workers.thread",
    *("_hashlib", "_ssl", "asyncio", "cronsim", "decimal", "email", "importlib.resources", "jinja2", "lark"),
    *("prometheus_client", "re2", "sqlite3", "ssl", "zipfile", "zoneinfo"),
)
# Each takes about 25 kB, and a millisecond at every start. What few need belongs into OPTIONAL.
MODULES = 260
THREADS = {
    "MainThread",
    "teller",
    "stderr",
    "timers",
    "net-timers",
    "net-accept",
    "net-idle",
    "net-reserve",
    "net-writer",
    "guardian",
    "stops",
}
CONDITION = "output: {stdout: {condition: 'output.data%s'}}"


@pytest.mark.parametrize(
    ("more", "loaded"),
    [
        ("", set()),
        (CONDITION % ' == "x"', {"lark"}),
        (CONDITION % '.matches("x+")', {"lark", "re2"}),
    ],
)
def test_a_server_loads_what_its_configuration_needs(tmp_path: Path, more: str, loaded: set[str]) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        textwrap.dedent(f"""\
        actions:
          run:
            type: exec
            config:
              entrypoint: /bin/echo
              command: ["[[.word]]"]
              parameters: {{word: {{}}}}
              {more}
        """)
    )
    done = subprocess.run(
        [sys.executable, "-c", CODE, "--config", str(config)], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    heavy = {*OPTIONAL, "celpy", "html", "platform"} - {"jinja2"}
    assert heavy & set(done.stdout.split()) == loaded


def test_a_server_that_serves_loads_and_starts_nothing_that_nobody_has_configured(tmp_path: Path) -> None:
    telling = tmp_path / "telling"
    os.mkfifo(telling)
    with (
        Daemon(
            program=Path(__file__).parent / "telling.py",
            environment={"PYTHONPATH": str(ROOT), "TELL": str(telling)},
            actions={"echo": shell("echo hello")},
        ) as daemon,
        daemon.connect() as client,
    ):
        client.run("echo")
        client.request("list")
        told = json.loads(telling.read_text())
    assert "overseer.supervisor.hub" in told["modules"]
    optional = tuple(f"{name}." for name in OPTIONAL)
    assert [name for name in told["modules"] if f"{name}.".startswith(optional)] == []
    assert sum(name.startswith("overseer.") for name in told["modules"]) <= MODULES
    passing = re.compile(r"client-1|launch-\d+|usage|package")  # they end when they have nothing to do
    assert {name for name in told["threads"] if not passing.fullmatch(name)} <= THREADS


def test_what_is_optional_is_there() -> None:
    assert [name for name in OPTIONAL if importlib.util.find_spec(name) is None] == []


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("from simple_websocket.aiows import AioClient; print(AioClient)", "<class"),
        ("import ssl, hashlib; print(ssl.SSLContext, hashlib.md5)", "<class"),
        ("from simple_websocket import ws; print(ws.ssl.create_default_context)", "<function"),
        ("import wsproto.utilities; print(wsproto.utilities.hashlib.md5)", "<built-in"),
    ],
)
def test_what_is_left_out_of_simple_websocket_is_there_for_others(code: str, printed: str) -> None:
    command = [sys.executable, "-c", f"import overseer.net.websocket; {code}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.stdout.startswith(printed), done.stderr


def test_memory_that_is_used_again_and_again_is_not_given_back_meanwhile() -> None:
    code = """
    import resource, threading
    from overseer.util.startup import settle

    def flood():
        for _ in range(300):
            b"".join([bytes(1 << 20), bytes(300_000)])

    settle()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    thread = threading.Thread(target=flood)
    thread.start()
    thread.join()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=30, cwd=ROOT
    )
    assert int(done.stdout) < 5_000, done  # pages; each round takes 600
