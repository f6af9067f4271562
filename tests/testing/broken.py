"""Drivers that break the contract, each in one way, with what finds it out."""

from __future__ import annotations

import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

import overseer
from overseer.testing import contract
from overseer.testing.contract import Clause
from tests.testing.own import Factory, Handler, OwnWorker

__all__ = ["BROKEN", "clean_up"]

BROKEN: list[tuple[Clause, str, type, bool]] = []
"""The clause, the check that finds out, a worker, handler or factory, and whether it takes a wait."""

_Kind = TypeVar("_Kind", bound=type)
_cleanups: list[Callable[[], object]] = []
_never = threading.Event()  # set when the test is over


def breaks(clause: Clause, check: str, *, waits: bool = False) -> Callable[[_Kind], _Kind]:
    """``waits``: what shows the breach is that something does not come."""

    def add(kind: _Kind) -> _Kind:
        BROKEN.append((clause, f"test_{check}", kind, waits))
        return kind

    return add


def clean_up() -> None:
    """End what the last of them has left behind."""
    global _never
    _never.set()
    _never = threading.Event()
    while _cleanups:
        _cleanups.pop()()


def _leave_thread() -> None:
    thread = threading.Thread(target=_never.wait, daemon=True)
    thread.start()
    _cleanups.append(thread.join)


def _leave_descriptor() -> None:
    fd = os.open("/dev/null", os.O_RDONLY)
    _cleanups.append(lambda: os.close(fd))


def _leave_process() -> None:
    # Not a child: its parent is gone at once.
    pid = int(subprocess.check_output(["sh", "-c", "sleep 60 >/dev/null & echo $!"]))
    _cleanups.append(lambda: os.kill(pid, 9))


# Handlers


@breaks(contract.CREATE, "creating_a_handler_starts_nothing")
class StartsAThreadAtOnce(Factory):
    def create(self, *arguments: Any) -> Handler:
        _leave_thread()
        return super().create(*arguments)


@breaks(contract.CREATE, "creating_a_handler_starts_nothing")
class OpensAFileAtOnce(Factory):
    def create(self, *arguments: Any) -> Handler:
        _leave_descriptor()
        return super().create(*arguments)


@breaks(contract.SETTINGS, "settings_that_cannot_be_used_are_configuration_errors")
class TakesAnySettings(Factory):
    def create(self, config: Mapping[str, Any], *arguments: Any) -> Handler:
        return super().create({}, *arguments)


@breaks(contract.SETTINGS, "settings_that_cannot_be_used_are_configuration_errors")
class FailsAtSettings(Factory):
    def create(self, config: Mapping[str, Any], *arguments: Any) -> Handler:
        if config.get("colour"):
            raise KeyError("colour")
        return super().create(config, *arguments)


@breaks(contract.DESCRIBE, "a_handler_describes_itself")
class DescribesItselfAnew(Handler):
    def describe(self) -> overseer.ActionInfo:
        return replace(super().describe(), description=str(time.monotonic_ns()))


@breaks(contract.DESCRIBE, "a_handler_describes_itself")
class DescribesNothing(Handler):
    def describe(self) -> overseer.ActionInfo:
        return {"name": "own"}  # type: ignore[return-value]


@breaks(contract.VALIDATE, "parameters_that_do_not_fit_are_refused")
class TakesAnything(Handler):
    def validate(self, params: Mapping[str, str]) -> None:
        pass


@breaks(contract.VALIDATE, "parameters_that_do_not_fit_are_refused")
class FailsToValidate(Handler):
    def validate(self, params: Mapping[str, str]) -> None:
        _ = params["do"]


@breaks(contract.VALIDATE, "parameters_that_fit_are_accepted")
class TakesNothing(Handler):
    def validate(self, params: Mapping[str, str]) -> None:
        raise overseer.ValidationError("no")


class _WithALock(Handler):
    """Holds a lock of its own where it must not."""

    def __init__(self, worker: type[OwnWorker]) -> None:
        super().__init__(worker)
        self.lock = threading.Lock()

    def locked(self, callbacks: overseer.WorkerCallbacks) -> overseer.WorkerCallbacks:
        def on_output(batch: overseer.OutputBatch) -> None:
            with self.lock:
                callbacks.on_output(batch)

        return replace(callbacks, on_output=on_output)

    def start(
        self, task_id: str, params: Mapping[str, str], callbacks: overseer.WorkerCallbacks
    ) -> overseer.Worker:
        return super().start(task_id, params, self.locked(callbacks))


