"""From results to healthy and unhealthy, over the product of settings and sequences."""

from __future__ import annotations

import itertools

import pytest

from overseer.config.probes import HealthConfig
from overseer.probes.verdict import Verdict


def statuses(config: HealthConfig, results: str) -> str:
    """What each result (``+`` or ``-``, one a second from 0 on) leads to, by its first letter."""
    verdict = Verdict(config, 0.0)
    said = ""
    for second, result in enumerate(results):
        before = verdict.status
        assert verdict.add(result == "+", float(second)) == (verdict.status != before)
        said += verdict.status[0]
    return said


@pytest.mark.parametrize(
    ("config", "results", "expected"),
    [
        (HealthConfig(tcp="x:1"), "---", "ssu"),
        (HealthConfig(tcp="x:1"), "--+--+---", "sshhhhhhu"),
        (HealthConfig(tcp="x:1"), "---+", "ssuh"),
        (HealthConfig(tcp="x:1", failures=1), "-+-", "uhu"),
        (HealthConfig(tcp="x:1", successes=2), "+-++---+-++", "sssh" + "hhuuuuh"),
        (HealthConfig(tcp="x:1", start_period=4.0, failures=2), "-----", "sssss"),
        (HealthConfig(tcp="x:1", start_period=4.0, failures=2), "------", "sssssu"),
        (HealthConfig(tcp="x:1", start_period=100.0, failures=2), "-+--", "shhu"),
        (HealthConfig(tcp="x:1", start_period=100.0, failures=2, successes=2), "-+-++--", "sssshhu"),
    ],
)
def test_results_lead_to_statuses(config: HealthConfig, results: str, expected: str) -> None:
    assert statuses(config, results) == expected


def test_it_is_what_the_latest_results_in_a_row_say() -> None:
    """Against a plainer way to say it, for every sequence of eight."""
    for failures, successes in itertools.product((1, 2, 3), repeat=2):
        config = HealthConfig(tcp="x:1", failures=failures, successes=successes)
        for results in map("".join, itertools.product("+-", repeat=8)):
            status = "s"
            expected = ""
            for end in range(1, len(results) + 1):
                so_far = results[:end]
                if so_far.endswith("+" * successes):
                    status = "h"
                elif so_far.endswith("-" * failures):
                    status = "u"
                expected += status
            assert statuses(config, results) == expected


def test_what_may_still_be_starting_is_looked_at_more_often() -> None:
    verdict = Verdict(HealthConfig(tcp="x:1", start_period=60.0), 0.0)
    assert verdict.interval == 1.0
    verdict.add(False, 1.0)
    assert verdict.interval == 1.0
    verdict.add(True, 2.0)
    assert verdict.interval == 10.0
    assert Verdict(HealthConfig(tcp="x:1"), 0.0).interval == 10.0
    assert Verdict(HealthConfig(tcp="x:1", start_period=60.0, interval=0.5), 0.0).interval == 0.5
