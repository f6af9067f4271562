"""Input for a task that has ended."""

from __future__ import annotations

import os
from typing import Any, cast

import pytest

from overseer.client import Client, RefusedError
from overseer.ctl.feeding import feed


@pytest.mark.parametrize(
    ("code", "text", "said"),
    [
        ("not_running", "task is not running", ""),
        ("conflict", "task is not running", ""),  # an older server
        ("conflict", "task takes no input", "overseerctl: task takes no input\n"),
    ],
)
def test_only_a_refusal_for_another_reason_is_reported(
    code: Any, text: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    class Refusing:
        def input(self, task_id: str, data: bytes, *, eof: bool) -> None:
            raise RefusedError(text, code=code)

    typed, keyboard = os.pipe()
    before = os.dup(0)
    os.close(keyboard)
    os.dup2(typed, 0)
    try:
        feed(cast(Client, Refusing()), "ended").join(30)
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(typed)
    assert capfd.readouterr().err == said
