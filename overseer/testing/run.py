"""One run of a driver, started and watched as the server would, which notes every breach of the contract."""

from __future__ import annotations

import logging
import operator
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any

from overseer.drivers.api import ActionHandler
from overseer.errors import SpawnError
from overseer.process.policy import StopPolicy
from overseer.testing import contract
from overseer.testing.contract import Broken, Clause
from overseer.testing.script import Script
from overseer.util.masking import Secrets
from overseer.workers.base import OutputBatch, RunContext, Worker, WorkerCallbacks, run_context

_log = logging.getLogger(__name__)

AT_ONCE_S = 3.0  # what happens "at once" takes milliseconds; this is for a machine with other things to do
_SETTLE_S = 0.02  # in which an end that is told twice would be heard
_SHOWN = 5  # lines shown of what came


def called(what: Callable[[], Any], clause: Clause, seen: str, seconds: float = AT_ONCE_S) -> Any:
    """What a call returns, which must come in time; it is made on a thread of its own.

    Raises:
        Broken: it has not returned; ``seen`` says what was called, and when.
        BaseException: what it raises.
    """
    call = Call(what)
    call.start()
    call.join(seconds)
    if call.error is not None:
        raise call.error
    if call.is_alive():
        raise Broken(clause, f"{seen} had not returned after {seconds:g} s")
    return call.result


