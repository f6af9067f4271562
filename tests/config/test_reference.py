from __future__ import annotations

import re
from pathlib import Path

import pytest

from overseer.config.reference import keys, refresh, sections
from overseer.drivers.api import build_action_handlers
from tests.config.conftest import Load

DOCUMENT = Path(__file__).parents[2] / "docs" / "CONFIG.md"
TEXT = DOCUMENT.read_text("utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def test_the_tables_are_those_of_the_declarations() -> None:
    assert refresh(TEXT) == TEXT, "run: python -m overseer.config.reference docs/CONFIG.md"


def test_a_stale_table_is_brought_up_to_date() -> None:
    stale = TEXT.replace("| `stall_timeout` |", "| `stale` |")
    assert stale != TEXT
    assert refresh(stale) == TEXT


def test_every_section_has_its_table() -> None:
    assert re.findall(r"<!-- keys: (\S+) -->", TEXT) == [
        "top",
        "auth",
        "auth.tokens[]",
        "tls",
        "task_pool",
        "task_pool.queue",
        "task_pool.excess",
        "retry",
        "actions.NAME",
        "actions.NAME.meta",
        "actions.NAME.then",
        "actions.NAME.then.success[]",
        "actions.NAME.config",
        "actions.NAME.config.parameters.NAME",
        "actions.NAME.config.parameters.NAME.choices[]",
        "actions.NAME.config.env_file[]",
        "actions.NAME.config.cgroup",
        "actions.NAME.config.pty",
        "actions.NAME.config.output",
        "actions.NAME.config.output.stdout",
        "actions.NAME.config.cluster",
        "actions.NAME.config.cluster.tls",
        "actions.NAME.ready",
        "actions.NAME.health",
        "secrets.NAME",
        "tasks.NAME",
        "tasks.NAME.schedule[]",
        "channels.NAME",
        "notify[]",
        "webhooks.NAME",
        "clients",
        "history",
        "storage",
        "limits",
    ]
    assert set(sections()) == set(re.findall(r"<!-- keys: (\S+) -->", TEXT))


def test_a_table_has_a_row_for_each_key() -> None:
    rows = keys(sections()["clients"]).splitlines()[2:]
    expected = ["| `buffer`", "| `stall_timeout`", "| `keepalive`", "| `on_lag`"]
    assert [row.split(" | ")[0] for row in rows] == expected
    assert "| size | `8MiB` |" in rows[0]


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_loads_without_a_warning_and_its_actions_can_be_built(load: Load, example: str) -> None:
    config = load(example)
    assert config.warnings == ()
    assert set(build_action_handlers(config)) == set(config.actions)


def test_the_two_spellings_shown_are_one(load: Load) -> None:
    one, other = (load(example) for example in EXAMPLES if example.startswith("task_pool: {"))
    assert one == other


def test_the_complete_example_is_complete(load: Load) -> None:
    (example,) = (each for each in EXAMPLES if each.startswith("name:"))
    assert set(re.findall(r"^([a-z_]+):", example, re.MULTILINE)) == {
        *("name", "description", "listen", "trusted_cidrs", "log_file"),
        *("task_pool", "retry", "clients", "history", "limits", "actions"),
    }
    config = load(example)
    assert config.actions["build"].stop_signal == "SIGINT"
    assert config.pool_for("build").limit == 2
