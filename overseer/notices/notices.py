"""Turns changes of tasks into notices, and has channels deliver them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from overseer.config import Config
from overseer.errors import RequestError
from overseer.history.steady_clock import SteadyClock
from overseer.notices.channels import deliver
from overseer.notices.happenings import Happening, happening_of
from overseer.notices.notice import test_of
from overseer.notices.outbox import Answer, Attempt, Outbox, Pending
from overseer.notices.rules import Following, Rules
from overseer.notices.storage import States, notices_from, notices_to
from overseer.supervisor.observers import Change
from overseer.util.suggest import did_you_mean
from overseer.util.thread_pool import ThreadPool
from overseer.util.timers import Timer, Timers
from overseer.util.timestamps import from_micros, to_micros

_TESTS = 2  # at the same time
_PATIENCE_S = 2.0  # for attempts under way at the end
_SHORTEST_S = 0.05  # between two looks at what is due

ReadSecret = Callable[[Config, str], str]


class Notices:
    """Receives changes of tasks, and sends notices to channels as the rules say.

    Args:
        secret: reads a secret of a configuration by its name; raises SpawnError.
    """

    def __init__(self, config: Config, states: States, secret: ReadSecret) -> None:
        self._config = config
        self._states = states
        self._secret = secret
        self._timers = Timers("notices")
        self._rules = Rules(config.notify, config.name)  # the pool's alone, once it is started
        self._clock = SteadyClock()
        self._reminder: Timer | None = None  # the pool's
        self._threads = ThreadPool("rules", 1)  # one thread, so that what is stored comes in order
        self._tests = ThreadPool("notice-test", _TESTS)
        self._outbox = Outbox(self._deliver, states, self._timers)

    def start(self, given: Mapping[str, Any] | None = None) -> None:
        """Take over what an earlier server left, or another program of this one (``given``)."""
        states, pending = self._states.load() if given is None else notices_from(given)
        config = self._config
        self._rules = Rules(config.notify, config.name, states)
        self._outbox.restore(pending)
        self._threads.do(partial(self._follow, config))

    def heard(self, change: Change) -> None:
        """Take a change of a task; called on one thread, and does not block."""
        happening = happening_of(change)
        if happening is not None:
            self._threads.do(partial(self._take, happening))

    def concerned(self, change: Change) -> bool:
        """Whether a rule may be about the end of a task."""
        return bool(self._config.notify)

    def apply(self, config: Config) -> None:
        """Switch to another configuration. All channels are tried at once, disabled ones too."""
        self._config = config
        self._threads.do(partial(self._follow, config))

    def test(self, name: str, done: Callable[[str], None]) -> None:
        """Send a channel a test notice, once.

        Args:
            done: called on another thread, with why it was not delivered, or "".

        Raises:
            RequestError: there is no such channel.
        """
        config = self._config
        channel = config.channels.get(name)
        if channel is None:
            raise RequestError(f"no such channel: {name}{did_you_mean(name, config.channels)}")

        def attempt() -> None:
            tried = Attempt(Answer.DOWN, "internal error; the server's log says more")
            try:
                tried = deliver(channel, test_of(name, config.name), partial(self._secret, config))
            finally:
                done("" if tried.answer is Answer.TAKEN else tried.why)
            if tried.answer is Answer.TAKEN:
                self._outbox.set_channels(self._config.channels)

        if not self._tests.do(attempt):
            raise RequestError("the server is shutting down")

    def export(self) -> dict[str, Any]:
        """What another program has to know to go on, see :meth:`start`."""
        return notices_to(self._rules.states, self._outbox.pending)

    @property
    def busy(self) -> bool:
        """Whether something that has happened is still to be looked at."""
        return self._threads.busy

    def close(self) -> None:
        """Stop sending notices; what is pending stays stored. Idempotent."""
        self._threads.close(_PATIENCE_S, drop=False)
        self._timers.close()
        self._tests.close()
        self._outbox.close(_PATIENCE_S)

    def gauges(self) -> Mapping[str, tuple[str, float]]:
        """For monitoring: help text and value, by name."""
        return {
            "notices_pending": ("Notices that wait to be delivered", self._outbox.waiting),
            "notices_disabled_channels": (
                "Channels whose receivers say that they are gone for good",
                self._outbox.disabled,
            ),
        }

    def counters(self) -> Mapping[str, tuple[str, float]]:
        """The same for what only grows."""
        return {
            "notices_sent": ("Notices that were delivered", self._outbox.sent),
            "notices_failed": ("Notices that were given up", self._outbox.failed),
        }

    def _deliver(self, pending: Pending) -> Attempt:
        config = self._config
        channel = config.channels.get(pending.channel)
        if channel is None:
            return Attempt(Answer.DOWN, "the channel no longer exists")
        return deliver(channel, pending.notice, partial(self._secret, config))

    # On the pool's thread

    def _take(self, happening: Happening) -> None:
        self._tell(self._rules.take(happening, from_micros(self._clock.now())))

    def _remind(self) -> None:
        self._tell(self._rules.remind(from_micros(self._clock.now())))

    def _follow(self, config: Config) -> None:
        gone = self._rules.replace(config.notify, config.name, config.actions)
        self._states.told((), dict.fromkeys(gone))
        self._outbox.set_channels(config.channels)
        self._watch()

    def _tell(self, following: Following) -> None:
        pending = [Pending.new(channel, notice) for channel, notice in following.told.items()]
        self._states.told(pending, following.changed, following.run_id)
        for each in pending:
            self._outbox.put(each)
        self._watch()

    def _watch(self) -> None:
        """Send reminders when they are due."""
        if self._reminder is not None:
            self._reminder.cancel()
            self._reminder = None
        due = self._rules.next_reminder()
        if due is not None:
            wait = max(_SHORTEST_S, (to_micros(due) - self._clock.now()) / 1e6)
            self._reminder = self._timers.schedule(wait, self._threads.do, self._remind)
