"""The driver keeps the contract of drivers, on a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

import overseer.drivers.dask
from overseer.testing import Script, ShellContract
from tests.drivers.dask.conftest import thorough
from tests.harness.cluster import Cluster

pytestmark = pytest.mark.timeout(300)


@thorough
class TestDask(ShellContract):
    patience = 60.0
    address = ""

    @pytest.fixture(autouse=True)
    def _on(self, cluster: Cluster) -> None:
        type(self).address = cluster.address

    def driver(self) -> overseer.drivers.dask.DaskFactory:
        return overseer.drivers.dask.DaskFactory()

    def config(self) -> Mapping[str, Any]:
        return {
            "entrypoint": "sh",
            "command": ["-c", "[[.script]]"],
            "parameters": {"script": {}},
            "cluster": {"address": self.address},
        }

    def script(self, text: str) -> Script:
        return Script({"script": text})

    def echoes(self) -> Script:
        return Script({"script": "exec cat"}, config={"stdin": "pipe"})

    def fails_to_start(self) -> Script:
        return Script({"script": "x"}, config={"entrypoint": "/no/such/program"})

    def unusable(self) -> Sequence[tuple[Mapping[str, Any], tuple[str | int, ...]]]:
        return [({"umask": "x"}, ("umask",)), ({"cluster": {"address": "x"}}, ("cluster", "address"))]
