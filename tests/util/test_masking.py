"""A text without secrets has none of them left, however they were written into it."""

from __future__ import annotations

import json
import logging

import pytest

from overseer.util.masking import log_failure, masked


@pytest.mark.parametrize(
    "written", [str, repr, ascii, json.dumps, lambda text: json.dumps(text, ensure_ascii=False)]
)
@pytest.mark.parametrize("secret", ["hunter2", "a'b\"c\\d", "zwei\nzeilen-mit-é", "\x00\x1b[2J", "***"])
def test_it_is_replaced_in_every_form(written, secret: str) -> None:
    assert secret.strip("*") == "" or secret not in masked(f"no such thing: {written(secret)}!", [secret])
    assert "***" in masked(f"no such thing: {written(secret)}!", [secret])


def test_lines_of_one_with_several_are_replaced_unless_they_are_short() -> None:
    assert masked("at BEGIN-KEY-1234 {", ["{\nBEGIN-KEY-1234\n}"]) == "at *** {"


def test_a_short_one_is_replaced_where_it_stands_alone() -> None:
    assert masked("parameter 'a' is a or 'a', not abc", ["a"]) == "parameter '***' is *** or '***', not abc"


def test_longer_ones_come_first_and_empty_ones_not_at_all() -> None:
    assert masked("hunter22", ["hunter2", "hunter22", ""]) == "***"


def test_a_traceback_is_logged_without_them(caplog: pytest.LogCaptureFixture) -> None:
    for secrets in ([], ["hunter2"]):
        try:
            raise KeyError("hunter2")
        except KeyError:
            log_failure(logging.getLogger("x"), secrets, "action %s failed", "a")
    plain, without = caplog.records
    assert plain.exc_info
    assert without.getMessage().startswith("action a failed\nTraceback")
    assert without.getMessage().endswith("KeyError: '***'")
