"""``acme-wrapped`` runs a script with callbacks wrapped in the way its config names."""

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import overseer


def plain(callbacks, params):
    return callbacks


def filtering(callbacks, params):
    def on_output(batch):
        kept = [line for line in batch.lines if "secret" not in line]
        if kept:
            callbacks.on_output(replace(batch, lines=kept))

    return replace(callbacks, on_output=on_output)


def rewriting(callbacks, params):
    def on_output(batch):
        for line in batch.lines:
            callbacks.on_output(replace(batch, stream="stderr", lines=[line.upper(), "again"]))

    return replace(callbacks, on_output=on_output)


def emptying(callbacks, params):
    return replace(callbacks, on_output=lambda batch: callbacks.on_output(replace(batch, lines=[])))


def slow(callbacks, params):
    def on_output(batch):
        time.sleep(0.5)
        callbacks.on_output(batch)

    def on_exited(worker, exit_code, intentional, at):
        time.sleep(0.5)
        callbacks.on_exited(worker, exit_code, intentional, at)

    return replace(callbacks, on_output=on_output, on_exited=on_exited)


def another_code(callbacks, params):
    def on_exited(worker, exit_code, intentional, at):
        callbacks.on_exited(worker, 42 if exit_code == 3 else 0, intentional, at)

    return replace(callbacks, on_exited=on_exited)


def raising_output(callbacks, params):
    def on_output(batch):
        raise RuntimeError("on_output of acme")

    return replace(callbacks, on_output=on_output)


def raising_exited(callbacks, params):
    def on_exited(worker, exit_code, intentional, at):
        raise RuntimeError("on_exited of acme")

    return replace(callbacks, on_exited=on_exited)


def wrong_code(callbacks, params):
    def on_exited(worker, exit_code, intentional, at):
        callbacks.on_exited(worker, "three", intentional, at)

    return replace(callbacks, on_exited=on_exited)


def wrong_batches(callbacks, params):
    wrong = {"number": {"lines": [7]}, "stream": {"stream": 7}}

    def on_output(batch):
        for line in batch.lines:
            try:
                callbacks.on_output(replace(batch, **wrong.get(line, {"lines": [line]})))
            except (TypeError, ValueError):
                callbacks.log_event(f"a wrong {line} is lost")

    return replace(callbacks, on_output=on_output)


def twice(callbacks, params):
    def on_exited(worker, exit_code, intentional, at):
        callbacks.on_exited(worker, exit_code, intentional, at)
        callbacks.on_exited(worker, 99, intentional, at)

    return replace(callbacks, on_exited=on_exited)


def later(callbacks, params):
    def on_exited(worker, exit_code, intentional, at):
        def pass_on():
            time.sleep(0.3)
            callbacks.on_exited(worker, exit_code, intentional, at)

        threading.Thread(target=pass_on, daemon=True).start()

    return replace(callbacks, on_exited=on_exited)


def talking(callbacks, params):
    callbacks.log_event("a word from acme")
    return callbacks


def threads(callbacks, params):
    def on_output(batch):
        callbacks.on_output(replace(batch, lines=[threading.current_thread().name]))

    return replace(callbacks, on_output=on_output)


def looking(callbacks, params):
    def on_exited(worker, exit_code, intentional, at):
        facts = (worker.state, worker.exit_code == exit_code, worker.exited_at == at, worker.wait(0))
        now = datetime.now(UTC)
        callbacks.on_output(overseer.OutputBatch("stdout", now, [f"{worker.task_id} {worker.pid} {facts}"]))
        callbacks.on_exited(worker, exit_code, intentional, at)

    return replace(callbacks, on_exited=on_exited)


WRAPPERS = (plain, filtering, rewriting, emptying, slow, another_code, raising_output, raising_exited)
BY_NAME = {
    wrap.__name__: wrap
    for wrap in (*WRAPPERS, wrong_code, wrong_batches, twice, later, talking, threads, looking)
}


class WrappedHandler(overseer.ActionHandler):
    def __init__(self, name, wrap):
        self._name = name
        self._wrap = wrap

    def describe(self):
        return overseer.ActionInfo(self._name, "acme-wrapped", params={"script": None})

    def validate(self, params):
        pass

    def start(self, task_id, params, callbacks):
        config = overseer.WorkerConfig(task_id, "sh", ["-c", params["script"]])
        return overseer.start_worker(config, self._wrap(callbacks, params))


class InsideStartHandler(WrappedHandler):
    """Calls back on the thread that called ``start``, before it returns."""

    def start(self, task_id, params, callbacks):
        callbacks.on_output(overseer.OutputBatch("stdout", datetime.now(UTC), ["from start"]))
        return super().start(task_id, params, callbacks)


class WrongInsideStartHandler(WrappedHandler):
    """Calls back from within ``start`` with what is no text, and again with what is."""

    def start(self, task_id, params, callbacks):
        for line in (404, "from start"):
            callbacks.on_output(overseer.OutputBatch("stdout", datetime.now(UTC), [line]))
        return super().start(task_id, params, callbacks)


class BothAtOnceHandler(WrappedHandler):
    """Calls back inside ``start`` while its process talks already."""

    def start(self, task_id, params, callbacks):
        waiting = threading.Event()

        def on_output(batch):
            waiting.set()
            callbacks.on_output(batch)

        worker = super().start(task_id, params, replace(callbacks, on_output=on_output))
        waiting.wait(10)
        for number in range(300):
            callbacks.on_output(overseer.OutputBatch("stdout", datetime.now(UTC), [str(number)]))
        return worker


class OverBeforeStartedHandler(WrappedHandler):
    """Even reports the exit before ``start`` returns."""

    def start(self, task_id, params, callbacks):
        mute = overseer.WorkerCallbacks(lambda batch: None, lambda text: None, lambda *end: None)
        worker = overseer.start_virtual_worker(task_id, lambda context, send: 0, mute)
        worker.wait(10)
        callbacks.on_output(overseer.OutputBatch("stdout", datetime.now(UTC), ["all of it"]))
        callbacks.on_exited(worker, 9, False, datetime.now(UTC))
        return worker


class StopsItselfHandler(WrappedHandler):
    """Stops the worker from within ``on_output``: nothing may be locked there."""

    def start(self, task_id, params, callbacks):
        started = []
        known = threading.Event()

        def on_output(batch):
            known.wait(10)
            started[0].stop()
            started[0].stop()
            callbacks.on_output(batch)

        worker = super().start(task_id, params, replace(callbacks, on_output=on_output))
        started.append(worker)
        known.set()
        return worker


class SlowStartHandler(WrappedHandler):
    """Starts once somebody has written to the pipe that is its parameter; what was written is the problem."""

    def start(self, task_id, params, callbacks):
        if problem := Path(params["script"]).read_text():
            raise overseer.SpawnError(problem)
        return super().start(task_id, {"script": "echo up; exec sleep 60"}, callbacks)


HANDLERS = {
    "slow_start": SlowStartHandler,
    "inside_start": InsideStartHandler,
    "wrong_inside_start": WrongInsideStartHandler,
    "both_at_once": BothAtOnceHandler,
    "over_before_started": OverBeforeStartedHandler,
    "stops_itself": StopsItselfHandler,
}


class WrappedFactory:
    type = "acme-wrapped"

    def create(self, config, action_name, retry, pool, dedupe_key):
        how = config["how"]
        return HANDLERS.get(how, WrappedHandler)(action_name, BY_NAME.get(how, plain))


overseer.register_factory(WrappedFactory())
