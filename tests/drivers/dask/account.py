"""What a client has heard of tasks, added up: each line of a run once and in order, each end once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness import WsClient

Message = dict[str, Any]


@dataclass
class Run:
    """One run, as a client has heard of it.

    Attributes:
        lines: its numbers; a run prints 1, 2, 3...
    """

    started: Message
    lines: list[int] = field(default_factory=list)
    exited: Message | None = None

    @property
    def reason(self) -> str:
        return "" if self.exited is None else str(self.exited["reason"])


def account(client: WsClient) -> dict[str, list[Run]]:
    """The runs of all tasks that this client has heard of, in order, by task.

    Raises:
        AssertionError: a line is missing, there twice, out of order or of no run; or so is an end.
    """
    tasks: dict[str, list[Run]] = {}
    for message in list(client.messages):
        task = message.get("task_id", "")
        runs = tasks.setdefault(task, [])
        match message["type"]:
            case "started":
                assert not runs or runs[-1].exited is not None, f"{task} runs twice: {message}"
                runs.append(Run(message))
            case "output":
                assert runs, f"a line before its run: {message}"
                run = runs[-1]
                assert run.exited is None, f"a line after its end: {message}"
                run.lines.append(int(message["data"]))
                assert run.lines[-1] == len(run.lines), f"{task}: {run.lines[-3:]}, and {len(run.lines)} came"
            case "exited":
                assert runs, f"an end before its run: {message}"
                assert runs[-1].exited is None, f"a second end: {message}"
                assert runs[-1].started.get("host") == message.get("host"), message
                runs[-1].exited = message
    return {task: runs for task, runs in tasks.items() if runs}


def running(prefix: str) -> list[int]:
    """The processes anywhere on this machine that belong to tasks whose ids begin like this."""
    wanted = f"OVERSEER_TASK_ID={prefix}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if any(each.startswith(wanted) for each in path.read_bytes().split(b"\0")):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found
