"""Configurations that were written for 0.1.0 mean what they did; the tests of the shipped one are those of
today's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from overseer.config import load_config
from tests.harness import Daemon
from tests.packaging.test_shipped_config import (
    test_checksum_is_that_of_the_file,
    test_checksum_runs_once_for_a_path,
    test_disk_has_a_default_path,
    test_find_large_finds_what_is_large,
    test_jobs_run_two_at_a_time_and_four_wait,
    test_report_tells_about_the_machine,
    test_wait_for_tries_until_the_file_is_there,
    test_watch_load_says_json_and_nothing_else,
)

__all__ = [
    "test_checksum_is_that_of_the_file",
    "test_checksum_runs_once_for_a_path",
    "test_disk_has_a_default_path",
    "test_find_large_finds_what_is_large",
    "test_jobs_run_two_at_a_time_and_four_wait",
    "test_report_tells_about_the_machine",
    "test_wait_for_tries_until_the_file_is_there",
    "test_watch_load_says_json_and_nothing_else",
]

WRITTEN = Path(__file__).parent / "v0_1_0"


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    text = (WRITTEN / "shipped.yaml").read_text()
    with Daemon(text, environment={"OVERSEER_LISTEN": "127.0.0.1:0"}) as daemon:
        assert "warning" not in daemon.stderr.lower()
        yield daemon


def test_the_complete_example_means_what_it_did() -> None:
    config = load_config(WRITTEN / "complete.yaml", {})
    assert not config.warnings
    assert config.trusted_cidrs == ("127.0.0.0/8", "::1", "10.20.0.0/16")
    assert (config.name, config.listen, config.log_file) == ("build farm", ":8080", "/var/log/overseer.jsonl")
    pool, excess = config.task_pool, config.task_pool.excess
    assert pool.queue is not None
    assert (pool.limit, pool.queue.enabled, pool.queue.size) == (8, True, 100)
    assert (pool.queue.max_age, excess.action, excess.order, excess.grace) == (1800, "requeue", "last", 10)
    assert (config.clients.buffer, config.clients.stall_timeout, config.clients.on_lag) == (
        16 << 20,
        60,
        "drop",
    )
    assert (config.history.tasks, config.history.age) == (5000, 72 * 3600)
    assert (config.limits.max_message, config.limits.max_connections) == (256 << 10, 200)
    build, tunnel = config.actions["build"], config.actions["tunnel"]
    assert (build.stop_signal, build.stop_grace, build.dedupe_key) == ("SIGINT", 15, ("branch",))
    second = 10**9
    retry = config.retry_for("build")
    assert (retry.restart_delay, retry.restart_jitter) == (5 * second, 2 * second)
    assert (retry.error_window, retry.error_threshold, retry.restart_on) == (600 * second, 5, "")
    retry = config.retry_for("tunnel")
    assert (retry.restart_delay, retry.restart_on, retry.error_threshold) == (second, "any", 5)
    assert tunnel.task_pool is None
    assert config.pool_for("build").limit == 2
    assert config.pool_for("build").queue == pool.queue