@breaks(contract.AT_ONCE, "a_callback_that_blocks_holds_up_no_other_call", waits=True)
class DescribesUnderALock(_WithALock):
    def describe(self) -> overseer.ActionInfo:
        with self.lock:
            return super().describe()


@breaks(contract.AT_ONCE, "a_callback_that_blocks_holds_up_no_other_call", waits=True)
class StartsUnderALock(_WithALock):
    def start(
        self, task_id: str, params: Mapping[str, str], callbacks: overseer.WorkerCallbacks
    ) -> overseer.Worker:
        with self.lock:
            pass
        return super().start(task_id, params, callbacks)


@breaks(contract.AT_ONCE, "many_runs_start_and_go_on_at_once")
class RunsOneAtATime(Handler):
    def __init__(self, worker: type[OwnWorker]) -> None:
        super().__init__(worker)
        self.params: Mapping[str, str] = {}
        self.busy = threading.Semaphore(1)

    def start(
        self, task_id: str, params: Mapping[str, str], callbacks: overseer.WorkerCallbacks
    ) -> overseer.Worker:
        if not self.busy.acquire(blocking=False):
            raise overseer.SpawnError("it is busy")
        time.sleep(0.01)
        self.busy.release()
        return super().start(task_id, params, callbacks)


@breaks(contract.START, "start_returns_a_worker_and_waits_for_no_callback", waits=True)
class WaitsForALine(Handler):
    def start(
        self, task_id: str, params: Mapping[str, str], callbacks: overseer.WorkerCallbacks
    ) -> overseer.Worker:
        taken = threading.Event()

        def on_output(batch: overseer.OutputBatch) -> None:
            callbacks.on_output(batch)
            taken.set()

        worker = super().start(task_id, params, replace(callbacks, on_output=on_output))
        taken.wait(5)
        return worker


@breaks(contract.START, "start_returns_a_worker_and_waits_for_no_callback")
class ReturnsNothing(Handler):
    def start(self, *arguments: Any) -> overseer.Worker:
        super().start(*arguments)
        return None  # type: ignore[return-value]


@breaks(contract.START, "start_returns_a_worker_and_waits_for_no_callback")
class ReturnsAnotherTask(Handler):
    def start(self, task_id: str, *arguments: Any) -> overseer.Worker:
        return super().start("another", *arguments)


@breaks(contract.START, "start_returns_a_worker_and_waits_for_no_callback")
class MakesItsOwnCallbacks(Handler):
    def start(
        self, task_id: str, params: Mapping[str, str], callbacks: overseer.WorkerCallbacks
    ) -> overseer.Worker:
        mine: list[overseer.Worker] = []

        def start() -> None:  # on another thread, where nobody knows which run they are for
            given = overseer.WorkerCallbacks(callbacks.on_output, callbacks.log_event, callbacks.on_exited)
            mine.append(overseer.start_virtual_worker(task_id, lambda context, send: 0, given))

        thread = threading.Thread(target=start)
        thread.start()
        thread.join()
        return mine[0]


@breaks(contract.FAILED_START, "a_start_that_fails_says_why_and_leaves_nothing")
class FailsWithoutAWord(Handler):
    def start(self, task_id: str, params: Mapping[str, str], *arguments: Any) -> overseer.Worker:
        if params["do"] == "fails":
            raise KeyError("fails")
        return super().start(task_id, params, *arguments)


@breaks(contract.FAILED_START, "a_start_that_fails_says_why_and_leaves_nothing")
class FailsInManyLines(Handler):
    def start(self, task_id: str, params: Mapping[str, str], *arguments: Any) -> overseer.Worker:
        if params["do"] == "fails":
            raise overseer.SpawnError("Traceback:\n  it failed")
        return super().start(task_id, params, *arguments)


@breaks(contract.FAILED_START, "a_start_that_fails_says_why_and_leaves_nothing")
class DoesNotFail(Handler):
    def start(self, task_id: str, params: Mapping[str, str], *arguments: Any) -> overseer.Worker:
        return super().start(task_id, {**params, "do": "prints"}, *arguments)


