"""A server that runs from a copy of the sources, which a test changes as an installation would."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.faults.support import address_of
from tests.harness import ROOT, Daemon, shell
from tests.harness.client import WsClient
from tests.net.rawclient import http_request

TIMES = int(os.environ.get("OVERSEER_TEST_UPGRADES", "0"))
slow = pytest.mark.skipif(not TIMES, reason="slow: make upgrades runs it (OVERSEER_TEST_UPGRADES)")

FUNCTIONS = """
import sys, threading
import overseer
from overseer import ActionHandler, ActionInfo, ServiceHandler, start_virtual_worker

class Handler(ServiceHandler):
    def describe(self):
        return ActionInfo("virtual", "virtual")
    def validate(self, params):
        pass
    def start(self, task_id, params, callbacks):
        return start_virtual_worker(task_id, lambda context, send: context.wait(), callbacks)
    def run_service(self, stop, submitter):
        stop.wait()

class Factory:
    type = "virtual"
    def create(self, config, action_name, retry, pool, dedupe_key):
        return Handler()

overseer.register_factory(Factory())
if __name__ == "__main__":
    sys.exit(overseer.run_cli("1.0", ""))
"""


class Installed:
    """A copy of the program in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        # With what is compiled already, which would be half of what a test costs.
        shutil.copytree(
            ROOT / "overseer", directory / "overseer", ignore=shutil.ignore_patterns("playground")
        )
        shutil.copytree(ROOT / "playground", directory / "overseer/playground")
        shutil.copy(ROOT / "sticky_overseer.py", directory)
        self.program = directory / "sticky_overseer.py"
        self.change("overseer/upgrade/reexec.py", "_DEADLINE_S = 60.0", "_DEADLINE_S = 25.0")

    def change(self, path: str, before: str, after: str) -> None:
        """Replace a text in one of its files, as an installation does: the file is another one then."""
        file = self.directory / path
        text = file.read_text()
        assert before in text, f"{path} has no {before!r}"
        file.unlink()
        file.write_text(text.replace(before, after))

    def daemon(self, **settings: Any) -> Daemon:
        return Daemon(program=self.program, **settings)


def upgrade(client: WsClient) -> None:
    """Have the server replaced."""
    answer = client.request("upgrade", 60.0)
    assert answer["type"] == "upgraded", answer


Kind = Callable[[Daemon, WsClient], Iterator[None]]
"""Something that goes over: what comes before an upgrade, a ``yield`` for it, and what is so afterwards."""


def go_over(daemon: Daemon, kinds: Sequence[Kind]) -> dict[str, BaseException]:
    """Have all go over in the same upgrades, which would be most of what each costs; what failed, by name.

    The last to come before an upgrade goes on first after it, so what must not wait for others is a late one.
    """
    failed: dict[str, BaseException] = {}
    with ExitStack() as clients, daemon.connect() as admin:
        under_way = {kind.__name__: kind(daemon, clients.enter_context(daemon.connect())) for kind in kinds}
        names = list(under_way)
        while names:
            for name in names:
                try:
                    next(under_way[name])
                except StopIteration:
                    del under_way[name]
                except Exception as error:
                    failed[name] = error
                    del under_way[name]
            if under_way:
                upgrade(admin)
            names = list(reversed(under_way))
    return failed


def counter(daemon: Daemon, name: str) -> int:
    """What a counter of the server's says now."""
    text = http_request(address_of(daemon), "/metrics", timeout=60.0).body.decode()
    return int(float(text.partition(f"\noverseer_{name}_total ")[2].split()[0]))


def lines_of(messages: list[dict[str, Any]], task_id: str) -> list[tuple[int, str]]:
    """The seq and text of a task's lines, as they came."""
    return [
        (message["seq"], message["data"])
        for message in messages
        if message["type"] == "output" and message["task_id"] == task_id
    ]


def assert_in_order(messages: list[dict[str, Any]], task_id: str, first: int = 1) -> int:
    """Check that a task's lines, which say their number, came each once and in order from the ``first`` on;
    returns the last one's number."""
    lines = lines_of(messages, task_id)
    expected = [(number, str(number)) for number in range(first, first + len(lines))]
    if lines != expected:
        pairs = zip(lines, expected, strict=True)
        at = next(index for index, (came, meant) in enumerate(pairs) if came != meant)
        raise AssertionError(f"task {task_id}: after {lines[max(0, at - 2) : at]} came {lines[at : at + 3]}")
    return lines[-1][0] if lines else 0


def with_functions(tmp_path: Path, text: str = FUNCTIONS, **settings: Any) -> Daemon:
    """A server whose action ``virtual`` has tasks that are functions, and a service."""
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(text))
    return Daemon(
        program=program,
        environment={"PYTHONPATH": str(ROOT)},
        actions={"virtual": {"type": "virtual"}, "real": shell("sleep 60")},
        **settings,
    )
