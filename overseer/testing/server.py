"""Stands for the server: makes a driver's handlers, starts runs, and has time pass when it is told to."""

from __future__ import annotations

import heapq
import itertools
import json
import logging
import os
import tempfile
import threading
import uuid
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from overseer.config import load_config
from overseer.drivers.api import ActionHandler, ActionHandlerFactory, ServiceHandler, create_handler
from overseer.errors import ConfigWarning, SubmitError
from overseer.testing import contract
from overseer.testing.contract import Broken
from overseer.testing.leaks import processes_with
from overseer.testing.run import Run
from overseer.testing.script import Script

MARKER = "DRIVER_CONTRACT"
"""The variable by which processes that a check has started are found."""

_log = logging.getLogger(__name__)

_SERVICE_S = 3.0  # a second, by the contract; the rest is for a machine with other things to do


class Clock:
    """The server's time: it passes only when :meth:`advance` is called."""

    def __init__(self) -> None:
        self.now = 0.0
        self._numbers = itertools.count()
        self._due: list[tuple[float, int, Callable[[], object]]] = []

    def after(self, seconds: float, call: Callable[[], object]) -> None:
        heapq.heappush(self._due, (self.now + seconds, next(self._numbers), call))

    def advance(self, seconds: float) -> None:
        """Let this much time pass; what is due within it is called in order."""
        until = self.now + seconds
        while self._due and self._due[0][0] <= until:
            self.now, _, call = heapq.heappop(self._due)
            call()
        self.now = until


def handler_of(factory: ActionHandlerFactory, config: Mapping[str, Any]) -> ActionHandler:
    """A handler, made from settings that were read from a file.

    Raises:
        ConfigError: the driver refuses the settings.
    """
    action = {"type": factory.type, "config": dict(config)}
    with tempfile.TemporaryDirectory(prefix="driver-contract-") as directory:
        file = Path(directory) / "config.yaml"
        file.write_text(json.dumps({"actions": {"contract": action}}))  # JSON is YAML
        read = load_config(file, {})  # whatever the environment says of another server
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConfigWarning)
        return create_handler(factory, read, "contract")


class Server:
    """A handler in use, and its runs of a script; a context manager that ends them all."""

    def __init__(
        self, factory: ActionHandlerFactory, config: Mapping[str, Any], script: Script, patience: float
    ) -> None:
        self.script = script
        self.handler = handler_of(factory, config)
        self.clock = Clock()
        self._patience = patience
        self._numbers = itertools.count(1)
        self._runs: list[Run] = []
        self._stop_service = threading.Event()
        self._service: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._marker = uuid.uuid4().hex
        os.environ[MARKER] = self._marker
        if isinstance(self.handler, ServiceHandler):
            self._service = threading.Thread(target=self._serve, args=(self.handler,), daemon=True)
            self._service.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            for run in self._runs:
                run.end()
        finally:
            self._stop_service.set()
            os.environ.pop(MARKER, None)
        if self._service is not None:
            within = min(_SERVICE_S, self._patience)
            self._service.join(within)
            if self._service.is_alive() and kind is None:
                seen = f"run_service() had not returned {within:g} s after stop was set"
                raise Broken(contract.SERVICE, seen)

    def _serve(self, handler: ServiceHandler) -> None:
        try:
            handler.run_service(self._stop_service, self)
        except Exception:  # its action can still be started
            _log.exception("the driver's service failed")

    def run(self, task_id: str = "", **how: Any) -> Run:
        """A run of the script that is yet to be started; ``how`` as :class:`Run` takes it."""
        run = Run(self.handler, task_id or f"task-{next(self._numbers)}", self.script, self._patience, **how)
        self._runs.append(run)
        return run

    def processes(self) -> dict[int, str]:
        """What has been started since, and lives: pid to command line."""
        found = processes_with(MARKER, self._marker)
        found.pop(os.getpid(), None)
        return found

    def submit(self, action: str, task_id: str = "", params: Mapping[str, str] | None = None) -> str:
        """For a service: this server has no other action."""
        raise SubmitError(f"no action {action!r}")
