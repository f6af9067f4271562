"""``/metrics`` in the format of Prometheus or, by content negotiation, of OpenMetrics.

Nothing is counted here: a scrape takes a snapshot of the hub's figures. Names are those of the ``metrics``
message between ``overseer_`` and Prometheus's suffixes. The library is loaded at the first scrape, since most
servers are never scraped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from overseer.auth.rights import Principal
from overseer.daemon.clusters import cluster_figures
from overseer.net.http import Request, Response
from overseer.process.guardian import guardian
from overseer.protocol import SKIP_REASON, GlobalMetrics
from overseer.schema.fields import fields_of
from overseer.supervisor.hub import Hub
from overseer.supervisor.metrics import HistogramFigures
from overseer.supervisor.metrics_view import Figures
from overseer.supervisor.phases import Phase
from overseer.util.logs import lines_dropped

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

# A counter's key, its name in Prometheus (``_total`` is added), its help text.
_COUNTERS = (
    *((each.name, each.name.removeprefix("total_"), each.doc) for each in fields_of(GlobalMetrics)),
    ("starts_refused", "starts_refused", "Starts refused because the pool and its queue were full"),
    ("timeouts", "timeouts", "Runs that were stopped because they lasted longer than their action's timeout"),
    ("out_of_memory", "out_of_memory", "Runs that failed after the OOM killer ended one of their processes"),
    ("input_bytes", "input_bytes", "Bytes of input accepted for tasks"),
    ("inputs_refused", "inputs_refused", "Inputs refused, mostly because the task does not read"),
    ("dropped_lines", "dropped_lines", "Lines that a client missed because it lagged (on_lag: drop)"),
    ("probes", "probes", "Probes of runs, for ready and health"),
    ("probe_failures", "probe_failures", "Probes of runs that failed"),
    ("ready_timeouts", "ready_timeouts", "Runs that were not ready in time"),
    ("became_unhealthy", "became_unhealthy", "How often a run became unhealthy"),
    ("outputs_evicted", "outputs_evicted", "Evictions of a task's stored output (limits.memory)"),
)
_PHASES = tuple(phase.name for phase in Phase if phase is not Phase.FORGOTTEN)


class Exposition:
    """Answers ``/metrics``. A client limited to some actions sees only those.

    Args:
        started: when the server started, in seconds since 1970.
        gauges, counters: further ones of the server: name (without ``overseer_``) to help text and value.
    """

    def __init__(
        self,
        hub: Hub,
        version: str,
        started: float,
        gauges: Callable[[], Mapping[str, tuple[str, float]]] = dict,
        counters: Callable[[], Mapping[str, tuple[str, float]]] = dict,
    ) -> None:
        self._hub = hub
        self._version = version
        self._started = started
        self._gauges = gauges
        self._counters = counters

    def answer(self, request: Request) -> Response:
        """The route."""
        from prometheus_client import CollectorRegistry, ProcessCollector
        from prometheus_client.exposition import choose_encoder

        principal = request.peer.principal
        registry = CollectorRegistry(auto_describe=False)
        if principal.scope is None:
            ProcessCollector(registry=registry)
        registry.register(_Scrape(lambda: self._families(principal)))
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(200, encode(registry), content_type)

    def _families(self, principal: Principal) -> Iterator[Metric]:
        figures = self._hub.metrics_view.figures()
        actions = [action for action in figures.counters if principal.sees(action)]
        yield from _by_action(figures, actions)
        yield from _by_cluster(cluster_figures(self._hub.definitions.handlers, principal))
        if principal.scope is None:
            yield from self._of_the_server(figures)

    def _of_the_server(self, figures: Figures) -> Iterator[Metric]:
        from prometheus_client.metrics_core import CounterMetricFamily, InfoMetricFamily

        from overseer.workers.thread import abandoned_count

        yield InfoMetricFamily("overseer", "The program", {"version": self._version})
        clients = figures.clients
        for name, help_text, value in (
            ("start_time_seconds", "When the server started, in seconds since 1970", self._started),
            ("global_pool_limit", "Maximum number of tasks running at once; 0: unlimited",
             figures.pool.limit),
            ("global_pool_running", "Tasks that count as running, those that await a restart included",
             figures.pool.running),
            ("global_pool_queued", "Tasks that wait in a queue", figures.pool.queued),
            ("clients", "Connected clients", clients.connected),
            ("outbox_bytes", "Bytes that wait to be sent, to all clients", clients.pending),
            ("outbox_max_bytes", "Bytes that wait for the client with the most",
             clients.most_pending),
            ("watching_clients", "Clients that watch all tasks", clients.watching),
            ("lagging_clients", "Clients with more than half their buffer full", clients.lagging),
            ("client_lag_max_seconds", "How long the worst of them has been lagging",
             clients.longest_lag),
            ("memory_limit_bytes", "What rings, outboxes and queued parameters may occupy together",
             figures.memory.limit),
            ("ring_bytes", "Output kept in memory for later clients", figures.memory.rings),
            ("queued_params_bytes", "Parameters of queued tasks", figures.memory.queued_params),
            ("threads", "Threads of the server", threading.active_count()),
            ("abandoned_workers", "Virtual workers' threads that ignored their stop and still run",
             abandoned_count()),
        ):  # fmt: skip
            yield _gauge(name, help_text, value)
        for name, (help_text, value) in self._gauges().items():
            yield _gauge(name, help_text, value)
        for name, help_text, value in (
            ("stalled_clients", "Clients that were closed because they did not read",
             figures.stalled_clients),
            ("watches_renewed", "Clients that were sent all tasks again, for they had read too slowly",
             figures.watches_renewed),
            ("log_lines_dropped", "Lines of the server's own log dropped because stderr was full",
             lines_dropped()),
            ("guardian_restarts", "How often the guardian process died and was replaced", guardian.restarts),
        ):  # fmt: skip
            yield CounterMetricFamily(f"overseer_{name}", help_text, value)
        for name, (help_text, value) in self._counters().items():
            yield CounterMetricFamily(f"overseer_{name}", help_text, value)


def _by_action(figures: Figures, actions: Iterable[str]) -> Iterator[Metric]:
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    actions = list(actions)
    for key, name, help_text in _COUNTERS:
        counter = CounterMetricFamily(f"overseer_{name}", help_text, labels=["action"])
        for action in actions:
            counter.add_metric([action], figures.counters[action][key])
        yield counter
    cpu = CounterMetricFamily("overseer_cpu_seconds", "CPU that finished runs have used", labels=["action"])
    for action in actions:
        cpu.add_metric([action], figures.counters[action]["cpu_ms"] / 1000)
    yield cpu
    skips = CounterMetricFamily(
        "overseer_schedule_skips", "Starts of schedules that were skipped", labels=["action", "reason"]
    )
    for action in actions:
        for reason in SKIP_REASON.words:
            if number := figures.counters[action][f"skipped_{reason}"]:
                skips.add_metric([action, reason], number)
    if skips.samples:
        yield skips
    for name, help_text, histograms in (
        ("queue_wait_seconds", "How long tasks waited in a queue until they started", figures.queue_waits),
        ("run_time_seconds", "How long runs took, from start to exit", figures.run_times),
    ):
        histogram = HistogramMetricFamily(f"overseer_{name}", help_text, labels=["action"])
        for action in actions:
            histogram.add_metric([action], _buckets(histograms[action]), histograms[action].total)
        yield histogram
    tasks = GaugeMetricFamily(
        "overseer_tasks", "Tasks that the server knows, by phase", labels=["action", "phase"]
    )
    for action in actions:
        for phase in _PHASES:
            tasks.add_metric([action, phase.lower()], figures.tasks.get(action, {}).get(phase, 0))
    yield tasks
    if probed := [action for action in actions if action in figures.unhealthy]:
        unhealthy = GaugeMetricFamily("overseer_unhealthy_tasks", "Running tasks that are unhealthy",
                                      labels=["action"])  # fmt: skip
        for action in probed:
            unhealthy.add_metric([action], figures.unhealthy[action])
        yield unhealthy
    pools = [(action, figures.pools[action]) for action in actions if action in figures.pools]
    for name, help_text, field in (
        ("pool_limit", "Maximum number of its tasks running at once; 0: unlimited", "limit"),
        ("pool_running", "Its tasks that count as running, those that await a restart included", "running"),
        ("pool_queued", "Its tasks that wait in the queue", "queued"),
    ):
        gauge = GaugeMetricFamily(f"overseer_{name}", help_text, labels=["action"])
        for action, pool in pools:
            gauge.add_metric([action], getattr(pool, field))
        yield gauge


def _by_cluster(figures: Iterable[tuple[str, bool, int, Mapping[str, int]]]) -> Iterator[Metric]:
    from prometheus_client.metrics_core import GaugeMetricFamily

    clusters = list(figures)
    if not clusters:
        return
    up = GaugeMetricFamily("overseer_cluster_up", "Whether a cluster is connected", labels=["cluster"])
    waiting = GaugeMetricFamily(
        "overseer_cluster_waiting_tasks", "Tasks that wait for a place on a cluster", labels=["cluster"]
    )
    running = GaugeMetricFamily(
        "overseer_host_tasks", "Tasks that run on a cluster's worker", labels=["cluster", "host"]
    )
    for address, connected, number, hosts in clusters:
        up.add_metric([address], connected)
        waiting.add_metric([address], number)
        for host, tasks in hosts.items():
            running.add_metric([address, host], tasks)
    yield from (up, waiting, running)


def _buckets(figures: HistogramFigures) -> list[tuple[str, float]]:
    bounds = [*(str(bound) for bound in figures.bounds), "+Inf"]
    return list(zip(bounds, accumulate(figures.counts), strict=True))


def _gauge(name: str, help_text: str, value: float) -> Metric:
    from prometheus_client.metrics_core import GaugeMetricFamily

    return GaugeMetricFamily(f"overseer_{name}", help_text, value)


class _Scrape:
    """A collector for one scrape."""

    def __init__(self, families: Callable[[], Iterator[Any]]) -> None:
        self._families = families

    def collect(self) -> Iterator[Any]:
        return self._families()
