"""The configurations in docs/COMING_FROM.md do what its tables say, on a real server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from overseer.config import key_hints
from tests.docs.session import blocks_of
from tests.docs.test_examples import free_ports, statuses
from tests.faults.support import wait_until
from tests.harness import ROOT, Daemon

DOCUMENT = ROOT / "docs/COMING_FROM.md"


def configuration(name: str, data: Path, **changes: str) -> str:
    """The document's configuration of this name, on a free port, with its data in ``data``."""
    (text,) = [block.text for block in blocks_of(DOCUMENT) if block.said.get("file") == f"{name}.yaml"]
    for old, new in {"127.0.0.1:8080": "127.0.0.1:0", f"{name}-data": str(data), **changes}.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def test_supervisord(tmp_path: Path) -> None:
    with Daemon(configuration("supervisord", tmp_path / "data")) as daemon, daemon.connect() as client:
        client.request("watch")
        wait_until(lambda: statuses(client) == {"worker-0": "running", "worker-1": "running"})
        wait_until(lambda: client.request("logs", task_id="worker-1")["lines"])
        assert client.request("logs", task_id="worker-1")["lines"][0]["data"] == "worker 1"
        pid = client.info("worker-0")["current_pid"]
        client.request("signal", task_id="worker-0", signal="SIGKILL")
        client.expect("started", task_id="worker-0", restart_of=pid)
        client.send("stop", task_id="worker-0")
        assert client.expect("exited", task_id="worker-0", reason="stopped")["signal"] == "SIGQUIT"


def test_pm2(tmp_path: Path) -> None:
    changes = dict(zip(("5601", "5602"), free_ports(2), strict=True))
    changes['cron: "0 4 * * *"'] = "every: 5s"
    text = configuration("pm2", tmp_path / "data", **changes)
    with Daemon(text) as daemon, daemon.connect() as client:
        client.request("watch")
        wait_until(lambda: statuses(client) == {"api-0": "ready", "api-1": "ready"})
        pid = client.info("api-1")["current_pid"]
        client.expect("exited", task_id="api-1", pid=pid, reason="stopped")  # its time has come
        client.expect("ready", task_id="api-1")
        first = client.info("api-0")["current_pid"]
        client.request("signal", task_id="api-0", signal="SIGTERM")
        client.expect("started", task_id="api-0", restart_of=first)


def test_systemd_and_cron(tmp_path: Path) -> None:
    with Daemon(configuration("units", tmp_path / "data")) as daemon, daemon.connect() as client:
        client.request("watch")
        wait_until(lambda: statuses(client) == {"prepare": "succeeded", "web": "ready"})
        wait_until(lambda: client.info("web")["health"] == "healthy")
        assert client.info("prepare")["last_started_at"] < client.info("web")["last_started_at"]
        (schedule,) = client.request("schedules")["schedules"]
        assert schedule["task_id"] == "sweep"
        client.request("start", task_id="sweep")
        client.expect("exited", task_id="sweep", exit_code=0)
        (daemon.directory / "spool").rmdir()
        client.request("start", task_id="sweep")
        client.expect("exited", task_id="sweep", exit_code=1)
        wait_until(lambda: (daemon.directory / "mail.txt").exists())
        assert "sweep" in (daemon.directory / "mail.txt").read_text()


_KEYS = {
    "supervisord": "numprocs autorestart exitcodes startretries startsecs stopsignal stopwaitsecs "
    "stopasgroup killasgroup priority directory environment minfds redirect_stderr stdout_logfile",
    "pm2": "apps script args interpreter instances autorestart max_restarts min_uptime cron_restart "
    "exp_backoff_restart_delay max_memory_restart env_production kill_timeout wait_ready out_file error_file",
    "process-compose": "processes readiness_probe ready_log_line liveness_probe availability shutdown "
    "disabled replicas namespace environment working_dir is_tty",
    "pueue": "parallel priority callback stash",
    "Cronicle": "timing retries retry_delay web_hook",
    "OliveTin": "shell arguments maxConcurrent execOnStartup execOnCron shellAfterCompleted triggers "
    "execOnWebhook accessControlLists acls saveLogs",
    "systemd and cron": "ExecStart ExecStartPre ExecStop ExecReload RestartSec StartLimitBurst "
    "StartLimitIntervalSec RestartSteps RestartMaxDelaySec SuccessExitStatus TimeoutStartSec WatchdogSec "
    "TimeoutStopSec RuntimeMaxSec MemoryMax CPUQuota TasksMax LimitNOFILE EnvironmentFile LoadCredential "
    "OnFailure OnCalendar Persistent RandomizedDelaySec MAILTO",
}


@pytest.mark.parametrize("peer", _KEYS)
def test_check_knows_the_keys_that_the_tables_translate(peer: str) -> None:
    section = DOCUMENT.read_text("utf-8").partition(f"\n## {peer}\n")[2].partition("\n## ")[0]
    for key in _KEYS[peer].split():
        assert re.search(rf"(?<!\w){key}(?!\w)", section), key
        known = key_hints._ANYWHERE | key_hints._BY_LEVEL["action"] | key_hints._levels["action"]
        assert key_hints._plain(key) in known, key
