"""Origin and Host, as browsers send them, and the rules about them; without a server."""

from __future__ import annotations

import pytest

from overseer.auth.origins import BrowserRules, check_host_name, check_origin

RULES = BrowserRules(
    origins=["https://app.example", "chrome-extension://abcdef"], hosts=["build.example"], own_names=["box"]
)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, None),  # no browser
        (None, "evil.example"),
        ("http://localhost:8080", "localhost:8080"),
        ("http://LOCALHOST:8080", "localhost:8080"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("http://[::1]:8080", "[0:0:0:0:0:0:0:1]:8080"),
        ("http://192.168.1.9:8080", "192.168.1.9:8080"),
        ("http://box:8080", "box:8080"),
        ("http://localhost.:8080", "localhost.:8080"),
        ("http://localhost", "localhost"),
        ("http://localhost", "localhost:80"),
        ("http://localhost:80", "localhost"),
        ("https://localhost", "localhost:443"),  # a proxy has taken the TLS off
        ("https://build.example", "build.example"),
        ("https://app.example", "localhost:8080"),
        ("https://app.example:443", "localhost:8080"),
        ("chrome-extension://abcdef", "localhost:8080"),
    ],
)
def test_let_in(origin: str | None, host: str | None) -> None:
    assert RULES.refusal(origin, host) is None


@pytest.mark.parametrize(
    ("origin", "host", "remedy"),
    [
        ("https://evil.example", "localhost:8080", 'allowed_origins: ["https://evil.example"]'),
        ("http://localhost:3000", "localhost:8080", 'allowed_origins: ["http://localhost:3000"]'),
        ("http://127.0.0.1:8080", "localhost:8080", 'allowed_origins: ["http://127.0.0.1:8080"]'),
        ("http://app.example", "localhost:8080", 'allowed_origins: ["http://app.example"]'),
        ("https://app.example:8443", "localhost", 'allowed_origins: ["https://app.example:8443"]'),
        ("http://localhost.evil.example", "localhost", 'allowed_origins: ["http://localhost.evil.example"]'),
        ("ftp://localhost:8080", "localhost:8080", 'allowed_origins: ["ftp://localhost:8080"]'),
        # DNS rebinding: same origin, but not by a name of ours.
        ("http://evil.example:8080", "evil.example:8080", 'allowed_hosts: ["evil.example"]'),
        (
            "http://127.0.0.1.evil.example",
            "127.0.0.1.evil.example",
            'allowed_hosts: ["127.0.0.1.evil.example"]',
        ),
        ("http://127.1:8080", "127.1:8080", 'allowed_hosts: ["127.1"]'),
        ("https://app.example", "evil.example", 'allowed_hosts: ["evil.example"]'),
        ("null", "localhost:8080", ""),
        ("", "localhost:8080", ""),
        ("http://localhost:8080, https://evil.example", "localhost:8080", ""),
        ("http://localhost:8080@evil.example", "localhost:8080", ""),
        ("http://localhost:8080/", "localhost:8080", ""),
        ("http://localhost:8080", "", 'allowed_origins: ["http://localhost:8080"]'),
        ("http://localhost:8080", None, 'allowed_origins: ["http://localhost:8080"]'),
        ("https://app.example", "", ""),
        ("https://app.example", "a b", ""),
    ],
)
def test_kept_out(origin: str, host: str | None, remedy: str) -> None:
    refusal = RULES.refusal(origin, host)
    assert refusal is not None
    assert refusal.remedy == remedy
    assert refusal.reason.isprintable()


def test_where_the_name_counts_it_does_without_an_origin_too() -> None:
    for host in ("localhost:8080", "127.0.0.1", "[::1]:8080", "box", "build.example:80", None):
        assert RULES.refusal(None, host, by_any_name=False) is None
    for host in ("evil.example", "evil.example:8080", "localhost.evil.example", "", "a b"):
        assert RULES.refusal(None, host, by_any_name=False) is not None
    assert BrowserRules(check_host=False).refusal(None, "any.example", by_any_name=False) is None


def test_with_tokens_the_name_does_not_matter_but_the_origin_does() -> None:
    rules = BrowserRules(check_host=False)
    assert rules.refusal("http://any.example:8080", "any.example:8080") is None
    assert rules.refusal("http://evil.example", "any.example:8080") is not None


def test_what_is_too_long_to_be_a_name_is_refused_without_being_repeated() -> None:
    long = "a" * 16_000
    for origin, host in ((f"http://{long}", long), (f"http://{long}", "localhost"), ("http://a", long)):
        refusal = RULES.refusal(origin, host)
        assert refusal is not None
        assert len(refusal.reason + refusal.remedy) < 200


def test_with_tls_a_page_that_came_without_is_another_origin() -> None:
    rules = BrowserRules(encrypted=True)
    assert rules.refusal("https://localhost:8443", "localhost:8443") is None
    assert rules.refusal("http://localhost:8443", "localhost:8443") is not None


@pytest.mark.parametrize(
    "text", ["*", "app.example", "https://*.app.example", "https://a/b", "https://", "null"]
)
def test_what_is_no_origin_is_refused_in_the_config(text: str) -> None:
    with pytest.raises(ValueError, match="not an origin"):
        check_origin(text)


@pytest.mark.parametrize("text", ["a:80", "*.example", "", "http://a", "[::1"])
def test_what_is_no_host_is_refused_in_the_config(text: str) -> None:
    with pytest.raises(ValueError, match="not a host name"):
        check_host_name(text)