class Call(threading.Thread):
    """A call on a thread of its own; what it returns or raises is kept."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__(name="kit-call", daemon=True)
        self._call = call
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self._call()
        except BaseException as error:
            self.error = error


class _Lines:
    """``on_output`` as the server hands it out, which takes unfinished and raw output as well."""

    def __init__(self, take: Callable[[OutputBatch], None]) -> None:
        self._take = take

    def __call__(self, batch: OutputBatch) -> None:
        self._take(batch)

    def unfinished(self, stream: str, line: bytes) -> None:
        """Not shown to anybody."""

    def raw(self, data: bytes) -> None:
        """Not shown to anybody."""


class Run:
    """A run; :meth:`start` starts it, :meth:`finish` waits for its end and raises the first breach seen.

    Args:
        patience: seconds to wait for what must come.
        grace: the action's ``stop_grace``.
        taker: called with each batch, on the worker's thread; it may block and raise.
        ending: called instead of accepting the end, on the worker's thread.
        keep: keep the lines; otherwise only their number.
        begun: called with the worker when the driver says that it has begun.
        within: entered around the driver's ``start``, on its thread.
    """

    def __init__(
        self,
        handler: ActionHandler,
        task_id: str,
        script: Script,
        patience: float,
        *,
        grace: float = 5.0,
        max_line: int = 10 << 20,
        secrets: Sequence[str] = (),
        taker: Callable[[OutputBatch], None] | None = None,
        ending: Callable[[], None] | None = None,
        keep: bool = True,
        begun: Callable[[Worker], None] = lambda worker: None,
        within: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self.task_id = task_id
        self._handler = handler
        self._params = dict(script.params)
        self._patience = patience
        self._taker, self._ending, self._keep = taker, ending, keep
        self._within = within
        self._changed = threading.Condition()  # guards the rest; notified whenever something happens
        self.lines: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self.batches: list[OutputBatch] = []
        self.exits: list[tuple[Worker, int, bool, datetime]] = []
        self.exit_by_run: tuple[Any, ...] | None = None  # what run.exited was called with
        self.count = 0  # lines
        self.error: BaseException | None = None  # what start() raised
        self.may_be_held_up = False  # an end without an on_output that does not return is as it should be
        self.asked_to_stop = False
        self._faults: list[Broken] = []
        self._busy: Counter[str] = Counter()  # calls of on_output under way
        self._worker: Worker | None = None
        self._settled = threading.Event()  # start() has returned, and what came before then is passed on
        self._early: list[Callable[[], None]] | None = []  # said within start(), on its thread
        self._launcher: threading.Thread | None = None
        self._stoppers: list[threading.Thread] = []
        self.context = RunContext(
            task_id,
            stop=StopPolicy(grace=grace),
            max_line=max_line,
            exited=self._exited_by_run,
            begun=begun,
            secrets=Secrets(secrets),
            read_secret=_no_secret,
        )
        self._callbacks = WorkerCallbacks(
            _Lines(self._on_output), lambda text: None, self._on_exited, self.context
        )

    # What a check does

    @property
    def worker(self) -> Worker:
        assert self._worker is not None, "it was not started"
        return self._worker

    def start(self, clause: Clause = contract.START) -> Run:
        """Start it on a thread of its own, as the server does.

        Raises:
            Broken: ``start`` did not return in time (the clause), or returned nothing usable.
        """
        self.launch(clause)
        if isinstance(self.error, Broken):
            raise self.error
        if self.error is not None:
            raise Broken(contract.START, f"start() raised {self.error!r}")
        return self

    def launch(self, clause: Clause = contract.START) -> None:
        """As :meth:`start`, but what it raises is kept in ``error``."""
        self._launcher = threading.Thread(target=self._launch, name="kit-launch", daemon=True)
        self._launcher.start()
        self._launcher.join(self._patience)
        if not self._settled.is_set():
            self._settled.set()
            raise Broken(clause, f"start() had not returned after {self._patience:g} s")

    def stop(self, grace: float | None = None) -> None:
        """Stop it from a thread of its own; the call must return at once, and raise nothing."""
        self.asked_to_stop = True
        stopper = Call(lambda: self.worker.stop(grace))
        self._stoppers.append(stopper)
        stopper.start()
        within = min(AT_ONCE_S, self._patience)
        stopper.join(within)
        if stopper.is_alive():
            raise Broken(contract.STOP, f"stop() had not returned after {within:g} s; {self}")
        if stopper.error is not None:
            raise Broken(contract.STOP, f"stop() raised {stopper.error!r}; {self}")

    def wait_for(self, true: Callable[[], bool], clause: Clause, missing: str) -> None:
        """Wait until ``true()``, asked whenever something happens."""
        with self._changed:
            came = self._changed.wait_for(lambda: bool(self._faults) or true(), self._patience)
            if self._faults:
                raise self._faults[0]
        if came:
            return
        raise Broken(clause, f"{missing} after {self._patience:g} s; {self}")

    def wait_for_lines(self, number: int, clause: Clause = contract.PROMPT) -> None:
        self.wait_for(lambda: self.count >= number or bool(self.exits), clause, f"line {number} had not come")
        if self.count < number:
            raise Broken(clause, f"line {number} had not come when the run ended; {self}")

    def finish(self, clause: Clause = contract.EXIT) -> Run:
        """Wait for its end; raise what it has broken."""
        self.wait_for(lambda: bool(self.exits), clause, "on_exited had not been called")
        self._check_state()
        time.sleep(_SETTLE_S)
        with self._changed:
            if self._faults:
                raise self._faults[0]
        return self

    def _check_state(self) -> None:
        worker = self.worker
        if self._ending is None and not called(
            lambda: worker.wait(self._patience), contract.STATE, "wait()", self._patience + AT_ONCE_S
        ):
            raise Broken(contract.STATE, f"wait({self._patience:g}) was false after the end; {self}")
        _, code, intentional, _ = self.exits[0]
        if intentional and not self.asked_to_stop:
            raise Broken(contract.CODE, f"on_exited said intentional without a stop; {self}")
        if code == -1 and not intentional and worker.pid and not worker.signal:
            raise Broken(contract.CODE, f"the code was -1, and the worker's signal was empty; {self}")

    def end(self) -> None:
        """After the check, whatever came of it: have it end."""
        for worker in self.context.workers if self._worker is None else [self._worker]:
            if not self.exits:
                self.asked_to_stop = True
                try:
                    worker.stop(0.0)
                    if self._worker is not None:
                        worker.wait(self._patience)
                except Exception:
                    _log.exception("the driver failed to end a run")

    def __str__(self) -> str:
        with self._changed:
            what = [f"it started as {self._worker!r}" if self._worker is not None else "it has not started"]
            shown = [line[:60] for line in self.lines["stdout"][:_SHOWN]]
            what.append(f"{self.count} lines" + (f" ({shown!r}...)" if shown else ""))
            what += [f"on_exited(code {code}, intentional {told})" for _, code, told, _ in self.exits]
        return "so far: " + "; ".join(what)

    # What the driver is given, and calls

    def _launch(self) -> None:
        try:
            with run_context(self.context), self._within():
                given: object = self._handler.start(self.task_id, self._params, self._callbacks)
            self._worker = self._checked(given)
        except BaseException as error:
            self.error = error
            for worker in self.context.workers:
                worker.stop()
        early, self._early = self._early or [], None
        for say in early:
            say()
        self._settled.set()
        with self._changed:
            self._changed.notify_all()

    def _checked(self, given: object) -> Worker:
        if not isinstance(given, Worker):
            raise Broken(contract.START, f"start() returned {given!r}, which is no Worker")
        if given.task_id != self.task_id:
            raise Broken(contract.START, f"the worker's task_id was {given.task_id!r}, not {self.task_id!r}")
        if not isinstance(given.started_at, datetime) or given.started_at.tzinfo is None:
            raise Broken(contract.START, f"the worker's started_at was {given.started_at!r}")
        operator.index(given.pid)
        if not any(given is each for each in self.context.workers):
            raise Broken(
                contract.START,
                "the worker's callbacks belong to another run than those that start() got, or to none",
            )
        return given

    def _gate(self, say: Callable[[], None]) -> bool:
        """Whether to go on: what comes before ``start`` has returned waits, or is kept if it cannot wait."""
        if not self._settled.is_set():
            if threading.current_thread() is not self._launcher:
                self._settled.wait()
            elif self._early is not None:
                self._early.append(say)
                return False
        return self.error is None

    def _on_output(self, batch: OutputBatch) -> None:
        if not self._gate(lambda: self._on_output(batch)):
            return
        with self._changed:
            self._check_batch(batch)
            if self.exits:
                self._fault(contract.EXIT, f"{batch!r:.200} came after on_exited")
                return
            if self._busy[batch.stream]:
                self._fault(contract.IN_TURN, f"{batch!r:.200} came before on_output had returned")
            self._check_thread("on_output")
            self._busy[batch.stream] += 1
            self.count += len(batch.lines)
            if self._keep:
                self.lines[batch.stream] += batch.lines
                self.batches.append(batch)
            self._changed.notify_all()
        try:
            if self._taker is not None:
                self._taker(batch)
        finally:
            with self._changed:
                self._busy[batch.stream] -= 1

    def _on_exited(self, worker: Worker, exit_code: int, intentional: bool, at: datetime) -> None:
        if not self._gate(lambda: self._on_exited(worker, exit_code, intentional, at)):
            return
        with self._changed:
            if self.exits:
                self._fault(contract.EXIT, "on_exited was called again")
            if any(self._busy.values()) and not self.may_be_held_up:
                self._fault(contract.EXIT, "on_exited was called before on_output had returned")
            if isinstance(exit_code, bool) or not isinstance(exit_code, int):
                self._fault(contract.CODE, f"on_exited got the exit code {exit_code!r}")
            if not isinstance(at, datetime) or at.tzinfo is None:
                self._fault(contract.STATE, f"on_exited got the time {at!r}")
            if worker.state != "exited" or worker.exit_code is None or worker.exited_at is None:
                facts = (worker.state, worker.exit_code, worker.exited_at)
                self._fault(
                    contract.STATE, f"state, exit_code and exited_at were {facts} when on_exited was called"
                )
            self._check_thread("on_exited")
            self.exits.append((worker, exit_code, intentional, at))
            self._changed.notify_all()
        if self._ending is not None:
            try:
                self._ending()
            finally:
                with self._changed:
                    self._changed.notify_all()

    def _exited_by_run(self, worker: Worker, exit_code: int, intentional: bool, at: datetime) -> None:
        with self._changed:
            self.exit_by_run = (worker, exit_code, intentional, at)
            self._changed.notify_all()

    def _check_batch(self, batch: OutputBatch) -> None:
        wrong = [line for line in batch.lines if not isinstance(line, str) or line.endswith("\n")]
        if batch.stream not in ("stdout", "stderr"):
            self._fault(contract.BATCH, f"a batch's stream was {batch.stream!r}")
        if not isinstance(batch.lines, list) or wrong:
            self._fault(contract.BATCH, f"a batch's lines were {batch.lines!r:.200}")
        if not isinstance(batch.ts, datetime) or batch.ts.tzinfo is None:
            self._fault(contract.BATCH, f"a batch's ts was {batch.ts!r}")

    def _check_thread(self, what: str) -> None:
        me = threading.current_thread()
        if me is self._launcher and self._settled.is_set():
            self._fault(contract.THREADS, f"{what} was called on the thread that had called start()")
        if me in self._stoppers:
            self._fault(contract.THREADS, f"{what} was called on the thread that calls stop()")

    def _fault(self, clause: Clause, seen: str) -> None:
        self._faults.append(Broken(clause, seen))
        self._changed.notify_all()


def _no_secret(name: str) -> str:
    raise SpawnError(f"there is no secret {name!r}")
