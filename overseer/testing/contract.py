"""The contract that a driver keeps, sentence by sentence, as ``docs/DRIVERS.md`` has it."""

from __future__ import annotations

from typing import NamedTuple

import pytest


class Clause(NamedTuple):
    """One sentence of the contract."""

    name: str
    text: str


class Broken(pytest.fail.Exception):  # type: ignore[name-defined, misc]
    """A driver breaks its contract; the test fails with the sentence and what was seen, without a traceback.

    Not an ``Exception``, which a driver might catch.
    """

    def __init__(self, clause: Clause, seen: str) -> None:
        super().__init__(
            f"the driver breaks its contract ({clause.name})\n"
            f"  DRIVERS.md: {clause.text}\n"
            f"  seen:       {seen}",
            pytrace=False,
        )
        self.clause = clause
        self.seen = seen

    def __reduce__(self) -> tuple[type[Broken], tuple[Clause, str]]:
        return type(self), (self.clause, self.seen)


CREATE = Clause(
    "create",
    "`create` starts nothing and opens nothing: it is also called to validate a file, and that handler is"
    " then dropped.",
)
SETTINGS = Clause(
    "settings",
    "Settings that `create` cannot use are a `ConfigError` whose `path` leads to the key.",
)
DESCRIBE = Clause("describe", "`describe` returns an `ActionInfo`, and says the same each time.")
VALIDATE = Clause(
    "validate",
    "`validate` starts nothing, and raises a `ValidationError` for parameters with which the action "
    "cannot be started, such as when a required one is missing.",
)
AT_ONCE = Clause(
    "at once",
    "`describe`, `validate` and `start` work on many threads at once, beside any number of runs, whatever"
    " their callbacks are doing.",
)
START = Clause(
    "start",
    "`start` returns a `Worker` with this `task_id`, made with the callbacks it was given, and waits for "
    "no callback on another thread: those return only after it has.",
)
FAILED_START = Clause(
    "failed start",
    "A `start` that fails raises an `OverseerError` that says why in one line. What it has begun by then "
    "is gone, except workers made with the run's callbacks, which the server stops.",
)
RESTART = Clause(
    "restart",
    "`start` is called again for each restart, with the same `task_id` and parameters: each run has a "
    "worker, output and an end of its own.",
)
ORDER = Clause("order", "The lines of a stream arrive as they were written: each once, whole, in order.")
BATCH = Clause(
    "batch",
    "A batch's `stream` is `stdout` or `stderr`, its `lines` are a list of strings without line ends, its"
    " `ts` is a `datetime` with a time zone.",
)
IN_TURN = Clause("in turn", "Batches of one stream arrive one at a time.")
PROMPT = Clause("prompt", "A line that comes alone is passed on when it comes.")
UTF8 = Clause("UTF-8", "Each byte that is not part of UTF-8 arrives as U+FFFD.")
LONG_LINES = Clause(
    "long lines",
    "A line of more than `callbacks.run.max_line` bytes is cut there, and is alone in its batch, which is"
    " `truncated`.",
)
PRESSURE = Clause(
    "back-pressure",
    "While `on_output` blocks, whatever writes the output waits: memory stays bounded, and nothing is lost.",
)
SECRETS = Clause(
    "secrets",
    "A worker whose class says `hides_secrets` masks the run's secrets before it passes lines on; those "
    "of other workers are masked by the server.",
)
OUTPUT_RAISES = Clause(
    "on_output raises",
    "If `on_output` raises, that batch is lost and nothing else: later ones are passed on, and the end is"
    " reported.",
)
EXITED_RAISES = Clause(
    "on_exited raises",
    "If `on_exited` raises, `callbacks.run.exited` is called with the same arguments, and the worker is "
    "over.",
)
EXIT = Clause("exit", "`on_exited` is called once, and last: after every `on_output` has returned.")
STATE = Clause(
    "state",
    "When `on_exited` is called, the worker's `state` is `exited`, and it has an `exit_code` and an "
    "`exited_at`; once that has returned, `wait` returns true.",
)
CODE = Clause(
    "exit code",
    "The exit code is an integer, -1 after a death by signal, which is then the worker's `signal`; "
    "`intentional` is true after a stop, false otherwise.",
)
STOP = Clause(
    "stop",
    "`stop` returns at once, on any thread, within callbacks too and while one blocks, as soon as the "
    "worker has begun, even before `start` has returned. It may be repeated, and does nothing after the "
    "end.",
)
STOPPED = Clause("stopped", "A stop ends the run, and its end is reported.")
GRACE = Clause(
    "grace",
    "A run has `grace` seconds to end after its stop (None: `callbacks.run.stop.grace`); then it is ended"
    " by force, or abandoned. A further stop can only shorten that.",
)
HELD_UP = Clause(
    "held up",
    "If an `on_output` does not return, a stop reports the end without waiting for it, at most eleven "
    "seconds after the run has ended; no output follows.",
)
INPUT = Clause(
    "input",
    "`give_input`, `resize` and `send_signal` return at once, whether the run takes what it is given or not. "
    "Input is taken whole, in order, and bounded; what is not taken is an `OverseerError`.",
)
THREADS = Clause(
    "threads",
    "Callbacks run on the worker's own threads: never on one that calls `stop`, and on the one that calls"
    " `start` only until that has returned.",
)
LEAKS = Clause(
    "leaks",
    "What a run has begun is gone when it is over: threads, descriptors, processes. What a handler keeps "
    "does not grow with the number of its runs.",
)
SERVICE = Clause(
    "service",
    "`run_service` returns within a second after `stop` is set, and leaves nothing behind.",
)

CLAUSES = tuple(value for value in list(globals().values()) if isinstance(value, Clause))
