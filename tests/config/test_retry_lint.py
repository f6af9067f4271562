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
        ("timeout: 0.5, success_codes: [0, 3, 3, 255]", 0.5, (0, 3, 255)),
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
        ("success_codes: []", "actions.a.success_codes: lists no exit code, so no run could"),
        ("success_codes: [0, -1]", "actions.a.success_codes.1: -1 is negative: the least is 0"),
        ("success_codes: [0, x]", 'actions.a.success_codes.1: expected a whole number, found the text "x"'),
        ("success_codes: [0, 256]", "actions.a.success_codes: no program ends with 256: the greatest"),
        ("success_codes: {0: 1}", "actions.a.success_codes: expected a number or list of numbers, found"),
    ],
)
def test_what_cannot_be_meant_is_refused(fails: Fails, keys: str, says: str) -> None:
    (error,) = fails(_ACTION.format(keys))
    assert error.startswith(f"c:2: {says}")


def test_the_exit_codes_of_a_driver_may_be_greater(load: Load) -> None:
    action = load("actions:\n  a: {type: other, success_codes: 1000}\n").actions["a"]
    assert action.success_codes == (1000,)


def test_what_is_said_of_growing_delays(load: Load) -> None:
    config = load(
        """
retry: {restart_delay: 1s, restart_factor: 1.5, restart_reset: 5m}
actions:
  a: {type: exec, retry: {restart_factor: 1, restart_max_delay: 1m}}
  b: {type: exec, retry: {restart_max_delay: 1m}}
"""
    )
    assert config.retry.restart_factor == 1.5
    assert config.retry_for("b").restart_max_delay == 60 * 10**9
    assert config.retry_for("b").restart_reset == 300 * 10**9
    assert config.retry_for("a").restart_factor == 1


@pytest.mark.parametrize("factor", ["0", "0.5", "-1", "x", "'2'", "1e9", "[2]", "nan"])
def test_a_factor_that_would_not_let_a_delay_grow_is_refused(fails: Fails, factor: str) -> None:
    (error,) = fails(f"retry: {{restart_delay: 1s, restart_factor: {factor}}}")
    assert error.startswith("c:1: retry.restart_factor: expected a number")


_GROWS = "restart_delay: 1s, restart_factor: 2"
_NEVER = "error_threshold is never reached: the delays alone between {} exits take {}, and error_window is {}"


@pytest.mark.parametrize(
    ("retry", "warning"),
    [
        ("restart_delay: 30s, error_window: 1m, error_threshold: 3", _NEVER.format(3, "1m0s", "1m0s")),
        ("restart_delay: 29s, error_window: 1m, error_threshold: 3", ""),
        ("restart_delay: 30s, restart_jitter: 1h, error_window: 61s, error_threshold: 3", ""),
        ("restart_delay: 1h, error_window: 1m, error_threshold: 1", ""),
        ("restart_delay: 1h, error_threshold: 3", ""),
        ("restart_delay: 1h, error_window: 1m", ""),
        ("error_window: 1ms, error_threshold: 1000000", ""),
        # 1 + 2 + 4 + 5 seconds
        (f"{_GROWS}, restart_max_delay: 5s, error_window: 12s, error_threshold: 5",
         _NEVER.format(5, "12s", "12s")),
        (f"{_GROWS}, restart_max_delay: 5s, error_window: 13s, error_threshold: 5", ""),
        # Runs of 1 s that reset the delay are quicker: 1 + 2, 1, 1 + 2.
        ("restart_delay: 1s, restart_factor: 2, restart_reset: 1s, error_window: 8s, error_threshold: 5", ""),
        ("restart_delay: 1s, restart_factor: 2, restart_reset: 1s, error_window: 7s, error_threshold: 5",
         _NEVER.format(5, "7s", "7s")),
        ("restart_delay: 1h, error_window: 1h, error_threshold: 2147483647",
         _NEVER.format(2147483647, "9999h0m0s", "1h0m0s")),
        ("restart_factor: 2", "restart_factor does nothing without a restart_delay"),
        ("restart_delay: 2s, restart_max_delay: 1s",
         "restart_delay is longer than restart_max_delay, which is then every delay"),
        ("restart_delay: 1s, restart_max_delay: 1s",
         "restart_max_delay does nothing without a restart_factor greater than 1: no delay grows"),
        ("restart_delay: 1s, restart_reset: 1s",
         "restart_reset does nothing without a restart_factor greater than 1: no delay grows"),
    ],
)  # fmt: skip
def test_settings_that_undo_each_other_are_warned_of(load: Load, retry: str, warning: str) -> None:
    config = load(f"retry: {{{retry}}}\nactions: {{a: {{type: exec}}}}")
    assert config.warnings == ((f"{config.file}:1: retry: {warning}",) if warning else ())
    config = load(f"actions:\n  a: {{type: exec, retry: {{{retry}}}}}\n")
    assert config.warnings == ((f"{config.file}:2: actions.a.retry: {warning}",) if warning else ())


def test_what_is_merged_is_judged_where_it_is_changed(load: Load) -> None:
    config = load(
        """retry: {restart_delay: 1s, error_threshold: 5, error_window: 10s}
actions:
  inherits: {type: exec}
  slower:
    type: exec
    retry: {restart_delay: 1m}
"""
    )
    assert config.warnings == (f"{config.file}:6: actions.slower.retry: {_NEVER.format(5, '4m0s', '10s')}",)
