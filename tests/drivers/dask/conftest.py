"""One cluster of two workers for each module here, and one server that runs its tasks on it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.harness import Daemon, WsClient
from tests.harness.cluster import Cluster, needs_distributed

Message = dict[str, Any]

thorough = pytest.mark.skipif(
    "OVERSEER_TEST_CLUSTER" not in os.environ, reason="it takes long: make cluster runs it"
)

COUNTS = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done"
"""Prints 1, 2, 3..., until it is ended."""


def far(address: str, script: str, *, cluster: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A dask action that runs ``script`` with /bin/sh; ``more`` adds to its config."""
    section = {"address": address, **(cluster or {})}
    return {
        "type": "dask",
        "config": {"entrypoint": "/bin/sh", "command": ["-c", script], "cluster": section, **more},
    }


def start(client: WsClient, action: str, **fields: Any) -> Message:
    """Start a task, and wait until it runs, which takes a moment where a worker runs its first."""
    deadline = time.monotonic() + 60
    while True:
        answer = client.request("start", timeout=60, action=action, **fields)
        if "cannot be reached" not in answer.get("message", "") or time.monotonic() > deadline:
            break  # what the server says of a cluster that is as busy as this machine, too
    if answer["type"] == "queued":
        answer = client.expect("started", timeout=60, task_id=answer["task_id"])
    assert answer["type"] == "started", answer
    return answer


def run(
    client: WsClient, action: str, timeout: float = 60.0, **fields: Any
) -> tuple[Message, list[Message], Message]:
    """Start a task and follow its one run: ``(started, its outputs, exited)``."""
    started = start(client, action, **fields)
    exited = client.expect("exited", timeout, task_id=started["task_id"])
    return started, client.outputs(started["task_id"]), exited


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    needs_distributed()
    with Cluster(workers=2, nannies=False) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def daemon(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Daemon]:
    """A server with the actions that the module's ``actions`` makes for a cluster's address."""
    with Daemon(actions=request.module.actions(cluster.address), data_dir="data") as daemon:
        yield daemon


@dataclass(frozen=True)
class Certificates:
    """An authority, and one certificate of its.

    Attributes:
        section: the ``tls`` of an action's ``cluster``.
        arguments: the same for the engine's programs.
    """

    section: dict[str, str]

    @property
    def arguments(self) -> list[str]:
        names = {"ca": "--tls-ca-file", "cert": "--tls-cert", "key": "--tls-key"}
        return [word for name, option in names.items() for word in (option, self.section[name])]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    directory = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True, timeout=30)

    new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(*new, "-x509", "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")
    openssl(*new, "-subj", "/CN=cluster", "-keyout", "key.pem", "-out", "request.pem")
    signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"]
    openssl("x509", "-req", "-in", "request.pem", *signing, "-out", "cert.pem")
    files = {"ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"}
    return Certificates({name: str(directory / file) for name, file in files.items()})
