"""A small server, to be killed: ``python -m tests.workers.server MODE SCRIPT...``; speaks JSON on stdout.

It starts the guardian and one worker for each script, tells of what they print, and does what stdin says.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time

from overseer.process.guardian import guardian
from overseer.process.policy import StopPolicy
from overseer.process.reaper import adopt_orphans
from overseer.process.registry import Entry, registry
from overseer.workers.base import RunContext, WorkerCallbacks, run_context
from overseer.workers.config import WorkerConfig
from overseer.workers.starting import start_worker


def say(**words: object) -> None:
    os.write(1, json.dumps(words).encode() + b"\n")


def main() -> None:
    mode, *scripts = sys.argv[1:]
    adopt_orphans()
    guardian.start()
    say(guardian=guardian.pid)
    workers = []
    for number, script in enumerate(scripts):
        with run_context(RunContext(f"t{number}", stop=StopPolicy(mode, grace=1.0))):
            workers.append(
                start_worker(
                    WorkerConfig(f"t{number}", "sh", ["-c", script]),
                    WorkerCallbacks(lambda batch: say(lines=batch.lines), print, lambda *_: None),
                )
            )
    for line in sys.stdin:
        match line.split():
            case ["guardian", restarts]:  # which has been told of all there is
                deadline = time.monotonic() + 30
                while guardian.restarts < int(restarts) or not guardian.pid:
                    assert time.monotonic() < deadline, "the guardian was not replaced"
                    time.sleep(0.01)
                say(guardian=guardian.pid, restarts=guardian.restarts)
            case ["stop", "guardian"]:
                guardian.stop()
                say(guardian=guardian.pid)
            case ["start", "guardian", "high"]:  # with descriptors of high numbers
                hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
                resource.setrlimit(resource.RLIMIT_NOFILE, (2000, hard))
                while os.dup(0) < 1024:
                    pass
                guardian.start()
                say(guardian=guardian.pid)
            case ["remember", count]:  # runs that no process has
                for number in range(int(count)):
                    entry = Entry(f"r{number}", StopPolicy(mode, grace=1.0))
                    registry.enter(entry)
                    guardian.tell(entry)
                say(runs=len(registry.entries()))
            case ["stop"]:
                for worker in workers:
                    worker.stop()
                say(stopped=all(worker.wait(10) for worker in workers))
            case ["start", count]:  # as many workers more, which do nothing
                for number in range(int(count)):
                    with run_context(RunContext(f"m{number}", stop=StopPolicy(mode, grace=1.0))):
                        workers.append(
                            start_worker(
                                WorkerConfig(f"m{number}", "sleep", ["60"], include_stdout=False),
                                WorkerCallbacks(print, print, lambda *_: None),
                            )
                        )
                say(pids=[worker.pid for worker in workers])
            case ["slow"]:  # one that takes a tenth of a second from fork to exec
                path = "/:" * 60_000 + os.environ["PATH"]
                config = WorkerConfig("slow", "sleep", ["60"], env={"PATH": path})
                start_worker(config, WorkerCallbacks(print, print, lambda *_: None))
            case ["fork"]:
                pid = os.fork()
                if pid == 0:  # it has a copy of all descriptors, as a driver's multiprocessing may
                    time.sleep(60)
                    os._exit(0)
                say(forked=pid)


if __name__ == "__main__":
    main()
