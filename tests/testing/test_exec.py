"""The built-in driver keeps the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

import overseer.drivers.exec
import overseer.workers.os_process
from overseer.testing import Script, ShellContract


class TestExec(ShellContract):
    held_up = 0.5

    @pytest.fixture(autouse=True)
    def _sooner(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(overseer.workers.os_process, "_READ_OUT_S", self.held_up)

    def driver(self) -> overseer.drivers.exec.ExecFactory:
        return overseer.drivers.exec.ExecFactory()

    def config(self) -> Mapping[str, Any]:
        return {"entrypoint": "sh", "command": ["-c", "[[.script]]"], "parameters": {"script": {}}}

    def script(self, text: str) -> Script:
        return Script({"script": text})

    def echoes(self) -> Script:
        return Script({"script": "exec cat"}, config={"stdin": "pipe"})

    def fails_to_start(self) -> Script:
        return Script({"script": "x"}, config={"entrypoint": "/no/such/program"})

    def unusable(self) -> Sequence[tuple[Mapping[str, Any], tuple[str | int, ...]]]:
        return [({"entrypoint": []}, ("entrypoint",)), ({"umask": "x"}, ("umask",))]
