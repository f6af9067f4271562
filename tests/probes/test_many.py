"""A thousand tasks with probes, in this process: few threads, and each gets its turn."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from overseer.config import ActionConfig
from overseer.config.probes import HealthConfig, ReadyConfig
from overseer.probes.prober import Probes
from overseer.probes.resources import ProbeResources
from overseer.supervisor.probing import RunWatch
from overseer.workers.surroundings import Surroundings
from tests.harness import allowed
from tests.probes.targets import Target

MANY = 1000


class Findings:
    """Takes what is found out about one run."""

    def __init__(self, number: int, looks: Counter[int], changed: threading.Condition) -> None:
        self.task_id = self.run_id = f"t{number}"
        self._number = number
        self._looks = looks
        self._changed = changed
        self.said: list[str] = []

    def probed(self, failed: bool) -> None:
        with self._changed:
            self._looks[self._number] += 1
            self._changed.notify_all()

    def ready(self) -> bool:
        self.said.append("ready")
        return True

    def not_ready(self, seconds: float, lacking: str) -> bool:
        self.said.append(lacking)
        return True

    def health(self, status: str, why: str, *, stop: bool) -> bool:
        with self._changed:
            self.said.append(status)
            self._changed.notify_all()
        return True

    def trouble(self, what: str) -> None:
        self.said.append(what)

    def over(self) -> None:
        self.said.append("over")


class Many:
    """Many runs with the same probes."""

    def __init__(self, probes: Probes, config: ActionConfig) -> None:
        self.looks: Counter[int] = Counter()
        self.changed = threading.Condition()
        self.findings = [Findings(number, self.looks, self.changed) for number in range(MANY)]
        self.watches: list[RunWatch] = [
            probes.watch(each, config, {})  # type: ignore[arg-type]
            for each in self.findings
        ]
        for watch in self.watches:
            watch.begin(Surroundings())

    def wait_for_each(self, looks: int, timeout: float = 60.0) -> None:
        with self.changed:
            assert self.changed.wait_for(
                lambda: len(self.looks) == MANY and min(self.looks.values()) >= looks, timeout
            ), Counter(self.looks.values())

    def end(self) -> None:
        for watch in self.watches:
            watch.end()


@pytest.fixture
def probes() -> Iterator[Probes]:
    made = Probes()
    yield made
    made.close()
    made.close()


def lookers() -> int:
    return sum(thread.name == "probe" for thread in threading.enumerate())


def test_those_that_hang_hold_up_others_only_for_a_while(probes: Probes) -> None:
    with Target(None) as target:
        health = HealthConfig(http=target.url, interval=60.0, timeout=0.03)
        many = Many(probes, ActionConfig("a", "exec", health=health))
        most = lookers()
        many.wait_for_each(1)
        assert max(most, lookers()) <= 32
        many.end()
    assert {tuple(each.said) for each in many.findings} == {("over",)}


def test_each_gets_its_turn_again_and_again(probes: Probes) -> None:
    with Target() as target:
        health = HealthConfig(tcp=target.address, interval=0.05)
        many = Many(probes, ActionConfig("a", "exec", health=health))
        many.wait_for_each(2)
        assert lookers() <= 32
        many.end()
        for each in many.findings:
            assert each.said == ["healthy", "over"]


def test_what_ends_before_its_turn_is_not_probed(probes: Probes) -> None:
    with Target(None) as target:
        ready = ReadyConfig(http=target.url)
        many = Many(probes, ActionConfig("a", "exec", ready=ready))
        target.wait_for(1)
        began = time.monotonic()
        many.end()
        probes.close()
        assert time.monotonic() - began < allowed(10)
    assert not many.looks
    assert {tuple(each.said) for each in many.findings} == {("over",)}


def test_a_probe_that_breaks_is_not_the_last_one(
    probes: Probes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = iter([ValueError("a mistake"), ValueError("another")])

    def look(*_: object) -> None:
        for error in broken:
            raise error

    monkeypatch.setattr(ProbeResources, "probe", look)
    changed, looks = threading.Condition(), Counter[int]()
    findings = Findings(0, looks, changed)
    health = HealthConfig(tcp=":80", interval=0.01, failures=1)
    watch = probes.watch(findings, ActionConfig("a", "exec", health=health), {})  # type: ignore[arg-type]
    watch.begin(Surroundings())
    with changed:
        assert changed.wait_for(lambda: findings.said == ["healthy"], 30)
    watch.end()
    assert caplog.text.count("a probe of task t0 failed") == 2
