"""Probes one run until it is over: first whether it is ready, then whether it still works.

A line, a message and a time are waited for. Once these have come, an address, a page or a program is probed
on threads of the pool, again and again, each probe timed from the end of the one before. Findings are
reported with no lock held, so they may come too late; the hub then ignores them.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from overseer.config import ActionConfig
from overseer.config.probes import Values
from overseer.config.targets import Target
from overseer.errors import SpawnError
from overseer.probes.attempt import Attempt, CancelledError, NotProbedError, ProbeFailedError
from overseer.probes.notify import NotifySocket
from overseer.probes.resources import ProbeResources
from overseer.probes.verdict import Verdict
from overseer.supervisor.probing import Earlier, Findings, RunWatch
from overseer.util.handover_format import Incoming, Outgoing
from overseer.util.locks import Rank, assert_held, lock
from overseer.util.standstill import standstill
from overseer.util.timers import Timer
from overseer.workers.surroundings import Surroundings

_log = logging.getLogger(__name__)

# Colours, titles and the like, which are not part of a line's text.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_READ = 64 << 10  # characters of a line that are searched
_AWAITED = {"log": "no line has matched", "notify": "no READY=1 came", "after": "too early"}


class Watch(RunWatch):
    """The probes of one run, see the module. Created by :meth:`Probes.watch`.

    Raises:
        SpawnError: it cannot be probed with these values, or not now.
    """

    def __init__(
        self,
        resources: ProbeResources,
        findings: Findings,
        config: ActionConfig,
        values: Values,
        earlier: Earlier | None = None,
    ) -> None:
        self._resources = resources
        self._findings = findings
        self._ready = config.ready
        self._health = config.health
        self._targets: tuple[Target, ...] = ()
        self._matches: Callable[[str], bool] | None = None
        try:
            if config.ready is not None:
                self._targets = config.ready.targets(values)
                self._matches = config.ready.matcher(values)
            self._well: Target | None = config.health.targets(values)[0] if config.health else None
        except ValueError as error:
            raise SpawnError(f"probes: {error}") from None
        self.reads = self._matches is not None
        self._surroundings = Surroundings()
        # Guards the fields below. Of this rank, since timers are scheduled under it.
        self._lock = lock(Rank.WORKER, f"watch of {findings.task_id}")
        self._awaited = set() if config.ready is None else set(config.ready.awaited)
        self._began = False
        self._began_at = 0.0
        self._ready_found = config.ready is None
        self._over = False
        self._probing = False  # whether probing has begun, for readiness first
        self._attempt: Attempt | None = None  # in progress
        self._verdict: Verdict | None = None  # once health is probed
        self._lacking = ""  # why the latest probe of readiness failed
        self._hampered = False  # it was logged that the server is unable to probe
        self._timers: dict[str, Timer] = {}
        self._socket: NotifySocket | None = None
        self.env = {}
        self._earlier = earlier.data if earlier is not None else None
        if earlier is not None:
            self._restore(earlier.data, earlier.given)
        elif config.ready is not None and config.ready.notify:
            self._socket = resources.sockets.open(findings.run_id, lambda: self._came("notify"))
            self.env = {"NOTIFY_SOCKET": self._socket.address}

    def __repr__(self) -> str:
        return f"<Watch of {self._findings.task_id}>"

    # The run

    def begin(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        with self._lock:
            if self._over:
                return
            self._began = True
            self._began_at = time.monotonic()
            if self._ready is not None:
                self._schedule_locked("timeout", self._ready.timeout, self._timed_out)
                if self._ready.after:
                    self._schedule_locked("after", self._ready.after, lambda: self._came("after"))
        self._go()

    def export(self, out: Outgoing) -> Mapping[str, Any]:
        with self._lock:
            return {
                "awaited": sorted(self._awaited),
                "began_at": self._began_at,
                "ready_found": self._ready_found,
                "lacking": self._lacking,
                "over": self._over,
                # Also those that fire already: what follows may not have come so far.
                "timers": {name: timer.when for name, timer in self._timers.items()},
                "verdict": self._verdict and self._verdict.export(),
                "surroundings": self._surroundings.export(),
                "socket": self._socket and self._socket.export(out),
            }

    def _restore(self, data: Mapping[str, Any], given: Incoming) -> None:
        self._awaited &= set(data["awaited"])
        self._began_at, self._lacking = data["began_at"], data["lacking"]
        self._ready_found, self._over = data["ready_found"], data["over"]
        self._surroundings = Surroundings.restored(data["surroundings"])
        if data["verdict"] is not None and self._health is not None:
            self._verdict = Verdict(self._health, self._began_at)
            self._verdict.restore(data["verdict"])
        if data["socket"] is not None:
            sockets, ready = self._resources.sockets, partial(self._came, "notify")
            self._socket = sockets.restore(self._findings.run_id, ready, data["socket"], given)

    def resume(self) -> None:
        if self._over or self._earlier is None:
            return
        left = {name: when - time.monotonic() for name, when in self._earlier["timers"].items()}
        with self._lock:
            self._began = True
            if not self._ready_found and "timeout" in left:
                self._schedule_locked("timeout", left["timeout"], self._timed_out)
            if "after" in left and "after" in self._awaited:
                self._schedule_locked("after", left["after"], lambda: self._came("after"))
            self._probing = self._ready_found
        if not self._ready_found:
            self._go()
        elif self._verdict is not None:
            self._submit_later(max(0.0, left.get("probe", 0.0)), self._probe_health)
        else:
            self._begin_health()

    def line(self, text: str) -> bool:
        if self._matches is None:
            return True
        text = text[:_READ]
        if not self._matches(_ESCAPES.sub("", text) if "\x1b" in text else text):
            return self._over
        self._came("log")
        return True

    def end(self) -> None:
        self._stop_probing()
        with self._lock:
            socket, self._socket = self._socket, None
        if socket is not None:
            self._resources.sockets.discard(socket)
        self._findings.over()

    def _stop_probing(self) -> None:
        with self._lock:
            self._over = True
            timers = list(self._timers.values())
            self._timers.clear()
            if self._attempt is not None:
                self._attempt.cancel()
        for timer in timers:
            timer.cancel()

    def _schedule_locked(self, name: str, seconds: float, job: Callable[[], object]) -> None:
        assert_held(self._lock)
        if not self._over:
            self._timers[name] = self._resources.timers.schedule(seconds, job)

    # Whether it is ready

    def _came(self, what: str) -> None:
        """Something that was waited for has come."""
        with self._lock:
            self._awaited.discard(what)
        self._go()

    def _go(self) -> None:
        """Begin to probe, unless something is still waited for."""
        with self._lock:
            if not self._began or self._over or self._awaited or self._probing:
                return
            self._probing = True
        if self._ready is None:
            self._begin_health()
        elif self._targets:
            self._submit(self._probe_readiness)
        else:
            self._is_ready()

    def _timed_out(self) -> None:
        assert self._ready is not None
        with standstill:  # what is found is told by the same program
            with self._lock:
                if self._timers.pop("timeout", None) is None:
                    return
                lacking = [_AWAITED[each] for each in sorted(self._awaited)]
                lacking = lacking or [self._lacking or "no answer yet"]
            self._go_on(self._findings.not_ready(self._ready.timeout, "; ".join(lacking)))

    def _probe_readiness(self) -> None:
        assert self._ready is not None
        for target in self._targets:
            passed, why = self._probe(target, self._ready.probe_timeout)
            if passed is None and self._over:
                return
            if not passed:
                with self._lock:
                    self._lacking = f"{target}: {why}"
                self._submit_later(self._ready.interval, self._probe_readiness)
                return
        self._is_ready()

    def _is_ready(self) -> None:
        with standstill:
            with self._lock:
                timer = self._timers.pop("timeout", None)
            if timer is not None:
                timer.cancel()
            self._ready_found = True
            wanted = self._go_on(self._findings.ready())
        if wanted:
            self._begin_health()

    # Whether it works

    def _begin_health(self) -> None:
        if self._health is None:
            return
        with self._lock:
            self._verdict = Verdict(self._health, self._began_at)
        self._submit(self._probe_health)

    def _probe_health(self) -> None:
        assert self._health is not None
        assert self._well is not None
        assert self._verdict is not None
        passed, why = self._probe(self._well, self._health.probe_timeout)
        with standstill:
            if passed is not None and not self._over and self._verdict.add(passed, time.monotonic()):
                status = self._verdict.status
                stop = status == "unhealthy" and self._health.on_failure == "restart"
                detail = "" if passed else f"{self._well}: {why}"
                if not self._go_on(self._findings.health(status, detail, stop=stop)) or stop:
                    return
        self._submit_later(self._verdict.interval, self._probe_health)

    # Both

    def _submit(self, probe: Callable[[], object]) -> None:
        self._resources.pool.submit(self._findings.task_id, probe)

    def _submit_later(self, seconds: float, probe: Callable[[], object]) -> None:
        with self._lock:
            self._schedule_locked("probe", seconds, lambda: self._submit(probe))

    def _go_on(self, wanted: bool) -> bool:
        """Take the hub's answer to a finding: whether to go on."""
        if not wanted:
            self._stop_probing()
        return wanted

    def _probe(self, target: Target, seconds: float) -> tuple[bool | None, str]:
        """Probe once: whether it passed, None if that cannot be told; and why not."""
        try:
            with Attempt(seconds) as attempt:
                with self._lock:
                    if self._over:
                        return None, ""
                    self._attempt = attempt
                try:
                    self._resources.probe(target, self._findings.task_id, attempt, self._surroundings)
                finally:
                    with self._lock:
                        self._attempt = None
        except CancelledError:
            return None, ""
        except ProbeFailedError as error:
            self._findings.probed(failed=True)
            return False, str(error)
        except NotProbedError as error:
            if not self._hampered:
                self._hampered = True
                self._findings.trouble(f"{target}: {error}")
            return None, str(error)
        except Exception:  # a bug must not end the probing
            _log.exception("a probe of task %s failed", self._findings.task_id)
            return None, "the probe itself failed"
        self._hampered = False
        self._findings.probed(failed=False)
        return True, ""
