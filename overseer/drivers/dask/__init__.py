"""The driver for the workers of a Dask cluster: exec's processes, on other machines.

It needs the package ``distributed``, which is imported when an action of this type comes into use. The engine
finds a place for each run (``cluster``); a relay in the worker there (``relay``) starts a runner, a process
that runs the worker's share of this overseer's tasks (``runner``); frames go back and forth between it and
the run's :class:`~overseer.drivers.dask.remote_worker.RemoteWorker` (``link``). How long its processes
outlive their overseer is in ``lease``.
"""

from __future__ import annotations

import importlib.util
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from overseer.config.cluster import DASK, ClusterSection, DaskConfig
from overseer.drivers.api import ServiceHandler, TaskSubmitter, register_factory
from overseer.drivers.exec import ExecFactory, ExecHandler
from overseer.errors import ConfigError, SpawnError
from overseer.protocol import ActionInfo
from overseer.util.thread_pool import ThreadPool
from overseer.workers.base import RunContext, Worker, WorkerCallbacks
from overseer.workers.config import WorkerConfig

if TYPE_CHECKING:
    from overseer.drivers.dask.cluster import Cluster
    from overseer.drivers.dask.link import Link
    from overseer.drivers.dask.remote_worker import RemoteWorker

_ALONE_S = 20.0  # for a place, where nobody can be told later

_clusters: dict[object, Cluster] = {}
_clusters_lock = threading.Lock()
_adopting = ThreadPool("cluster-adopts", 1)  # the first has to import the engine


def cluster_of(section: ClusterSection) -> Cluster:
    """The connection that all actions with this address and these certificates share."""
    from overseer.drivers.dask.cluster import Cluster  # takes half a second

    with _clusters_lock:
        key = section.address, section.tls
        if key not in _clusters:
            _clusters[key] = Cluster(section)
        return _clusters[key]


class DaskHandler(ExecHandler, ServiceHandler):
    """Runs one action's command line on a cluster."""

    restartable = True

    def __init__(self, info: ActionInfo, config: DaskConfig, section: ClusterSection) -> None:
        super().__init__(info, config)
        self.section = section

    def run_service(self, stop: threading.Event, submitter: TaskSubmitter) -> None:
        cluster = cluster_of(self.section)
        cluster.use()
        stop.wait()
        cluster.release()

    def remote_cluster(self) -> Cluster:
        return cluster_of(self.section)

    def _begin(self, config: WorkerConfig, callbacks: WorkerCallbacks) -> Worker:
        from overseer.drivers.dask.frames import Order
        from overseer.drivers.dask.remote_worker import RemoteWorker

        run = callbacks.run or RunContext(config.task_id)
        if "NOTIFY_SOCKET" in run.env:
            raise SpawnError("ready.notify: a process on another machine cannot reach the server's socket")
        cluster = cluster_of(self.section)
        names = {*config.secret_env.values(), *config.secret_files.values()}
        secrets = {name: run.secret(name) for name in names}
        policy = config.stop or run.stop
        wanted = ("unfinished", "raw") if config.stdin == "pty" else ("unfinished",)
        order = Order(
            run.run_id,
            config,
            replace(policy, signal=int(policy.signal_number)),
            run.max_line,
            secrets,
            tuple(run.secrets),
            run.hands_on,
            tuple(name for name in wanted if hasattr(callbacks.on_output, name)),
        )
        worker = RemoteWorker(order, callbacks, run, cluster.forget, self._info.name)
        cluster.submit(worker, self.section, run.requested)
        if run.begins is None and not worker.await_place(_ALONE_S):
            worker.stop()
            raise SpawnError(f"no worker of {self.section.address} has a place for it")
        return worker

    def take_up(self, task_id: str, data: Any, callbacks: WorkerCallbacks) -> Worker:
        from overseer.drivers.dask.handover import take_up

        def adopt(run: RemoteWorker, link: Link | None) -> None:
            _adopting.do(lambda: cluster_of(self.section).adopt(run, self.section, link))

        def forget(worker: RemoteWorker) -> None:
            cluster_of(self.section).forget(worker)

        return take_up(self.section, self._info.name, data, callbacks, adopt, forget)


class DaskFactory(ExecFactory):
    """Creates a :class:`DaskHandler` from an action's ``config``."""

    type = "dask"
    section = DASK

    def _handler(self, info: ActionInfo, read: DaskConfig) -> DaskHandler:
        section = read.cluster
        assert section is not None
        if importlib.util.find_spec("distributed") is None:
            raise ConfigError("needs the package distributed: pip install 'sticky-overseer[dask]'")
        shown = {"cluster": section.address}
        if section.workers:
            shown["workers"] = ", ".join(section.workers)
        if section.resources:
            shown["resources"] = ", ".join(f"{name} {each:g}" for name, each in section.resources.items())
        return DaskHandler(replace(info, settings={**info.settings, **shown}), read, section)


register_factory(DaskFactory())