class _LeavesSomething(Handler):
    leave: Callable[[], None]

    def start(self, task_id: str, params: Mapping[str, str], *arguments: Any) -> overseer.Worker:
        if params["do"] == "fails":
            type(self).leave()
        return super().start(task_id, params, *arguments)


@breaks(contract.FAILED_START, "a_start_that_fails_says_why_and_leaves_nothing", waits=True)
class FailsAndLeavesAThread(_LeavesSomething):
    leave = staticmethod(_leave_thread)


@breaks(contract.FAILED_START, "a_start_that_fails_says_why_and_leaves_nothing", waits=True)
class FailsAndLeavesADescriptor(_LeavesSomething):
    leave = staticmethod(_leave_descriptor)


@breaks(contract.FAILED_START, "a_start_that_fails_says_why_and_leaves_nothing", waits=True)
class FailsAndLeavesAProcess(_LeavesSomething):
    leave = staticmethod(_leave_process)


@breaks(contract.FAILED_START, "a_start_that_gets_no_thread_leaves_nothing", waits=True)
class LeavesWhatItOpenedForAThread(OwnWorker):
    def begin(self) -> None:
        fd = os.open("/dev/null", os.O_RDONLY)
        try:
            super().begin()
        except RuntimeError:
            _cleanups.append(lambda: os.close(fd))
            self.over = True
            self.stopped.set()
            raise
        os.close(fd)


