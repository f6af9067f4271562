from __future__ import annotations

from collections.abc import Iterator

import pytest

from overseer.client import Client
from tests.harness import Daemon, shell

ACTIONS = {
    "echo": shell(
        "",
        config={
            "command": ["-c", 'echo "$1"; echo err >&2; exit 3', "sh", "[[.text]]"],
            "parameters": {"text": {"default": "hi"}},
        },
    ),
    "count": shell("seq [[.n]]", config={"parameters": {"n": {"default": "1000"}}}),
    "sized": shell(
        "echo [[.size]] [[.format]] [[.keep]]",
        config={
            "parameters": {
                "size": {"type": "integer", "min": 1, "max": 9, "default": "5"},
                "format": {"choices": ["png", {"value": "jpg", "title": "JPEG"}], "default": "png"},
                "keep": {"type": "boolean", "default": "false"},
            }
        },
    ),
    "slow-wide": shell(
        "seq -f '%0200.0f' [[.n]] | while read -r line; do echo \"$line\"; done",
        config={"parameters": {"n": {"default": "1000"}}},
    ),
    "slow-count": shell(
        "i=0; while [ $i -lt [[.n]] ]; do i=$((i+1)); echo $i; sleep 0.005; done",
        config={"parameters": {"n": {"default": "100"}}},
    ),
    "sleep": shell("echo ready; exec sleep 60"),
    "codes": shell(
        "exit [[.code]]", config={"parameters": {"code": {"default": "0"}}}, success_codes=[0, 3]
    ),
    "flood": shell("exec yes"),
    "one": shell("echo ready; exec sleep 60", task_pool={"limit": 1, "queue": {"enabled": True, "size": 2}}),
    "hopeless": shell("echo no; exit 9", retry={"restart_delay": "1ms", "error_threshold": 3}),
    "broken": {"type": "exec", "config": {"entrypoint": "/nowhere/program"}},
    "patient": shell("exit 3", retry={"restart_delay": "1h", "error_threshold": 5}),
    "until": shell(
        "if [ -e [[.file]] ]; then echo ready; exec sleep 60; else echo no; exit 9; fi",
        config={"parameters": {"file": {}}},
        retry={"restart_delay": "1ms", "error_threshold": 2},
    ),
    "twice": shell(
        "if [ -e [[.file]] ]; then echo two; exit 0; else : > [[.file]]; echo one; exit 3; fi",
        config={"parameters": {"file": {}}},
        retry={"restart_delay": "1ms", "error_threshold": 5},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def daemon(request: pytest.FixtureRequest) -> Iterator[Daemon]:
    """A server with the module's ACTIONS, or with these."""
    with Daemon(actions=getattr(request.module, "ACTIONS", ACTIONS)) as daemon:
        yield daemon


@pytest.fixture
def client(daemon: Daemon) -> Iterator[Client]:
    with Client(daemon.url) as client:
        yield client
