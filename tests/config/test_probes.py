"""``ready`` and ``health`` in the file: what is refused, what is warned of, and where."""

from __future__ import annotations

import json
from typing import Any

import pytest

from overseer.config import ConfigErrors, parse_config
from overseer.config.probes import HealthConfig, ReadyConfig, check_start, values_of_start
from overseer.config.targets import Http, Program, Tcp, parse_http, parse_tcp
from overseer.errors import ConfigError, ValidationError
from overseer.protocol import ParamSpec

_CONFIG = {
    "entrypoint": "serve",
    "parameters": {"port": {}, "deep": {"type": "boolean"}, "key": {"type": "secret"}},
}


def load(templates: str = "go", kind: str = "exec", **action: Any) -> Any:
    given = {"a": {"type": kind, "config": _CONFIG, **action}}
    return parse_config("c.yaml", json.dumps({"templates": templates, "actions": given}).encode(), {})


def problems(**action: Any) -> list[str]:
    """Errors, each without its place in the file."""
    with pytest.raises(ConfigError) as caught:
        load(**action)
    errors = caught.value.errors if isinstance(caught.value, ConfigErrors) else (caught.value,)
    return [f"{'.'.join(map(str, error.path[2:]))}: {error.message}" for error in errors]


@pytest.mark.parametrize(
    ("ready", "expected"),
    [
        ({}, "ready: no condition is given: log, http, tcp, exec, notify or after"),
        ({"log": "up ("}, "ready.log: bad regular expression: missing ): up ("),
        ({"log": r"(a)\1"}, r"ready.log: bad regular expression: invalid escape sequence: \1"),
        ({"log": ""}, "ready.log: expected text, found nothing"),
        ({"log": "[[.port"}, "ready.log: template: "),
        ({"tcp": "80"}, 'ready.tcp: expected HOST:PORT, found "80"; write :80 for this machine'),
        (
            {"tcp": "::1:80"},
            'ready.tcp: expected HOST:PORT, found "::1:80"; an IPv6 address goes in brackets',
        ),
        ({"tcp": "host:99999"}, 'ready.tcp: expected a port from 1 to 65535, found "99999"'),
        ({"tcp": "a b:80"}, 'ready.tcp: expected HOST:PORT, found "a b:80"'),
        ({"http": "localhost:80"}, "ready.http: expected a URL such as http://127.0.0.1:8000/health"),
        ({"http": "http://me:pw@host/"}, "ready.http: a probe does not sign in"),
        ({"http": "http://host/a b"}, "ready.http: a URL has no spaces"),
        ({"http": "http://host:port/"}, 'ready.http: not a URL: "http://host:port/"'),
        ({"exec": "check"}, "ready.exec: expected a list of templates"),
        ({"exec": []}, "ready: no condition is given"),
        (
            {"exec": ["check", "[[.key]]"]},
            "ready.exec.1: key is a secret, which a probe would show",
        ),
        ({"after": 0}, "ready.after: must be more than 0"),
        ({"notify": "maybe"}, "ready.notify: expected true or false"),
    ],
)
def test_what_cannot_be_is_refused(ready: dict[str, Any], expected: str) -> None:
    (problem,) = problems(ready=ready)
    assert problem.startswith(expected)


def test_health_is_looked_at_in_one_way() -> None:
    both = {"tcp": ":80", "exec": ["check"]}
    assert problems(health=both) == ["health.exec: there is tcp already, and health takes one probe"]
    assert problems(health={"timeout": "1s"}) == ["health: no probe is given: http, tcp or exec"]
    assert problems(health={"tcp": ":80", "failures": 0})[0].startswith("health.failures: ")
    assert problems(health={"tcp": ":80", "on_failure": "stop"})[0].startswith("health.on_failure: ")


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ({"ready": {"after": "1m"}}, "ready.after: the run times out before it can be ready"),
        ({"ready": {"tcp": ":80", "interval": "2m"}},
         "ready.interval: only one probe fits into its timeout"),
        ({"health": {"tcp": ":80", "timeout": "11s"}},
         "health.timeout: longer than interval: a probe that hangs delays the next one"),
        ({"ready": {"log": "[[.prot]]"}}, "ready.log: uses 'prot', which is not among the parameters"),
        ({"ready": {"logs": "x", "after": 1}}, "ready.logs: unknown key; did you mean log?"),
    ],
)  # fmt: skip
def test_what_is_probably_a_mistake_is_warned_of(action: dict[str, Any], expected: str) -> None:
    (warning,) = load(**action).warnings
    assert warning.partition("actions.a.")[2] == expected


