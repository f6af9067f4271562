"""What the configuration of a cluster may say, and that nothing of it is loaded before it is used."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import overseer
from overseer.drivers import api
from tests.drivers.conftest import run_python
from tests.harness import run_program
from tests.harness.cluster import needs_distributed


def problems(tmp_path: Path, cluster: str) -> list[tuple[tuple[str | int, ...], str]]:
    """What is wrong with an action on this cluster, below its ``config``."""
    path = tmp_path / "config.yaml"
    path.write_text(f"actions:\n  a:\n    type: dask\n    config:\n      entrypoint: true\n{cluster}\n")
    with pytest.raises(overseer.ConfigErrors) as caught:
        overseer.build_action_handlers(overseer.load_config(path))
    return [(error.path[3:], error.message) for error in caught.value.errors]


@pytest.mark.parametrize(
    ("cluster", "path", "said"),
    [
        ("", (), "cluster is missing: say which cluster to run on"),
        ("      cluster: {}", ("cluster",), "address is missing: say where the scheduler listens"),
        ("      cluster: {address: '10.0.0.5:8786'}", ("cluster", "address"), "expected tcp://HOST:PORT"),
        ("      cluster: {address: 'tls://a:1'}", ("cluster", "address"), "tls:// needs the key tls"),
        (
            "      cluster: {address: 'tcp://a:1', tls: {ca: x, cert: y}}",
            ("cluster", "address"),
            "a cluster with tls is at tls://HOST:PORT",
        ),
        ("      cluster: {address: 'tcp://a:1', lease: 1s}", ("cluster", "lease"), "must be at least 2s"),
        (
            "      cluster: {address: 'tcp://a:1', resources: {GPU: none}}",
            ("cluster", "resources", "GPU"),
            "expected a number above 0",
        ),
        ("      cluster: {address: 'tcp://a:1', worker: [x]}", ("cluster", "worker"), "unknown key"),
    ],
)
def test_a_mistake_is_reported_where_it_is(
    tmp_path: Path, cluster: str, path: tuple[str, ...], said: str
) -> None:
    needs_distributed()
    assert any(where == path and said in message for where, message in problems(tmp_path, cluster))


def test_nothing_of_a_cluster_is_loaded_where_none_is_configured(tmp_path: Path) -> None:
    code = (
        "import sys, overseer; overseer.list_handlers()\n"
        "print([n for n in ('distributed', 'tornado', 'overseer.drivers.dask.cluster') if n in sys.modules])"
    )
    assert run_python("-c", code, cwd=tmp_path)[:2] == (0, "[]\n")


def test_a_file_with_a_cluster_is_checked_without_reaching_it(tmp_path: Path) -> None:
    needs_distributed()
    (tmp_path / "config.yaml").write_text(
        "actions:\n  a:\n    type: dask\n    config:\n      entrypoint: /opt/only/there\n"
        "      cluster: {address: 'tcp://192.0.2.1:8786', workers: [gpu-*], resources: {GPU: 1}}\n"
    )
    checked = run_program("--check", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr


def test_a_cluster_that_is_connected_to_takes_no_warning_from_a_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_distributed()
    from overseer.config.cluster import ClusterSection
    from overseer.drivers.dask import cluster as module

    connecting, loads = threading.Event(), threading.Event()

    def connect(*given: Any, **more: Any) -> None:
        connecting.set()
        assert loads.wait(30)
        raise OSError("nobody there")

    class Doubtful:
        """Its driver warns once the attempt to connect, which began before, is over."""

        type = "doubtful"

        def create(self, *given: Any) -> overseer.ActionHandler:
            loads.set()
            deadline = time.monotonic() + 30
            while not cluster._away:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            warnings.warn(overseer.ConfigWarning("doubtful", path=("x",)), stacklevel=1)
            return Handler()

    class Handler(overseer.ActionHandler):
        def describe(self) -> overseer.ActionInfo:
            return overseer.ActionInfo("a", "doubtful")

        def validate(self, params: Mapping[str, str]) -> None: ...

        def start(self, *given: Any) -> overseer.Worker:
            raise NotImplementedError

    (tmp_path / "config.yaml").write_text("actions: {a: {type: doubtful}}")
    monkeypatch.setattr(module, "Client", connect)
    monkeypatch.setitem(api._registry, "doubtful", Doubtful())
    cluster = module.Cluster(ClusterSection(address="tcp://127.0.0.1:1"))
    warned: list[str] = []
    cluster.use()
    try:
        assert connecting.wait(30)
        config = overseer.load_config(tmp_path / "config.yaml")
        overseer.build_action_handlers(config, warned=lambda error: warned.append(error.message))
    finally:
        loads.set()
        cluster.release()
    assert warned == ["doubtful"]
