"""A driver whose tasks are functions keeps the contract."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

import overseer
import overseer.workers.thread
from overseer.testing import DriverContract, Script


def _print(context: overseer.VirtualContext, send: Callable[[str, str], None], text: str) -> None:
    for line in text.splitlines():
        send("stdout", line)


def _count(context: overseer.VirtualContext, send: Callable[[str, str], None], text: str) -> None:
    last, width = map(int, text.split())
    for number in range(1, last + 1):
        send("stdout", f"{number:0{width}d}")


def _exit(context: overseer.VirtualContext, send: Callable[[str, str], None], text: str) -> int:
    return int(text)


def _wait(context: overseer.VirtualContext, send: Callable[[str, str], None], text: str) -> int:
    send("stdout", "up")
    context.wait()
    return 2


def _ignore(context: overseer.VirtualContext, send: Callable[[str, str], None], text: str) -> None:
    send("stdout", "up")
    TestFunctions.over.wait(30)


class Handler(overseer.ActionHandler):
    def __init__(self, name: str) -> None:
        self._name = name

    def describe(self) -> overseer.ActionInfo:
        return overseer.ActionInfo(self._name, "function", params={"function": None, "text": None})

    def validate(self, params: Mapping[str, str]) -> None:
        if "function" not in params:
            raise overseer.ValidationError("say which function")

    def start(
        self, task_id: str, params: Mapping[str, str], callbacks: overseer.WorkerCallbacks
    ) -> overseer.Worker:
        function = globals().get("_" + params["function"])
        if function is None:
            raise overseer.SpawnError("no such function")
        return overseer.start_virtual_worker(
            task_id, lambda context, send: function(context, send, params.get("text", "")), callbacks
        )


class Factory:
    type = "function"

    def create(
        self,
        config: Mapping[str, Any],
        action_name: str,
        retry: overseer.RetryPolicy,
        pool: overseer.PoolConfig,
        dedupe_key: tuple[str, ...],
    ) -> Handler:
        return Handler(action_name)


class TestFunctions(DriverContract):
    over = threading.Event()
    held_up = 0.5

    @pytest.fixture(autouse=True)
    def _ends(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setattr(overseer.workers.thread, "_TAKEN_IN_S", self.held_up)
        self.over.clear()
        yield
        self.over.set()  # for functions that ignored their stops

    def driver(self) -> Factory:
        return Factory()

    def prints(self, lines: Sequence[str]) -> Script:
        return Script({"function": "print", "text": "\n".join(lines)})

    def counts(self, last: int, width: int) -> Script:
        return Script({"function": "count", "text": f"{last} {width}"})

    def exits(self, code: int) -> Script:
        return Script({"function": "exit", "text": str(code)})

    def runs_until_stopped(self) -> Script:
        return Script({"function": "wait"}, lines=["up"])

    def ignores_stop(self) -> Script:
        return Script({"function": "ignore"}, lines=["up"])

    def fails_to_start(self) -> Script:
        return Script({"function": "nonesuch"})
