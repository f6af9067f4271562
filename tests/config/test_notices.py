"""``channels`` and ``notify`` in a file: what they may say, and what is refused, without showing a secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from overseer.config.notices import key_of
from overseer.templates import compile_template
from tests.config.conftest import Fails, Load

HOOK = "https://example.org/hooks/1"


def file(channel: dict[str, Any], rule: dict[str, Any] | None = None, **top_level: Any) -> str:
    rules = [{"on": "failure", "to": "ops", **(rule or {})}]
    secrets = {"key": {"env": "K"}}
    return json.dumps({"channels": {"ops": channel}, "notify": rules, "secrets": secrets, **top_level})


def test_what_the_file_says_is_what_there_is(load: Load) -> None:
    channel = {"webhook": HOOK, "secret": "s", "headers": {"X-A": {"secret": "key"}}, "body": "[[.message]]"}
    said = {"on": ["failure", "recovery"], "to": ["ops"], "repeat": "2d", "tasks": "n*"}
    config = load(file(channel, said))
    ops, (rule,) = config.channels["ops"], config.notify
    assert (ops.webhook, ops.secret and ops.secret.text, ops.headers["X-A"].secret) == (HOOK, "s", "key")
    assert ops.body == compile_template("[[.message]]")
    assert (rule.on, rule.to, rule.tasks, rule.actions) == (("failure", "recovery"), ("ops",), ("n*",), ())
    assert rule.repeat == 2 * 86400
    assert config.warnings == ()


def test_a_secret_in_the_file_is_not_shown(load: Load, fails: Fails) -> None:
    assert "s3cret" not in repr(load(file({"webhook": HOOK, "secret": "s3cret"})))
    lines = fails(file({"webhook": HOOK, "secret": ["s3cret"], "headers": {"a": ["s3cret"]}}))
    assert len(lines) == 2
    assert "s3cret" not in "".join(lines)


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ({}, "channels.ops: webhook or exec is missing: say how notices are delivered"),
        ({"webhook": HOOK, "exec": ["x"]}, "webhook and exec are alternatives: keep one of them"),
        ({"exec": ["x"], "secret": "a"}, "channels.ops.secret: needs a webhook"),
        ({"exec": [""]}, "channels.ops.exec: needs the program to run"),
        ({"webhook": "example.org"}, "channels.ops.webhook: expected an address such as https://"),
        ({"webhook": "https://u:p@example.org/"}, "put user and password into headers"),
        ({"webhook": "http://example.org:0/"}, "expected an address such as https://"),
        ({"webhook": "http://example.org:x/"}, "not an address: "),
        ({"webhook": HOOK, "headers": {"a b": "x"}}, "is not a valid name for a header"),
        ({"webhook": HOOK, "headers": {"Webhook-Id": "x"}}, "the server sets this header itself"),
        ({"webhook": HOOK, "headers": {"a": "x\r\nb: y"}}, "it contains unprintable characters"),
        ({"webhook": HOOK, "secret": "whsec_%"}, "channels.ops.secret: what follows whsec_ must be base64"),
        ({"webhook": HOOK, "secret": {"secret": "kye"}}, "channels.ops.secret.secret: there is no "),
        ({"webhook": HOOK, "headers": {"a": {"secret": "x"}}}, "channels.ops.headers.a.secret: there is no"),
        ({"webhook": HOOK, "body": "[[.mesage]]"}, "there is no .mesage here; did you mean .message?"),
        ({"webhook": HOOK, "body": "[[.message"}, "channels.ops.body: template: 1:1: unclosed action"),
        ({"webhook": HOOK, "url": "x"}, "channels.ops.url: unknown key"),
    ],
)
def test_what_is_wrong_with_a_channel_is_said_with_its_place(
    fails: Fails, channel: dict[str, Any], said: str
) -> None:
    (line,) = fails(file(channel))
    assert said in line


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"on": "failed"}, "notify.0.on: expected failure, recovery, errored, unhealthy, missed or success"),
        ({"on": None}, "notify.0: on is missing"),
        ({"to": "opps"}, "notify.0.to: no such channel: opps; did you mean ops?"),
        ({"to": []}, "notify.0: to is missing"),
        ({"every": "1h"}, "notify.0.every: unknown key"),
        ({"repeat": "0s"}, "notify.0.repeat: must be more than 0"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_with_its_place(
    fails: Fails, rule: dict[str, Any], said: str
) -> None:
    (line,) = fails(file({"webhook": HOOK}, rule))
    assert said in line


def test_a_rule_that_can_never_tell_is_warned_of(load: Load) -> None:
    warnings = load(file({"webhook": HOOK}, {"on": "recovery", "repeat": "1h"})).warnings
    assert [warning.partition(": ")[2] for warning in warnings] == [
        "notify.0.on: a recovery is reported only by a rule that has reported what came before: add failure",
        "notify.0.repeat: nothing here is ever repeated",
    ]


@pytest.mark.parametrize(
    ("secret", "key"),
    [("text", b"text"), ("whsec_YWJj", b"abc"), ("whsec_YQ==", b"a"), ("whsec_YQ", b"a"), ("ä", b"\xc3\xa4")],
)
def test_a_key_is_text_or_base64(secret: str, key: bytes) -> None:
    assert key_of(secret) == key
