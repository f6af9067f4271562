"""A driver with a worker of its own make, for the kit to be tried on; each of its methods can be broken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import overseer
from overseer.testing import DriverContract, Script

__all__ = ["Factory", "Handler", "OwnContract", "OwnWorker"]


class OwnWorker(overseer.Worker):
    """Does what its parameters say on a thread, which it asks to return and then gives up on."""

    held_up = 0.3
    most = 1 << 20  # bytes of input that wait

    def __init__(self, task_id: str, params: Mapping[str, str], callbacks: overseer.WorkerCallbacks) -> None:
        super().__init__(task_id, 0, callbacks)
        assert callbacks.run is not None
        self.run = callbacks.run
        self.callbacks = callbacks
        self.stopped = threading.Event()
        self.changed = threading.Condition()  # guards the rest
        self.give_up_at: float | None = None
        self.over = False  # its end is decided
        self.passing_on = False
        self.input = b""
        self.input_ended = False
        if params["do"] == "echoes":
            self.stdin = "pipe"
        self.work: Callable[[str], int] = getattr(self, params["do"])
        self.text = params.get("text", "")

    def begin(self) -> None:
        threading.Thread(target=self.go, daemon=True).start()
        self.begun()

    def go(self) -> None:
        code = self.work(self.text)
        with self.changed:
            if self.over:
                return
            self.over = True
            self.changed.notify_all()
        self.finish(code)

    def finish(self, code: int) -> None:
        self.ended(code)

    def stop(self, grace: float | None = None) -> None:
        if not self.asked_to_stop():
            return
        until = time.monotonic() + (self.run.stop.grace if grace is None else grace)
        with self.changed:
            first = self.give_up_at is None
            self.give_up_at = until if self.give_up_at is None else min(self.give_up_at, until)
            self.stopped.set()
            self.changed.notify_all()
        if first:
            threading.Thread(target=self.give_up, daemon=True).start()

    def give_up(self) -> None:
        with self.changed:
            while not self.over:
                assert self.give_up_at is not None
                remaining = self.give_up_at - time.monotonic()
                if remaining <= 0:
                    self.over = True
                    break
                self.changed.wait(remaining)
            else:
                return
            self.changed.wait_for(lambda: not self.passing_on, self.held_up)
        self.finish(-1)

    def write(self, *lines: str, truncated: bool = False) -> None:
        with self.changed:
            if self.over:
                return
            self.passing_on = True
        self.deliver(overseer.OutputBatch("stdout", datetime.now(UTC), list(lines), truncated))
        with self.changed:
            self.passing_on = False
            self.changed.notify_all()

    def deliver(self, batch: overseer.OutputBatch) -> None:
        self.pass_on(batch)

    def give_input(self, data: bytes, *, eof: bool = False) -> None:
        if self.stdin == "none":
            super().give_input(data, eof=eof)
        with self.changed:
            if self.over or len(self.input) + len(data) > self.most:
                raise overseer.OverseerError("not now")
            self.input += data
            self.input_ended = eof
            self.changed.notify_all()

    # What it can do

    def echoes(self, text: str) -> int:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.input or self.input_ended or self.stopped.is_set())
                lines, self.input = self.input.decode().splitlines(), b""
                ends = self.input_ended or self.stopped.is_set()
            self.write(*lines)
            if ends:
                return 0

    def prints(self, text: str) -> int:
        for line in text.splitlines():
            self.write(line)
        return 0

    def prints_bytes(self, text: str) -> int:
        for data in bytes.fromhex(text).splitlines():
            self.write(self.decoded(data))
        return 0

    def decoded(self, data: bytes) -> str:
        text = data.decode("utf-8", "surrogateescape")
        return "".join("\ufffd" if "\udc80" <= each <= "\udcff" else each for each in text)

    def counts(self, text: str) -> int:
        last, width = map(int, text.split())
        for number in range(1, last + 1):
            line = f"{number:0{width}d}"
            most = self.run.max_line
            self.write(line[:most], truncated=len(line) > most)
        return 0

    def exits(self, text: str) -> int:
        return int(text)

    def waits(self, text: str) -> int:
        self.write("up")
        self.stopped.wait()
        return 5

    def ignores(self, text: str) -> int:
        self.write("up")
        Handler.over.wait(30)
        return 6


class Handler(overseer.ActionHandler):
    over = threading.Event()  # set when the test is over, for what ignores its stop

    def __init__(self, worker: type[OwnWorker]) -> None:
        self.worker = worker

    def describe(self) -> overseer.ActionInfo:
        return overseer.ActionInfo("own", "own", params={"do": None, "text": overseer.ParamSpec(default="")})

    def validate(self, params: Mapping[str, str]) -> None:
        if "do" not in params:
            raise overseer.ValidationError("say what to do", param="do")

    def start(
        self, task_id: str, params: Mapping[str, str], callbacks: overseer.WorkerCallbacks
    ) -> overseer.Worker:
        if params["do"] == "fails":
            raise overseer.SpawnError("it cannot be started")
        worker = self.worker(task_id, params, callbacks)
        try:
            worker.begin()
        except RuntimeError as error:
            raise overseer.SpawnError(f"it cannot be started: {error}") from error
        return worker


class Factory:
    type = "own"

    def __init__(self, worker: type[OwnWorker] = OwnWorker, handler: type[Handler] = Handler) -> None:
        self.worker, self.handler = worker, handler

    def create(
        self,
        config: Mapping[str, Any],
        action_name: str,
        retry: overseer.RetryPolicy,
        pool: overseer.PoolConfig,
        dedupe_key: tuple[str, ...],
    ) -> Handler:
        if config.get("colour"):
            raise overseer.ConfigError("it has no colour", path=("colour",))
        return self.handler(self.worker)


class OwnContract(DriverContract):
    """Not collected itself: pytest does so with what is named Test..."""

    held_up = 1.0

    def driver(self) -> overseer.ActionHandlerFactory:
        return Factory()

    def prints(self, lines: Sequence[str]) -> Script | None:
        return Script({"do": "prints", "text": "\n".join(lines) + "\n" if lines else ""})

    def prints_bytes(self, data: bytes) -> Script | None:
        return Script({"do": "prints_bytes", "text": data.hex()})

    def counts(self, last: int, width: int) -> Script | None:
        return Script({"do": "counts", "text": f"{last} {width}"})

    def exits(self, code: int) -> Script | None:
        return Script({"do": "exits", "text": str(code)})

    def runs_until_stopped(self) -> Script | None:
        return Script({"do": "waits"}, lines=["up"])

    def ignores_stop(self) -> Script | None:
        return Script({"do": "ignores"}, lines=["up"])

    def echoes(self) -> Script | None:
        return Script({"do": "echoes"})

    def fails_to_start(self) -> Script | None:
        return Script({"do": "fails"})

    def unusable(self) -> Sequence[tuple[Mapping[str, Any], tuple[str | int, ...]]]:
        return [({"colour": "red"}, ("colour",))]
