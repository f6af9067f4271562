"""Probes by a program."""

from __future__ import annotations

from overseer.config.targets import Program
from overseer.errors import SpawnError
from overseer.probes.attempt import Attempt, NotProbedError, ProbeFailedError, is_ours
from overseer.workers.program import run_program, with_words
from overseer.workers.surroundings import Surroundings

_KEPT = 4096  # bytes of what it writes


def probe_by_program(target: Program, task_id: str, attempt: Attempt, surroundings: Surroundings) -> None:
    """Run it to its end; nothing of it is left then.

    Raises:
        ProbeFailedError: it cannot be started, fails, or takes too long.
        NotProbedError: the server is out of what it takes to start it.
        CancelledError: the attempt was called off.
    """
    try:
        done = run_program(
            target.argv,
            f"probe of {task_id}",
            patience=max(0.0, attempt.remaining),
            most=_KEPT,
            surroundings=surroundings,
            merge=True,
            wake=attempt.fileno(),
        )
    except SpawnError as error:
        raise (NotProbedError if is_ours(error.__cause__) else ProbeFailedError)(str(error)) from None
    except OSError as error:
        raise NotProbedError(str(error)) from None
    attempt.check()
    fault = ""
    if done.fault:
        fault = str(attempt.late())
    elif done.code or done.signal:
        fault = f"ended with {done.signal or f'status {done.code}'}"
    if fault:
        raise ProbeFailedError(with_words(fault, done.written["stdout"]))
