"""The built-in driver keeps the contract."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

import overseer.drivers.exec
import overseer.workers.os_process
from overseer.testing import DriverContract, Script

_COUNT = "import sys\nfor n in range(int(sys.argv[1])): print(str(n + 1).zfill(int(sys.argv[2])))"


class TestExec(DriverContract):
    held_up = 0.5

    @pytest.fixture(autouse=True)
    def _sooner(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(overseer.workers.os_process, "_READ_OUT_S", self.held_up)

    def driver(self) -> overseer.drivers.exec.ExecFactory:
        return overseer.drivers.exec.ExecFactory()

    def config(self) -> Mapping[str, Any]:
        return {"entrypoint": "sh", "command": ["-c", "[[.script]]"], "parameters": {"script": {}}}

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

    def echoes(self) -> Script:
        return Script({"script": "exec cat"}, config={"stdin": "pipe"})

    def fails_to_start(self) -> Script:
        return Script({"script": "x"}, config={"entrypoint": "/no/such/program"})

    def unusable(self) -> Sequence[tuple[Mapping[str, Any], tuple[str | int, ...]]]:
        return [({"entrypoint": []}, ("entrypoint",)), ({"umask": "x"}, ("umask",))]
