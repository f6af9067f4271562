"""``webhooks`` in a file: what they may say, and what is refused, without showing a secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.config.conftest import Fails, Load

ACTIONS = {"deploy": {"type": "exec", "config": {"entrypoint": "true"}}}
GOOD = {"action": "deploy", "secret": "s3cret", "scheme": "github"}


def file(hook: dict[str, Any], name: str = "hook", **top_level: Any) -> str:
    base = {"listen": "127.0.0.1:8080", "actions": ACTIONS, "secrets": {"key": {"env": "K"}}}
    return json.dumps({**base, "webhooks": {name: hook}, **top_level})


def test_what_the_file_says_is_what_there_is_and_a_secret_is_not_shown(load: Load) -> None:
    when = 'body.ref == "x" && headers["a"] == "b"'
    config = load(file({**GOOD, "when": when, "params": {"p": "[[.body.a.b]]"}}))
    hook = config.webhooks["hook"]
    assert (hook.action, hook.scheme, hook.when) == ("deploy", "github", when)
    assert hook.params["p"].render({"body": {"a": {"b": "c"}}, "headers": {}}) == "c"
    assert config.warnings == ()
    assert "s3cret" not in repr(config)
    # A reload finds that nothing has changed.
    assert load(file({**GOOD, "when": when, "params": {"p": "[[.body.a.b]]"}})).webhooks == config.webhooks


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        ({}, "webhooks.hook: action is missing: say which action is started"),
        ({"action": "deplyo"}, "no such action: deplyo; did you mean deploy?"),
        ({"scheme": ""}, "webhooks.hook.scheme: "),
        ({"scheme": "none"}, "webhooks.hook.scheme: "),
        ({"secret": {"secret": "kye"}}, "webhooks.hook.secret.secret: there is no "),
        ({"secret": ["s3cret"]}, "webhooks.hook.secret: "),
        ({"scheme": "standard", "secret": "whsec_%"}, "secret: what follows whsec_ must be base64"),
        ({"when": "body.ref =="}, "webhooks.hook.when: CEL: "),
        ({"when": "bodi.ref == 1"}, "webhooks.hook.when: CEL: "),
        ({"when": "headers.size()"}, "webhooks.hook.when: CEL: "),
        ({"params": {"p": "[[.bdy.ref]]"}}, "params.p: there is no .bdy here; did you mean .body?"),
        ({"params": {"p": "[[.body"}}, "webhooks.hook.params.p: template: "),
        ({"secrets": "x"}, "webhooks.hook.secrets: "),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(fails: Fails, hook: dict[str, Any], said: str) -> None:
    (line, *_) = fails(file({**GOOD, **hook} if hook else {"secret": "s3cret", "scheme": "github"}))
    assert said in line
    assert "s3cret" not in line


def test_secret_and_scheme_go_together(fails: Fails, load: Load) -> None:
    assert "say how the secret is used" in fails(file({"action": "deploy", "secret": "x"}))[0]
    assert "scheme github needs a secret" in fails(file({"action": "deploy", "scheme": "github"}))[0]
    assert load(file({"action": "deploy"})).webhooks["hook"].secret is None
    assert "letters, digits" in fails(file(GOOD, name="a/b"))[0]


@pytest.mark.parametrize("hook", [{"action": "deploy"}, {**GOOD, "scheme": "token"}])
def test_what_others_could_read_or_use_is_refused(load: Load, fails: Fails, hook: dict[str, Any]) -> None:
    (line,) = fails(file(hook, listen=":8080"))
    assert ":8080 is reached by others without TLS" in line
    assert load(file({**hook, "insecure": True}, listen=":8080")).webhooks
    assert load(file(hook, listen=":8080", tls={"cert": "c.pem"})).webhooks
    for local in ("127.0.0.1:8080", "[::1]:1", "localhost:1", "unix:s"):
        assert load(file(hook, listen=local)).webhooks
    assert load(file(GOOD, listen=":8080")).webhooks