def test_a_short_interval_is_no_mistake() -> None:
    assert load(health={"tcp": ":80", "interval": "1s"}).warnings == ()
    assert HealthConfig(tcp=":80", interval=1.0).probe_timeout == 3.0


def test_the_file_s_dialect_counts_wherever_it_is_said() -> None:
    url = "http://127.0.0.1:[[port]]/[[ 'deep' if deep else '' ]]"
    ready = load("jinja", ready={"http": url}).actions["a"].ready
    assert ready.targets({"port": "80", "deep": True}) == (Http("127.0.0.1", 80, "/deep", False),)
    assert problems(ready={"http": url})[0].startswith("ready.http: template: ")


def test_booleans_are_booleans() -> None:
    ready = load(ready={"http": "http://h/[[if .deep]]deep[[end]]"}).actions["a"].ready
    specs = {"port": None, "deep": ParamSpec("false", type="boolean")}
    assert values_of_start(specs, {"port": "1"}) == {"port": "1", "deep": False}
    assert ready.targets(values_of_start(specs, {"deep": "true"}))[0].path == "/deep"
    assert ready.targets(values_of_start(specs, {}))[0].path == "/"


def test_of_other_drivers_nobody_knows_the_parameters() -> None:
    assert load(kind="other", ready={"log": "[[.anything]]"}).warnings == ()


def test_the_same_text_is_the_same_definition() -> None:
    one, same, other = (
        load(ready={"log": text, "tcp": "[[.port]]:1"}, health={"exec": ["a", "[[.port]]"]}).actions["a"]
        for text in ("[[.port]]", "[[.port]]", "[[ .port ]]")
    )
    assert one == same
    assert one.digest == same.digest
    assert one != other


def test_a_start_is_held_to_it() -> None:
    ready, health = ReadyConfig(log="[[.x]]"), HealthConfig(tcp=":[[.x]]")
    check_start(ready, health, {"x": "80"})
    with pytest.raises(ValidationError, match=r"^ready\.log: bad regular expression"):
        check_start(ready, None, {"x": "*"})
    with pytest.raises(
        ValidationError, match=r'^health\.tcp: expected a port from 1 to 65535, found "eighty"$'
    ):
        check_start(None, health, {"x": "eighty"})


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("db:5432", Tcp("db", 5432)),
        (":80", Tcp("localhost", 80)),
        ("[::1]:80", Tcp("::1", 80)),
        ("10.0.0.1:1", Tcp("10.0.0.1", 1)),
        ("my_db.internal:1", Tcp("my_db.internal", 1)),
    ],
)
def test_addresses(text: str, target: Tcp) -> None:
    assert parse_tcp(text) == target


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("http://h", Http("h", 80, "/", False)),
        ("https://h/a?b=c#d", Http("h", 443, "/a?b=c", True)),
        ("http://[::1]:8080/x", Http("::1", 8080, "/x", False)),
        ("HTTP://Host:1/", Http("host", 1, "/", False)),
        ("http://h?x", Http("h", 80, "/?x", False)),
    ],
)
def test_urls(text: str, target: Http) -> None:
    assert parse_http(text) == target


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://",
        "http:///x",
        "http://h:0x50/",
        "http://h:70000/",
        "http://h:0/",
        "http://h/\r\nX: y",
        "//h/",
        "http://é/",
    ],
)
def test_what_is_no_url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"URL|port"):
        parse_http(text)


def test_targets_are_named_for_people() -> None:
    shown = [str(each) for each in (Tcp("::1", 80), Http("h", 443, "/x", True), Program(("check", "secret")))]
    assert shown == ["tcp [::1]:80", "https://h:443/x", "exec check"]
