"""A server that runs from a copy of the sources, which a test changes as an installation would."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tests.harness import ROOT, Daemon


class Installed:
    """A copy of the program in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        shutil.copytree(
            ROOT / "overseer",
            directory / "overseer",
            ignore=shutil.ignore_patterns("__pycache__", "playground"),
        )
        shutil.copytree(ROOT / "playground", directory / "overseer/playground")
        shutil.copy(ROOT / "sticky_overseer.py", directory)
        self.program = directory / "sticky_overseer.py"

    def change(self, path: str, before: str, after: str) -> None:
        """Replace a text in one of its files, as an installation does: the file is another one then."""
        file = self.directory / path
        text = file.read_text()
        assert before in text, f"{path} has no {before!r}"
        file.unlink()
        file.write_text(text.replace(before, after))

    def daemon(self, **settings: Any) -> Daemon:
        return Daemon(program=self.program, environment={"PYTHONDONTWRITEBYTECODE": ""}, **settings)


def lines_of(messages: list[dict[str, Any]], task_id: str) -> list[tuple[int, str]]:
    """The seq and text of a task's lines, as they came."""
    return [
        (message["seq"], message["data"])
        for message in messages
        if message["type"] == "output" and message["task_id"] == task_id
    ]


def assert_in_order(messages: list[dict[str, Any]], task_id: str) -> int:
    """Check that lines that count from 1 came each once and in order; returns their number."""
    lines = lines_of(messages, task_id)
    expected = [(number, str(number)) for number in range(1, len(lines) + 1)]
    if lines != expected:
        at = next(index for index, pair in enumerate(zip(lines, expected, strict=True)) if pair[0] != pair[1])
        raise AssertionError(f"task {task_id}: after {lines[max(0, at - 2) : at]} came {lines[at : at + 3]}")
    return len(lines)
