"""A cluster of very many workers that run nothing: what it costs the server and the scheduler.

    python -m bench.simulated WORKERS TASKS

The scheduler is a real one, and so are the workers, though they share a few processes, and do not profile
themselves. Their relays say that each run has begun, have it print a line every ten seconds, and end it when
it is stopped.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from bench.client import Connection
from bench.servers import HERE, Server, free_port

_EVERY_S = 10.0  # between the lines of a run
_WATCHED_S = 30.0
_UNDER_WAY = 500  # starts; a client that sends and does not read is closed
_TOGETHER = 125  # workers in one process
# What each worker looks at in itself fifty times a second is too much for one machine with very many.
_QUIET = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "60s",
    "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL": "60s",
}


def workers(address: str, first: int, count: int, threads: int) -> None:
    """Be so many workers, with numbers from ``first`` on, until killed."""
    from distributed import Worker

    from overseer.drivers.dask import relay
    from overseer.util.timestamps import now

    threading.stack_size(256 << 10)

    class Relay(relay.Relay):
        """Pretends to have a runner."""

        def _start_runner(self) -> None:
            self._printing: dict[str, float] = {}

        def _hear_locked(self, head: bytes, body: bytes) -> None:
            word = json.loads(head)
            run = word.get("run", "")
            if word["op"] == "run" and run in self._places:
                self._places[run].ordered = True
                self._say(op="started", run=run, pid=1, at=now().isoformat(), stdin="none")
                self._loop.call_later(_EVERY_S * (hash(run) % 100) / 100, self._print, run)
            elif word["op"] == "stop" and (place := self._places.pop(run, None)) is not None:
                usage: dict[str, Any] = {"oom": False, "cpu": None, "max_rss": None, "values": {}}
                self._say(op="exit", run=run, code=0, signal="", at=now().isoformat(), **usage)
                place.over.set()

        def _print(self, run: str) -> None:
            with self._lock:
                if run in self._places:
                    more = {"stream": "stdout", "ts": now().isoformat(), "mark": ""}
                    self._say(b"a line of output", op="out", run=run, **more)
                    self._loop.call_later(_EVERY_S, self._print, run)

        def _say(self, body: bytes = b"", **head: Any) -> None:
            self._add_locked(json.dumps(head, separators=(",", ":")).encode(), body)
            self._ring()

    relays: dict[str, Relay] = {}
    making = threading.Lock()

    def relay_for(worker: Any, server: str, lease: float) -> Relay:
        with making:
            if worker.address not in relays:
                worker.handlers[relay.OPERATION] = relay._exchange
                relays[worker.address] = Relay(worker, server, lease)
                relay._relays[worker.address, lease] = relays[worker.address]
            return relays[worker.address]

    relay._relay_for = relay_for

    async def serve() -> None:
        made = [
            Worker(address, name=f"w{number}", nthreads=threads, memory_limit=0, dashboard=False)
            for number in range(first, first + count)
        ]
        for some in range(0, count, 50):
            await asyncio.gather(*made[some : some + 50])
        print("ready", flush=True)
        await asyncio.Event().wait()

    asyncio.run(serve())


def main() -> None:
    count, tasks = int(sys.argv[1]), int(sys.argv[2])
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    cluster = {"entrypoint": "true", "cluster": {"address": address}}
    with tempfile.TemporaryDirectory() as directory:
        where = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
        programs = [_program([sys.executable, "-m", "distributed.cli.dask_scheduler", *where], directory)]
        try:
            threads = str(-(-tasks // count))
            for first in range(0, count, _TOGETHER):
                some = ["workers", address, str(first), str(min(_TOGETHER, count - first)), threads]
                far_side = [sys.executable, "-m", "bench.simulated", *some]
                programs.append(_program(far_side, directory, stdout=subprocess.PIPE, **_QUIET))
            for program in programs[1:]:
                assert program.stdout is not None
                program.stdout.readline()
            top_level = {"actions": {"far": {"type": "dask", "config": cluster}}}
            with Server(HERE, top_level) as server:
                _measure(server, programs[0].pid, count, tasks)
        finally:
            for program in programs:
                program.kill()
                program.wait()
                if program.stdout is not None:
                    program.stdout.close()


def _has_begun(connection: Connection) -> bool:
    """Whether the next message says that a task has begun. One that is refused, since the scheduler is too
    busy to answer, is started again."""
    message = connection.receive()
    if message.startswith(b'{"type":"error"'):
        time.sleep(0.1)  # or the scheduler would be asked again before it can have caught up
        number = json.loads(message)["id"]
        connection.send(type="start", id=number, action="far", task_id=f"t{number}")
    return message.startswith(b'{"type":"started"')


def _program(
    command: list[str], directory: str, stdout: int = subprocess.DEVNULL, **environment: str
) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **environment}
    return subprocess.Popen(command, cwd=directory, env=environment, stdout=stdout, stderr=subprocess.DEVNULL)


def _measure(server: Server, scheduler: int, count: int, tasks: int) -> None:
    connection = server.connect()
    connection.send(type="start", id="0", action="far", task_id="t0")
    while not _has_begun(connection):
        pass  # the server connects
    pids = {"server": server.process.pid, "scheduler": scheduler}
    idle = {name: _resident(pid) for name, pid in pids.items()}
    cpu, begun = {name: _cpu(pid) for name, pid in pids.items()}, time.monotonic()
    started = asked = 1
    while started < tasks:
        while asked < min(tasks, started + _UNDER_WAY):
            connection.send(type="start", id=str(asked), action="far", task_id=f"t{asked}")
            asked += 1
        started += _has_begun(connection)
    seconds = time.monotonic() - begun
    spent = {name: 1000 * (_cpu(pid) - cpu[name]) / tasks for name, pid in pids.items()}
    print(f"{count} workers, {tasks} tasks: begun in {seconds:.1f} s; ms of CPU for each: {spent}")
    cpu, begun = {name: _cpu(pid) for name, pid in pids.items()}, time.monotonic()
    lines = 0
    while (watched := time.monotonic() - begun) < _WATCHED_S:
        lines += connection.receive().startswith(b'{"type":"output"')
    spent = {name: 100 * (_cpu(pid) - cpu[name]) / watched for name, pid in pids.items()}
    grown = {name: (_resident(pid) - idle[name]) / 2**20 for name, pid in pids.items()}
    threads = len(os.listdir(f"/proc/{server.process.pid}/task"))  # noqa: PTH208
    print(f"  while they run, {lines / watched:.0f} lines/s: % of a core {spent}; MiB more {grown};")
    print(f"  {threads} threads of the server")
    connection.close()


def _cpu(pid: int) -> float:
    return time.clock_gettime((~pid << 3) | 2)


def _resident(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


if __name__ == "__main__":
    if sys.argv[1] == "workers":
        workers(sys.argv[2], *map(int, sys.argv[3:6]))
    else:
        main()
