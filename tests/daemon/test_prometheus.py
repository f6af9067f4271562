"""What monitoring sees: the counters of ``metrics`` and more, and that dashboard and alerts go by it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from overseer.protocol import ActionMetrics, GlobalMetrics
from overseer.supervisor.metrics import Metrics
from tests.daemon.support import get
from tests.harness import ROOT, Daemon, WsClient, shell
from tests.net.rawclient import RawClient

DASHBOARD = ROOT / "docs/grafana-dashboard.json"
ALERTS = ROOT / "docs/alerts.yaml"
# What Prometheus itself adds.
OWN = {"up"}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    actions = {
        "lines": shell("seq 3"),
        "one": shell("exec sleep 60", task_pool={"limit": 1, "queue": {"enabled": True}}),
        "fails": shell("exit 3", retry={"error_threshold": 1}),
        'odd "\\ name': shell("true"),
        "watched": shell("true", health={"tcp": ":1"}),
    }
    channels = {"ops": {"exec": ["true"]}}
    with Daemon(actions=actions, task_pool={"limit": 5}, channels=channels) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def client(daemon: Daemon) -> Iterator[WsClient]:
    with daemon.connect() as client:
        yield client


Samples = dict[tuple[str, str], float]


def scrape(daemon: Daemon) -> Samples:
    """Every sample of an action (or of the whole, ``""``) by name; those with other labels as name{label}."""
    status, content_type, body = get(daemon, "/metrics")
    assert status == 200
    assert content_type.startswith("text/plain; version=")
    found: Samples = {}
    for family in parse(body):
        for sample in family.samples:
            rest = "".join(f"{{{v}}}" for k, v in sorted(sample.labels.items()) if k != "action")
            found[sample.name + rest, sample.labels.get("action", "")] = sample.value
    return found


def name_of(field: str) -> str:
    return f"overseer_{field.removeprefix('total_')}_total"


def test_every_counter_of_metrics_is_there_with_the_same_value(daemon: Daemon, client: WsClient) -> None:
    client.run("lines")
    client.request("start", action="fails", task_id="f")
    client.expect("errored")
    first = client.request("start", action="one")["task_id"]
    waiting = client.request("start", action="one")["task_id"]
    client.request("watch")
    samples = scrape(daemon)
    overall = client.request("metrics")["global"]
    assert set(overall) == {field.name for field in fields(GlobalMetrics)}
    for field, value in overall.items():
        total = sum(v for (name, _), v in samples.items() if name == name_of(field))
        assert (field, total) == (field, value)
    for action in ("lines", "one", "fails"):
        own = client.request("metrics", action=action)["action"]
        assert set(own) == {field.name for field in fields(ActionMetrics)}
        assert {field: samples[name_of(field), action] for field in own} == own
    assert samples["overseer_output_lines_total", "lines"] == 3
    assert samples["overseer_tasks{errored}", "fails"] == 1
    assert samples["overseer_tasks{running}", "one"] == samples["overseer_tasks{queued}", "one"] == 1
    assert (samples["overseer_pool_limit", "one"], samples["overseer_pool_queued", "one"]) == (1, 1)
    assert samples["overseer_global_pool_limit", ""] == 5
    assert samples["overseer_clients", ""] == samples["overseer_watching_clients", ""] == 1
    assert samples["overseer_watches_renewed_total", ""] == 0
    for task_id in (waiting, first):
        client.send("stop", task_id=task_id)
    client.expect("exited", task_id=first)


def test_waits_and_runs_are_histograms(daemon: Daemon, client: WsClient) -> None:
    before = scrape(daemon)
    first = client.request("start", action="one")["task_id"]
    second = client.request("start", action="one")["task_id"]
    client.send("stop", task_id=first)
    client.expect("started", task_id=second)
    client.send("stop", task_id=second)
    client.expect("exited", task_id=second)
    after = scrape(daemon)

    def moved(name: str) -> float:
        return after[name, "one"] - before[name, "one"]

    assert (moved("overseer_queue_wait_seconds_count"), moved("overseer_run_time_seconds_count")) == (1, 2)
    assert moved("overseer_queue_wait_seconds_bucket{+Inf}") == 1
    assert 0 < moved("overseer_queue_wait_seconds_sum") < 20
    assert 0 < moved("overseer_run_time_seconds_sum") < 20


def test_starts_that_find_no_place_are_counted(daemon: Daemon, client: WsClient) -> None:
    def refused() -> float:
        return scrape(daemon)["overseer_starts_refused_total", "one"]

    before = refused()
    first = client.request("start", action="one")["task_id"]
    client.request("set_pool", action="one", queue_size=1)
    second = client.request("start", action="one")["task_id"]
    for _ in range(3):
        assert client.request("start", action="one")["type"] == "error"
    assert refused() == before + 3
    for task_id in (second, first):
        client.send("stop", task_id=task_id)
    client.expect("exited", task_id=first)


def test_a_duration_counts_in_its_bucket_and_all_above() -> None:
    metrics = Metrics(["a"])
    for seconds in (0.0, 0.1, 0.11, 1e9):
        metrics.run_over("a", seconds, 0, out_of_memory=False)
    figures = metrics.histograms()[1]["a"]
    assert (figures.counts[:3], figures.counts[-1], sum(figures.counts)) == ((2, 1, 0), 1, 4)
    assert figures.total == pytest.approx(1e9 + 0.21)


def test_openmetrics_is_served_to_who_asks(daemon: Daemon) -> None:
    _, content_type, body = get(daemon, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    families = {family.name: family for family in parse_openmetrics(body)}
    labels = [sample.labels["action"] for sample in families["overseer_tasks_started"].samples]
    assert 'odd "\\ name' in labels


def test_a_guardian_that_dies_is_counted(daemon: Daemon) -> None:
    children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
    (guardian,) = (
        int(pid) for pid in children if b"guardian.main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    os.kill(guardian, signal.SIGKILL)
    daemon.wait_stderr("guardian")
    assert scrape(daemon)["overseer_guardian_restarts_total", ""] == 1


def test_the_library_is_not_loaded_before_somebody_asks() -> None:
    code = "import sys, overseer.daemon.cli; print([m for m in sys.modules if 'prometheus_client' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def metric_names(expression: str) -> set[str]:
    """The metrics that a PromQL expression reads."""
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|by \([^)]*\)|\"[^\"]*\"", " ", expression)
    words = set(re.findall(r"[a-z_:][a-z0-9_:]*(?!\w|\s*\()", bare))
    return words - {"and", "or", "unless", "by", "le", "instance", "action"}


def test_reading_names_out_of_an_expression() -> None:
    text = 'histogram_quantile(0.9, sum by (le) (rate(a_b{c="d"}[5m]))) * 60 > 6 and up == 0'
    assert metric_names(text) == {"a_b", "up"}


def test_dashboard_and_alerts_use_metrics_and_labels_that_are_served(daemon: Daemon) -> None:
    served = {name.partition("{")[0] for name, _ in scrape(daemon)} | OWN
    dashboard = json.loads(DASHBOARD.read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    alerts = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    expressions += [rule["expr"] for rule in alerts]
    queries = (each["query"] for each in dashboard["templating"]["list"] if each["type"] == "query")
    expressions += [query.split("(")[1].split(",")[0] for query in queries]
    used = set().union(*map(metric_names, expressions))
    assert used <= served, used - served
    labels = set(re.findall(r'([a-z]+)=~?"', " ".join(expressions)))
    assert labels <= {"instance", "job", "action", "phase"}
    assert len({rule["alert"] for rule in alerts}) == len(alerts)


def test_every_panel_has_a_place_of_its_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_clients_that_lag_are_seen_and_what_that_cost_is_counted() -> None:
    actions = {"flood": shell("seq 200000; sleep 60")}
    clients = {"buffer": "64KiB", "stall_timeout": 5}  # long enough to be looked at meanwhile
    with Daemon(actions=actions, clients=clients) as daemon:
        host, port = daemon.address.split(":")
        with RawClient((host, int(port)), receive_buffer=4096) as lagging:
            lagging.send_json(type="start", id="1", action="flood", on_lag="drop")
            deadline = time.monotonic() + 60
            while not (samples := scrape(daemon))["overseer_lagging_clients", ""]:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert samples["overseer_outbox_max_bytes", ""] > 4096
            assert samples["overseer_outbox_bytes", ""] == samples["overseer_outbox_max_bytes", ""]
            while True:
                samples = scrape(daemon)
                lines = samples["overseer_output_lines_total", "flood"]
                if samples["overseer_stalled_clients_total", ""] and lines == 200000:
                    break
                assert time.monotonic() < deadline, lines
                time.sleep(0.2)
        assert samples["overseer_dropped_lines_total", "flood"] > 1000
