"""The state that one program writes and another reads."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from overseer.errors import OverseerError
from overseer.history.records import ChainTrigger, Trigger, trigger_of
from overseer.protocol import ExcessConfig, PoolConfig, QueueConfig, RetryPolicy
from overseer.supervisor.handover.pools import export_pools, restore_pools
from overseer.supervisor.pool.pool import PoolManager
from overseer.supervisor.retry import RetryState
from overseer.upgrade.reexec import invocation
from overseer.util.dataclass_json import from_plain, to_plain
from overseer.util.handover_format import FORMAT, Outgoing, pack, to_memory, unpack
from tests.harness import ROOT

STATES = Path(__file__).parent / "states"


@contextmanager
def _in_memory(data: bytes) -> Iterator[int]:
    fd = to_memory(data)
    try:
        yield fd
    finally:
        os.close(fd)


def _check(data: bytes, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    with _in_memory(data) as fd:
        return subprocess.run(
            [sys.executable, ROOT / "sticky_overseer.py", "--check-handover", str(fd)],
            cwd=tmp_path,
            pass_fds=[fd],
            capture_output=True,
            text=True,
            timeout=60,
        )


@pytest.mark.parametrize("file", sorted(STATES.iterdir()), ids=lambda file: file.stem)
def test_what_earlier_versions_have_written_can_be_read(file: Path, tmp_path: Path):
    done = _check(gzip.decompress(file.read_bytes()), tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_there_is_a_recorded_state_of_each_format():
    recorded = {int(file.stem.split("-")[1]) for file in STATES.iterdir()}  # by tests.upgrade.record
    assert recorded == set(range(1, FORMAT + 1))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a server's state"),
        (b"something else\n", "not a server's state"),
        (pack({}, form=FORMAT + 1), f"has format {FORMAT + 1}"),
        (pack({}, [b"longer"])[:-1], "incomplete"),
        (pack({}).replace(b"{", b"["), "damaged"),
    ],
)
def test_what_is_no_state_or_a_later_one_is_refused_in_words(data: bytes, said: str, tmp_path: Path):
    with pytest.raises(OverseerError, match=said):
        unpack(data)
    done = _check(data, tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert said in done.stderr


def test_a_state_comes_back_as_it_was():
    out = Outgoing()
    data = b"\0\xff" * 1000
    first, second = out.blob(data), out.blob(data)
    assert first == second
    values, blobs = unpack(pack({"text": "\udcff ä\n", "number": 0.1, "blob": first}, out.blobs))
    assert values == {"text": "\udcff ä\n", "number": 0.1, "blob": 0}
    assert blobs == [data]


@dataclass(frozen=True)
class _Mixed:
    when: datetime
    names: tuple[str, ...] = ()
    pairs: tuple[tuple[str, int], ...] = ()
    inner: RetryPolicy | None = None
    data: bytes = b""
    more: dict[str, Any] = field(default_factory=dict)


@pytest.mark.parametrize(
    "value",
    [
        _Mixed(datetime(2026, 5, 6, 7, 8, 9, 123456, UTC), ("a",), (("b", 1),), RetryPolicy(), b"\0\xff"),
        RetryState((1.5, 2.5), 3, 2, 1, 4),
        RetryPolicy(restart_delay=5, error_threshold=3, restart_on="any"),
        QueueConfig(enabled=True, size=7, order="last"),
    ],
)
def test_values_come_back_as_they_were(value: Any):
    assert from_plain(type(value), to_plain(value)) == value


def test_unknown_fields_are_ignored_and_missing_ones_have_their_defaults():
    assert from_plain(QueueConfig, {"size": 3, "later": True}) == QueueConfig(size=3)


@pytest.mark.parametrize(
    "trigger", [Trigger("client", "ana"), Trigger("boot", "boot"), ChainTrigger("chain", "chain:t", 3, True)]
)
def test_triggers_come_back_as_they_were(trigger: Trigger):
    assert trigger_of(to_plain(trigger)) == trigger


def test_pools_come_back_with_slots_queues_turns_and_changed_limits():
    queue = QueueConfig(enabled=True, size=3, order="last", displace="true")
    settings = PoolConfig(limit=2), {"a": PoolConfig(limit=1, queue=queue), "b": None}
    pools = PoolManager(*settings, clock=lambda: 10.0)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(4):
        pools.acquire(f"a{number}", "a", number == 2, at)
    pools.acquire("b0", "b", False, at)
    pools.resize("a", limit=5, queue_size=9, excess={"action": "requeue"})
    pools.mark_leaving("b0")
    again = PoolManager(*settings, clock=lambda: 10.0)
    exported = unpack(pack(export_pools(pools)))[0]
    restore_pools(again, exported)
    assert unpack(pack(export_pools(again)))[0] == exported
    assert again.info("a") == pools.info("a")
    assert again.counts() == pools.counts()
    assert isinstance(again._scopes["a"].excess, ExcessConfig)
    for each in (pools, again):  # and go on alike
        each.release("a0")
        each.release("b0")
    assert again.info() == pools.info()


@pytest.mark.parametrize(
    ("argv", "options", "kind", "target", "arguments"),
    [
        (["x.py", "--config", "c"], [], "script", "x.py", ["--config", "c"]),
        (["-X", "utf8=1", "-u", "x.py"], ["-X", "utf8=1", "-u"], "script", "x.py", []),
        (["-m", "overseer", "-x"], [], "module", "overseer", ["-x"]),
        (["-Im", "overseer"], ["-I"], "module", "overseer", []),
        (["-moverseer", "a"], [], "module", "overseer", ["a"]),
        (["-W", "error", "-c", "pass", "a"], ["-W", "error"], "code", "pass", ["a"]),
    ],
)
def test_a_command_line_of_python_is_taken_apart(
    argv: list[str], options: list[str], kind: str, target: str, arguments: list[str]
):
    found = invocation(argv)
    assert found[:4] == (options, kind, target, arguments)
    assert [*found.options, *found.rest][-len(arguments) - 1 :] == argv[-len(arguments) - 1 :]
