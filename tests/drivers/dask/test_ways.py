"""The ways from the server to a worker: with TLS, and by way of the scheduler."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.dask.conftest import Certificates, far, run, start, thorough
from tests.harness import Daemon, wait_for_exit
from tests.harness.cluster import Cluster, needs_distributed

PASSED_ON = Path(__file__).with_name("passed_on.py")

pytestmark = pytest.mark.timeout(300)  # processes of a cluster start slowly on a busy machine


@thorough
def test_a_cluster_with_tls_runs_tasks_for_those_it_trusts(
    certificates: Certificates, tmp_path: Path
) -> None:
    needs_distributed()
    with Cluster(security=certificates.arguments, scheme="tls") as cluster:
        assert cluster.address.startswith("tls://")
        tls = {"tls": certificates.section}
        stranger = tmp_path / "other.pem"
        openssl = (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=other"
        )
        files = ["-keyout", str(stranger), "-out", f"{stranger}.crt"]
        subprocess.run([*openssl.split(), *files], check=True, capture_output=True, timeout=30)
        other = {"tls": {**certificates.section, "cert": f"{stranger}.crt", "key": str(stranger)}}
        actions = {
            "lines": far(cluster.address, "seq 10000", cluster=tls),
            "strange": far(cluster.address, "echo in", cluster=other),
        }
        with Daemon(actions=actions) as daemon, daemon.connect() as client:
            started, lines, _ = run(client, "lines")
            assert "(tls://" in started["host"]
            assert [line["data"] for line in lines] == [str(number) for number in range(1, 10_001)]
            refused = client.request("start", action="strange", timeout=30)
            assert refused["type"] == "error"
            assert "cannot be reached" in refused["message"]


@thorough
def test_a_worker_that_only_its_scheduler_reaches_runs_tasks_as_well() -> None:
    needs_distributed()
    with Cluster() as cluster:
        actions: dict[str, Any] = {
            "lines": far(cluster.address, "seq 100000"),
            "sleep": far(cluster.address, "echo $$; exec sleep 1000"),
        }
        with Daemon(actions=actions, program=PASSED_ON) as daemon, daemon.connect() as client:
            _, lines, _ = run(client, "lines", timeout=60)
            assert [line["data"] for line in lines] == [str(number) for number in range(1, 100_001)]
            daemon.wait_stderr("by way of its scheduler only")
            started = start(client, "sleep")
            pid = int(client.expect("output", task_id=started["task_id"])["data"])
            client.send("stop", task_id=started["task_id"])
            client.expect("exited", timeout=30, task_id=started["task_id"])
            assert wait_for_exit(pid, 5)
