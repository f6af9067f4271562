"""The driver keeps the contract of drivers, on a cluster."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

import overseer.drivers.dask
from overseer.testing import DriverContract, Script
from tests.drivers.dask.conftest import thorough
from tests.harness.cluster import Cluster

pytestmark = pytest.mark.timeout(300)


_COUNT = "import sys\nfor n in range(int(sys.argv[1])): print(str(n + 1).zfill(int(sys.argv[2])))"


@thorough
class TestDask(DriverContract):
    patience = 60.0

    @pytest.fixture(autouse=True)
    def _on(self, cluster: Cluster) -> None:
        type(self).address = cluster.address

    address = ""

    def driver(self) -> overseer.drivers.dask.DaskFactory:
        return overseer.drivers.dask.DaskFactory()

    def config(self) -> Mapping[str, Any]:
        return {
            "entrypoint": "sh",
            "command": ["-c", "[[.script]]"],
            "parameters": {"script": {}},
            "cluster": {"address": self.address},
        }

    def prints(self, lines: Sequence[str]) -> Script:
        printed = "\n".join(lines)
        return Script({"script": f"printf %s '{printed}\n'" if lines else ":"})

    def prints_bytes(self, data: bytes) -> Script:
        octal = "".join(f"\\{byte:03o}" for byte in data)
        return Script({"script": f"printf '{octal}'"})

    def counts(self, last: int, width: int) -> Script:
        config = {"entrypoint": sys.executable, "command": ["-c", _COUNT, "[[.last]]", "[[.width]]"]}
        parameters: dict[str, Any] = {"parameters": {"last": {}, "width": {}}}
        return Script({"last": str(last), "width": str(width)}, config={**config, **parameters})

    def exits(self, code: int) -> Script:
        return Script({"script": f"exit {code}"})

    def dies(self) -> Script:
        return Script({"script": "kill -9 $$"})

    def runs_until_stopped(self) -> Script:
        return Script({"script": "echo up; exec sleep 600"}, lines=["up"])

    def ignores_stop(self) -> Script:
        return Script({"script": "trap '' TERM; echo up; while :; do sleep 600; done"}, lines=["up"])

    def fails_to_start(self) -> Script:
        return Script({"script": "x"}, config={"entrypoint": "/no/such/program"})

    def unusable(self) -> Sequence[tuple[Mapping[str, Any], tuple[str | int, ...]]]:
        return [({"umask": "x"}, ("umask",)), ({"cluster": {"address": "x"}}, ("cluster", "address"))]