@breaks(contract.FAILED_START, "a_start_that_gets_no_descriptor_leaves_nothing", waits=True)
class LeavesTheFirstOfTwoDescriptors(OwnWorker):
    def begin(self) -> None:
        first = os.open("/dev/null", os.O_RDONLY)
        try:
            os.close(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            _cleanups.append(lambda: os.close(first))
            raise
        os.close(first)
        super().begin()


@breaks(contract.RESTART, "each_restart_is_a_run_of_its_own")
class SpeaksOnlyOnce(Handler):
    def __init__(self, worker: type[OwnWorker]) -> None:
        super().__init__(worker)
        self.started: set[str] = set()

    def start(self, task_id: str, params: Mapping[str, str], *arguments: Any) -> overseer.Worker:
        if task_id in self.started:
            params = {"do": "prints"}
        self.started.add(task_id)
        return super().start(task_id, params, *arguments)


# Output


@breaks(contract.ORDER, "lines_arrive_as_they_were_written")
class SwapsLines(OwnWorker):
    def prints(self, text: str) -> int:
        return super().prints("\n".join(sorted(text.splitlines())))


@breaks(contract.ORDER, "lines_arrive_as_they_were_written")
class StripsLines(OwnWorker):
    def write(self, *lines: str, truncated: bool = False) -> None:
        super().write(*(line.strip() for line in lines), truncated=truncated)


@breaks(contract.ORDER, "lines_arrive_as_they_were_written")
class LosesEmptyLines(OwnWorker):
    def write(self, *lines: str, truncated: bool = False) -> None:
        super().write(*filter(None, lines), truncated=truncated)


@breaks(contract.ORDER, "a_run_without_output_has_none")
class AddsALine(OwnWorker):
    def finish(self, code: int) -> None:
        self.over = False
        self.write("")
        super().finish(code)


@breaks(contract.ORDER, "a_single_line_arrives")
class SaysItTwice(OwnWorker):
    def prints(self, text: str) -> int:
        super().prints(text)
        return super().prints(text)


@breaks(contract.ORDER, "a_large_output_arrives_whole_and_in_order")
class LosesALineInMany(OwnWorker):
    def write(self, *lines: str, truncated: bool = False) -> None:
        if not lines[0].endswith("9999"):
            super().write(*lines, truncated=truncated)


@breaks(contract.ORDER, "long_lines_arrive_whole")
class SplitsLongLines(OwnWorker):
    def write(self, *lines: str, truncated: bool = False) -> None:
        for line in lines:
            for at in range(0, len(line), 65536):
                super().write(line[at : at + 65536])


@breaks(contract.BATCH, "lines_arrive_as_they_were_written")
class KeepsLineEnds(OwnWorker):
    def write(self, *lines: str, truncated: bool = False) -> None:
        super().write(*(line + "\n" for line in lines), truncated=truncated)


@breaks(contract.BATCH, "a_single_line_arrives")
class SendsBytes(OwnWorker):
    def write(self, *lines: str, truncated: bool = False) -> None:
        super().write(*(line.encode() for line in lines))  # type: ignore[arg-type]


@breaks(contract.BATCH, "a_single_line_arrives")
class InventsAStream(OwnWorker):
    def deliver(self, batch: overseer.OutputBatch) -> None:
        super().deliver(replace(batch, stream="log"))


@breaks(contract.BATCH, "a_single_line_arrives")
class KnowsNoTimeZone(OwnWorker):
    def deliver(self, batch: overseer.OutputBatch) -> None:
        super().deliver(replace(batch, ts=batch.ts.replace(tzinfo=None)))


@breaks(contract.IN_TURN, "output_waits_while_it_is_not_taken_and_none_is_lost")
class SpeaksWithTwoTongues(OwnWorker):
    def deliver(self, batch: overseer.OutputBatch) -> None:
        first = int(batch.lines[0]) == 1
        threads = [threading.Thread(target=self.pass_on, args=(batch,)) for _ in range(2 if first else 0)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


@breaks(contract.PROMPT, "a_line_arrives_when_it_is_written", waits=True)
class CollectsLines(OwnWorker):
    kept: list[str] | None = None

    def write(self, *lines: str, truncated: bool = False) -> None:
        self.kept = [*(self.kept or []), *lines]

    def finish(self, code: int) -> None:
        for line in self.kept or ():
            self.deliver(overseer.OutputBatch("stdout", datetime.now().astimezone(), [line]))
        super().finish(code)


@breaks(contract.UTF8, "bytes_that_are_not_utf8_are_replaced")
class IgnoresBadBytes(OwnWorker):
    def decoded(self, data: bytes) -> str:
        return data.decode("utf-8", "ignore")


@breaks(contract.UTF8, "a_last_line_without_an_end_arrives")
class LosesTheUnfinishedLine(OwnWorker):
    def prints_bytes(self, text: str) -> int:
        data = bytes.fromhex(text)
        return super().prints_bytes(data[: data.rfind(b"\n") + 1].hex())


@breaks(contract.LONG_LINES, "a_line_that_is_too_long_is_cut")
class CutsNoLines(OwnWorker):
    def write(self, *lines: str, truncated: bool = False) -> None:
        width = int(self.text.split()[1])
        super().write(*(line.ljust(width, "0") for line in lines), truncated=truncated)


@breaks(contract.LONG_LINES, "a_line_that_is_too_long_is_cut")
class CutsInSilence(OwnWorker):
    def write(self, *lines: str, truncated: bool = False) -> None:
        super().write(*lines)


@breaks(contract.PRESSURE, "output_waits_while_it_is_not_taken_and_none_is_lost")
class KeepsEverything(OwnWorker):
    waiting: queue.SimpleQueue[overseer.OutputBatch | None] | None = None

    def deliver(self, batch: overseer.OutputBatch) -> None:
        if self.waiting is None:
            self.waiting = queue.SimpleQueue()
            self.speaker = threading.Thread(target=self.speak, args=(self.waiting,), daemon=True)
            self.speaker.start()
        self.waiting.put(batch)

    def speak(self, waiting: queue.SimpleQueue[overseer.OutputBatch | None]) -> None:
        while (batch := waiting.get()) is not None:
            self.pass_on(batch)

    def finish(self, code: int) -> None:
        if self.waiting is not None:
            self.waiting.put(None)
            self.speaker.join()
        super().finish(code)


@breaks(contract.ORDER, "output_waits_while_it_is_not_taken_and_none_is_lost")
class DropsWhatIsNotTaken(OwnWorker):
    waiting: queue.Queue[overseer.OutputBatch] | None = None

    def deliver(self, batch: overseer.OutputBatch) -> None:
        if self.waiting is None:
            self.waiting = queue.Queue(100)
            threading.Thread(target=self.speak, args=(self.waiting,), daemon=True).start()
        with suppress(queue.Full):
            self.waiting.put_nowait(batch)

    def speak(self, waiting: queue.Queue[overseer.OutputBatch]) -> None:
        while True:
            batch = waiting.get()
            self.pass_on(batch)
            waiting.task_done()
            if self.over and waiting.empty():
                return

    def finish(self, code: int) -> None:
        if self.waiting is not None:
            self.waiting.join()
        super().finish(code)


@breaks(contract.SECRETS, "secrets_are_masked")
class OnlySaysThatItMasks(OwnWorker):
    hides_secrets = True


class _CallsByItself(OwnWorker):
    """Calls the callbacks without the help of its base class."""

    def deliver(self, batch: overseer.OutputBatch) -> None:
        self.callbacks.on_output(batch)


@breaks(contract.OUTPUT_RAISES, "a_batch_that_cannot_be_taken_is_lost_and_no_other", waits=True)
class DiesOfItsListener(_CallsByItself):
    def go(self) -> None:
        with suppress(RuntimeError):  # its thread is over, and nobody is told
            super().go()


@breaks(contract.OUTPUT_RAISES, "a_batch_that_cannot_be_taken_is_lost_and_no_other")
class FallsSilent(_CallsByItself):
    refused = False

    def deliver(self, batch: overseer.OutputBatch) -> None:
        try:
            if not self.refused:
                super().deliver(batch)
        except RuntimeError:
            self.refused = True


# Ends


@breaks(contract.EXITED_RAISES, "an_end_that_cannot_be_taken_is_told_to_the_run", waits=True)
class TellsOnlyTheDriver(OwnWorker):
    def finish(self, code: int) -> None:
        with self._lock:
            end = self._exited_locked(code, "")
        with suppress(RuntimeError):
            self.callbacks.on_exited(self, code, self.intentional, end.at)


@breaks(contract.EXIT, "a_single_line_arrives", waits=True)
class NeverEnds(OwnWorker):
    def finish(self, code: int) -> None:
        pass


@breaks(contract.EXIT, "a_single_line_arrives")
class EndsTwice(OwnWorker):
    def finish(self, code: int) -> None:
        super().finish(code)
        assert self.exited_at is not None
        self.callbacks.on_exited(self, code, False, self.exited_at)


@breaks(contract.EXIT, "a_single_line_arrives")
class SpeaksAfterItsEnd(OwnWorker):
    def finish(self, code: int) -> None:
        super().finish(code)
        self.callbacks.on_output(overseer.OutputBatch("stdout", datetime.now().astimezone(), ["late"]))


@breaks(contract.EXIT, "output_waits_while_it_is_not_taken_and_none_is_lost")
class EndsBeforeItIsHeard(OwnWorker):
    def deliver(self, batch: overseer.OutputBatch) -> None:
        if int(batch.lines[0]) == 1:
            thread = threading.Thread(target=self.pass_on, args=(batch,), daemon=True)
            thread.start()
            _cleanups.append(thread.join)
            time.sleep(0.3)
            self.ended(0)


@breaks(contract.EXIT, "an_end_that_is_taken_slowly_is_told_once")
class EndsAgainWhenItIsStopped(OwnWorker):
    def stop(self, grace: float | None = None) -> None:
        super().stop(grace)
        if self.exited_at is not None:
            threading.Thread(target=self.callbacks.on_exited, args=(self, 0, True, self.exited_at)).start()


@breaks(contract.STATE, "a_single_line_arrives")
class RunsAtItsEnd(OwnWorker):
    def finish(self, code: int) -> None:
        self.callbacks.on_exited(self, code, False, datetime.now().astimezone())


@breaks(contract.STATE, "a_single_line_arrives", waits=True)
class IsNeverOver(OwnWorker):
    def wait(self, timeout: float | None = None) -> bool:
        return False


@breaks(contract.STATE, "a_single_line_arrives")
class KnowsNoTime(OwnWorker):
    def finish(self, code: int) -> None:
        with self._lock:
            self._exited_locked(code, "")
        self.callbacks.on_exited(self, code, False, None)  # type: ignore[arg-type]
        self._over.set()


@breaks(contract.CODE, "a_single_line_arrives")
class HasAWordForACode(OwnWorker):
    def finish(self, code: int) -> None:
        super().finish(str(code))  # type: ignore[arg-type]


@breaks(contract.CODE, "a_run_that_fails_ends_with_its_code")
class AlwaysSucceeds(OwnWorker):
    def finish(self, code: int) -> None:
        super().finish(0)


@breaks(contract.CODE, "a_run_that_succeeds_ends_with_zero")
class NeverSucceeds(OwnWorker):
    def finish(self, code: int) -> None:
        super().finish(code or 1)


@breaks(contract.CODE, "the_largest_code_is_told")
class CountsToTwoHundred(OwnWorker):
    def finish(self, code: int) -> None:
        super().finish(code % 200)


@breaks(contract.CODE, "a_run_that_fails_ends_with_its_code")
class WantedToEnd(OwnWorker):
    def finish(self, code: int) -> None:
        self.asked_to_stop()
        super().finish(code)


@breaks(contract.CODE, "a_stop_ends_a_run")
class ForgetsItsStop(OwnWorker):
    def asked_to_stop(self) -> bool:
        return self.state == "running"


@breaks(contract.CODE, "a_death_by_signal_is_told")
class HidesItsDeath(OwnWorker):
    def dies(self, text: str) -> int:
        return 137


# Stops


@breaks(contract.STOP, "a_stop_does_not_wait_for_a_callback", waits=True)
class WaitsForItsEnd(OwnWorker):
    def stop(self, grace: float | None = None) -> None:
        super().stop(grace)
        self.wait(10)


@breaks(contract.STOP, "a_callback_may_stop_its_own_run", waits=True)
class StopsUnderALock(OwnWorker):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.mine = threading.Lock()

    def deliver(self, batch: overseer.OutputBatch) -> None:
        with self.mine:
            super().deliver(batch)

    def stop(self, grace: float | None = None) -> None:
        if self.mine.acquire(timeout=6):
            self.mine.release()
        super().stop(grace)


@breaks(contract.STOP, "a_stop_after_the_end_does_nothing")
class MindsBeingStoppedAgain(OwnWorker):
    def stop(self, grace: float | None = None) -> None:
        if not self.asked_to_stop():
            raise RuntimeError("it is over")
        super().stop(grace)


@breaks(contract.STOP, "a_stop_may_be_repeated_by_many_at_once")
class IsStoppedOnce(OwnWorker):
    def stop(self, grace: float | None = None) -> None:
        if self.stopped.is_set():
            raise RuntimeError("it is stopping")
        super().stop(grace)


@breaks(contract.STOP, "a_stop_before_start_has_returned_ends_the_run")
class CannotBeStoppedYet(OwnWorker):
    ready = False

    def begin(self) -> None:
        super().begin()
        self.ready = True

    def stop(self, grace: float | None = None) -> None:
        if not self.ready:
            raise RuntimeError("it has not begun")
        super().stop(grace)


@breaks(contract.STOPPED, "a_stop_before_start_has_returned_ends_the_run", waits=True)
class ForgetsAnEarlyStop(OwnWorker):
    def begin(self) -> None:
        self.begun()
        self.stopped = threading.Event()
        self.give_up_at = time.monotonic() + 30
        threading.Thread(target=self.go, daemon=True).start()


@breaks(contract.STOPPED, "a_run_that_outlasts_its_time_is_stopped", waits=True)
@breaks(contract.STOPPED, "a_stop_ends_a_run", waits=True)
class IgnoresStops(OwnWorker):
    def stop(self, grace: float | None = None) -> None:
        if self.asked_to_stop():
            _cleanups.append(self.stopped.set)


@breaks(contract.STOPPED, "a_stop_right_after_the_start_ends_the_run", waits=True)
class MissesAnEarlyStop(OwnWorker):
    def waits(self, text: str) -> int:
        time.sleep(0.1)
        self.stopped = threading.Event()
        self.give_up_at = time.monotonic() + 30
        return super().waits(text)


@breaks(contract.GRACE, "a_run_that_ignores_its_stop_has_its_grace_and_no_more")
class HasNoGrace(OwnWorker):
    def stop(self, grace: float | None = None) -> None:
        super().stop(0.0)


@breaks(contract.GRACE, "a_run_that_ignores_its_stop_has_its_grace_and_no_more", waits=True)
class HasAGraceOfItsOwn(OwnWorker):
    def stop(self, grace: float | None = None) -> None:
        super().stop(20.0 if grace is None else grace)


@breaks(contract.GRACE, "a_further_stop_shortens_the_grace", waits=True)
class HeedsTheFirstStop(OwnWorker):
    def stop(self, grace: float | None = None) -> None:
        if self.give_up_at is None:
            super().stop(grace)


@breaks(contract.GRACE, "a_further_stop_shortens_the_grace", waits=True)
class HeedsTheLastStop(OwnWorker):
    def stop(self, grace: float | None = None) -> None:
        with self.changed:
            if self.give_up_at is not None:
                self.give_up_at = None
        super().stop(grace)

    def give_up(self) -> None:
        time.sleep(0.1)  # by then it has been stopped again
        super().give_up()


@breaks(contract.HELD_UP, "a_stop_gives_up_on_a_callback_that_does_not_return", waits=True)
class WaitsToBeHeard(OwnWorker):
    held_up = 20.0


@breaks(contract.THREADS, "a_stop_ends_a_run")
class TellsItsEndToTheStopper(OwnWorker):
    def stop(self, grace: float | None = None) -> None:
        super().stop(grace)
        with self.changed:
            self.changed.wait_for(lambda: self.over, 10)
        self.ended(5)

    def finish(self, code: int) -> None:
        self.wait(0.5)
        super().finish(code)


@breaks(contract.LEAKS, "runs_that_end_leave_nothing", waits=True)
class LeavesAThread(OwnWorker):
    def finish(self, code: int) -> None:
        _leave_thread()
        super().finish(code)


@breaks(contract.LEAKS, "runs_that_end_leave_nothing", waits=True)
class LeavesADescriptor(OwnWorker):
    def finish(self, code: int) -> None:
        _leave_descriptor()
        super().finish(code)


@breaks(contract.LEAKS, "runs_that_end_leave_nothing", waits=True)
class LeavesAProcess(OwnWorker):
    def finish(self, code: int) -> None:
        _leave_process()
        super().finish(code)


@breaks(contract.LEAKS, "runs_that_are_stopped_leave_nothing", waits=True)
class LeavesAThreadWhenItIsStopped(OwnWorker):
    def stop(self, grace: float | None = None) -> None:
        _leave_thread()
        super().stop(grace)


@breaks(contract.LEAKS, "nothing_of_a_run_is_alive_when_its_end_is_told")
class OutlivesItself(OwnWorker):
    def waits(self, text: str) -> int:
        _leave_process()
        return super().waits(text)


# Input


@breaks(contract.INPUT, "what_a_run_does_not_take_is_refused")
class SwallowsInput(OwnWorker):
    def give_input(self, data: bytes, *, eof: bool = False) -> None:
        pass


@breaks(contract.INPUT, "what_a_run_does_not_take_is_refused")
class CannotBeSentSignals(OwnWorker):
    def send_signal(self, number: int) -> bool:
        raise NotImplementedError


@breaks(contract.INPUT, "what_a_run_does_not_take_is_refused")
class TakesSignalsToTheGrave(OwnWorker):
    def send_signal(self, number: int) -> bool:
        return True


@breaks(contract.INPUT, "input_arrives_in_order_until_its_end")
class SwapsInput(OwnWorker):
    def give_input(self, data: bytes, *, eof: bool = False) -> None:
        super().give_input(data.swapcase(), eof=eof)


@breaks(contract.INPUT, "input_that_is_not_read_keeps_nobody_waiting")
class KeepsAnyInput(OwnWorker):
    most = 1 << 30


@breaks(contract.INPUT, "input_that_is_not_read_keeps_nobody_waiting", waits=True)
class WaitsForRoom(OwnWorker):
    def give_input(self, data: bytes, *, eof: bool = False) -> None:
        taken = False
        while not taken and not self.over:
            with suppress(overseer.OverseerError):
                super().give_input(data, eof=eof)
                taken = True
            time.sleep(0.001)


# Services


class _Service(Handler, overseer.ServiceHandler):
    pass


@breaks(contract.SERVICE, "a_service_ends_when_it_is_told_to", waits=True)
class ServesOn(_Service):
    def run_service(self, stop: threading.Event, submitter: overseer.TaskSubmitter) -> None:
        _never.wait(30)


@breaks(contract.SERVICE, "a_service_ends_when_it_is_told_to", waits=True)
class ServesAndLeavesAThread(_Service):
    def run_service(self, stop: threading.Event, submitter: overseer.TaskSubmitter) -> None:
        _leave_thread()
        stop.wait()
