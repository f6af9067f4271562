"""How long runs may last, what is a success, and how restarts are spaced."""

from __future__ import annotations

import pytest

from tests.config.conftest import Fails, Load

_ACTION = "actions:\n  a: {{type: exec, {}}}\n"


@pytest.mark.parametrize(
    ("keys", "timeout", "codes"),
    [
        ("", 0, ()),
        ("timeout: 0, success_codes: [0]", 0, ()),
        ("timeout: 90", 90, ()),
        ("timeout: 1m30s, success_codes: 3", 90, (3,)),
        ("timeout: 0.5, success_codes: [0, 3, 3, 1000]", 0.5, (0, 3, 1000)),
    ],
)
def test_an_action_s_timeout_and_success_codes(
    load: Load, keys: str, timeout: float, codes: tuple[int, ...]
) -> None:
    action = load(_ACTION.format(keys)).actions["a"]
    assert (action.timeout, action.success_codes) == (timeout, codes)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("timeout: -1s", "actions.a.timeout: "),
        ("timeout: soon", "actions.a.timeout: "),
        ("timeout: [1]", "actions.a.timeout: "),
        ("success_codes: []", "actions.a.success_codes: names no exit code, so that no run could"),
        ("success_codes: [0, -1]", "actions.a.success_codes.1: -1 is negative: the least is 0"),
        ("success_codes: [0, x]", 'actions.a.success_codes.1: expected a whole number, found the text "x"'),
        ("success_codes: {0: 1}", "actions.a.success_codes: expected a number or list of numbers, found"),
    ],
)
def test_what_cannot_be_meant_is_refused(fails: Fails, keys: str, says: str) -> None:
    (error,) = fails(_ACTION.format(keys))
    assert error.startswith(f"c:2: {says}")
