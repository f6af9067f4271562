"""Probes by a program."""

from __future__ import annotations

from overseer.config.targets import Program
from overseer.errors import SpawnError
from overseer.probes.attempt import Attempt, FailedError, NotLookedError, is_ours
from overseer.workers.program import Surroundings, run_program

_KEPT = 4096  # bytes of what it writes
_SHOWN = 300  # characters of it


def look_by_program(target: Program, task_id: str, attempt: Attempt, surroundings: Surroundings) -> None:
    """Run a program; it and all it started are gone when this returns.

    Raises:
        FailedError: it cannot be started, fails, or takes too long.
        NotLookedError: the server lacks the resources to start it.
        CalledOffError: the attempt was cancelled.
    """
    try:
        done = run_program(
            target.argv,
            f"probe of {task_id}",
            patience=max(0.0, attempt.remaining),
            most=_KEPT,
            surroundings=surroundings,
            streams=("stdout",),
            merge=True,
            wake=attempt.fileno(),
        )
    except SpawnError as error:
        raise (NotLookedError if is_ours(error.__cause__) else FailedError)(str(error)) from None
    except OSError as error:
        raise NotLookedError(str(error)) from None
    attempt.check()
    fault = ""
    if done.fault:
        fault = str(attempt.late())
    elif done.code or done.signal:
        fault = f"ended with {done.signal or f'status {done.code}'}"
    if fault:
        said = " ".join(done.written["stdout"].decode("utf-8", "replace").split())
        raise FailedError(f"{fault}: {said[:_SHOWN]}" if said else fault)
