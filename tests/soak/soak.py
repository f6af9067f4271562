"""The soak itself: a real server, one client that sees everything, and many that hammer it."""

from __future__ import annotations

import json
import signal
import tempfile
import time
from pathlib import Path

from tests.faults.support import FaultDaemon, Held, wait_until
from tests.harness import shell
from tests.soak.clients import Failures, Hammer, Onlooker, SoakClient
from tests.soak.model import Broken, Limits, Truth

__all__ = ["soak"]

_LIMITS = Limits({"fixed": 3, "resized": 4}, all=12)
_GRACE = 0.5
_QUEUE = {"enabled": True, "size": 6, "max_age": 5}

ACTIONS = {
    "short": shell("seq 1 20"),
    "chatty": shell("i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo $i; echo $i >&2; sleep 0.01; done"),
    "burst": shell(
        "seq 1 1500; sleep 0.1; seq 1501 2000 >&2", retry={"restart_delay": "50ms", "restart_on": "any"}
    ),
    "failing": shell("echo a; exit 1", retry={"restart_delay": "20ms", "error_threshold": 3}),
    "crashing": shell(
        "echo a; kill -SEGV $$", retry={"restart_delay": "10ms", "error_window": "10s", "error_threshold": 5}
    ),
    "stubborn": shell("trap '' TERM; echo on; while :; do sleep 0.05; done", stop_grace="200ms"),
    "family": shell(
        "(setsid sleep 30 >/dev/null 2>&1 &); sleep 30 & echo on; sleep 0.5; echo off; kill $!; exec sleep 5"
    ),
    "fixed": {**shell("echo in; sleep 0.2; echo out"), "task_pool": {"limit": 3, "queue": _QUEUE}},
    "resized": {
        **shell("echo in; sleep 0.5; echo out", retry={"restart_delay": "30ms", "restart_on": "any"}),
        "task_pool": {"limit": 2, "queue": {**_QUEUE, "order": "last", "displace": True}},
    },
    "missing": {
        "type": "exec",
        "config": {"entrypoint": "/no/such/program"},
        "retry": {"restart_delay": "20ms", "error_threshold": 2},
    },
    "making": shell(
        "i=0; while [ $i -lt 60 ]; do i=$((i+1)); printf '%d of it' $i; sleep 0.05; "
        "printf '\\r%d done\\n' $i; done; printf '%d of it' 61",
        retry={"restart_delay": "20ms", "restart_on": "any"},
    ),
    "huge": shell(
        "for i in 1 2 3 4 5 6 7 8; do head -c 500000 /dev/zero | tr '\\0' y; echo; sleep 0.1; done",
        retry={"restart_delay": "100ms", "restart_on": "any"},
    ),
}
_TASKS = 4  # ids of each action


class _Observer(Truth):
    """Also knows which replies it asked for."""

    def ask(self, request: dict[str, object]) -> None:
        pass


def soak(seed: int, seconds: float, clients: int) -> str:
    """Hammer a server; returns a summary.

    Raises:
        AssertionError: something did not hold; says the seed.
    """
    try:
        return _soak(seed, seconds, clients)
    except BaseException as error:
        error.add_note(f"soak: --seed {seed} --seconds {seconds:g} --clients {clients}")
        raise


def _soak(seed: int, seconds: float, clients: int) -> str:
    ids = {f"{action} {number}": action for action in ACTIONS for number in range(_TASKS)}
    failures = Failures()
    truth = _Observer(_LIMITS, ids)
    with tempfile.TemporaryDirectory(prefix="overseer-soak-") as directory:
        log = Path(directory) / "events"
        daemon = FaultDaemon(
            actions={name: {"stop_grace": _GRACE, **action} for name, action in ACTIONS.items()},
            task_pool={"limit": _LIMITS.all, "queue": {"enabled": True, "size": 10, "max_age": 10}},
            clients={"buffer": "512KiB", "stall_timeout": "5s"},
            log_file=str(log),
        )
        with daemon:
            observer = SoakClient(daemon.address, truth, failures)
            try:
                for task_id in ids:
                    observer.ask("subscribe", task_id=task_id)
                onlookers = [Onlooker(number, seed, daemon.address, failures) for number in range(3)]
                hammers = [Hammer(number, seed, daemon.address, ids, failures) for number in range(clients)]
                memory = _hammer(daemon, [*hammers, *onlookers], seconds, failures)
                _wind_down(observer, ids, truth, failures)
                for onlooker in onlookers:
                    onlooker.check(lambda: observer.ask("list")["tasks"])
            except OSError:
                if failures.first is None:  # else the connection ended because of that
                    raise
            finally:
                failures.stop.set()
                observer.close()
            if failures.first is not None:
                raise failures.first
            daemon.must_be_idle(timeout=20.0)
            after = Held.by(daemon).memory
            # Outboxes and rings of big lines come and go; what leaks grows on.
            if after > max(memory[:5]) + 50_000:
                raise Broken(f"memory in kB: {memory}, at the end {after}")
            # And once more, with everything under way at the end.
            failures = Failures()
            last = [Hammer(number, seed + 1, daemon.address, ids, failures) for number in range(clients // 2)]
            for hammer in last:
                hammer.thread.start()
            time.sleep(min(1.0, seconds / 10))
            failures.ending = True
            begun = time.monotonic()
            daemon.stop(timeout=15.0)
            took = time.monotonic() - begun
            failures.stop.set()
            for hammer in last:
                hammer.thread.join(30)
            if failures.first is not None and not isinstance(failures.first, OSError):
                raise failures.first
        logged = Truth(_LIMITS, ids)
        with log.open() as lines:
            for line in lines:
                logged.see(json.loads(line))
        logged.over()
    did, lines, partials, missed, cut = (
        sum(getattr(hammer, what) for hammer in hammers)
        for what in ("did", "lines", "partials", "missed", "cut")
    )
    return (
        f"soak: {did} requests, {lines} lines and {partials} unfinished ones heard, {missed} told missed,"
        f" {cut} clients cut, {dict(truth.counts)}; watched {sum(each.came for each in onlookers)} times,"
        f" from {sum(each.picture.snapshots for each in onlookers)} snapshots;"
        f" memory in MB {[kb // 1024 for kb in (*memory, after)]}; the end took {took:.1f} s"
    )


def _hammer(
    daemon: FaultDaemon, hammers: list[Hammer | Onlooker], seconds: float, failures: Failures
) -> list[int]:
    """Let them work; returns the server's memory in kB at ten moments."""
    for hammer in hammers:
        hammer.thread.start()
    memory = []
    for _ in range(10):
        failures.stop.wait(seconds / 10)
        memory.append(Held.by(daemon).memory)
        daemon.process.send_signal(signal.SIGHUP)  # the configuration is reloaded, and is the same
    failures.stop.set()
    for hammer in hammers:
        hammer.thread.join(60)
        if hammer.thread.is_alive():
            raise Broken(f"{hammer.thread.name} is stuck")
    return memory


def _wind_down(observer: SoakClient, ids: dict[str, str], truth: Truth, failures: Failures) -> None:
    """Stop every task, and see that the books balance."""
    observer.ask("purge")
    for task_id in ids:
        observer.tell("stop", task_id=task_id)

    def idle() -> bool:
        if failures.first is not None:
            raise failures.first
        return observer.ask("pool_info")["pool"]["running"] == 0

    wait_until(idle, timeout=30.0, what="the end of every task")
    observer.ask("pool_info")  # what was said before has been seen now
    truth.over()
