"""Tokens: found whoever's they are, hashed, compared without telling how near a guess was."""

from __future__ import annotations

import hashlib
import math
import timeit
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from overseer.auth.rights import Principal
from overseer.auth.tokens import Tokens
from overseer.config import Config, digest_of, load_config
from overseer.daemon.credentials import load_tokens, variables_of
from overseer.errors import ConfigError

SECRET = "s3cret-0123456789abcdef"


def _config(path: Path, text: str) -> Config:
    (path / "config.yaml").write_text(text)
    return load_config(path / "config.yaml", {})


def test_each_source_gives_its_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"file-{SECRET}\n")
    (tmp_path / "token").chmod(0o600)
    digest = hashlib.sha256(f"hash-{SECRET}".encode()).hexdigest()
    config = _config(
        tmp_path,
        f"""
auth:
  tokens:
    - {{name: plain, token: plain-{SECRET}, role: viewer}}
    - {{name: file, token_file: {tmp_path}/token, role: operator, actions: ["a*", b]}}
    - {{name: env, token_env: CI_TOKEN, role: admin}}
    - {{name: hash, token_sha256: {digest}, role: viewer}}
""",
    )
    assert config.warnings == ()
    assert config.auth.variables == ("OVERSEER_TOKEN", "CI_TOKEN")
    tokens = load_tokens(
        config, variables_of(config, {"CI_TOKEN": f"env-{SECRET}", "OVERSEER_TOKEN": f"main-{SECRET}"})[0]
    )

    def found(kind: str) -> Principal:
        principal = tokens.find(f"{kind}-{SECRET}")
        assert principal is not None
        assert principal.credential == digest_of(f"{kind}-{SECRET}").value
        return replace(principal, credential=b"")

    assert found("plain") == Principal("plain", "viewer")
    assert found("file") == Principal("file", "operator", ("a*", "b"))
    assert found("env") == Principal("env", "admin")
    assert found("hash") == Principal("hash", "viewer")
    assert found("main") == Principal("OVERSEER_TOKEN", "admin")
    for wrong in ("", SECRET, digest, f"plain-{SECRET}x", f"plain-{SECRET[:-1]}", "\udc80", "é"):
        assert tokens.find(wrong) is None
    # Nothing that is kept has a secret in it, and nothing that is shown a hash.
    assert SECRET not in repr(config.tree)
    assert SECRET not in repr(config)
    assert digest not in repr(config)
    for shown in (config, tokens):
        assert repr(bytes.fromhex(digest)) not in repr(shown)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (f"{{name: x, role: viewer, token: {SECRET}, token_env: A}}", "token and token_env"),
        ("{name: x, role: viewer}", "token is missing"),
        (f"{{role: viewer, token: {SECRET}}}", "name is missing"),
        (f"{{name: x, token: {SECRET}}}", "role is missing"),
        (f"{{name: x, token: {SECRET}, role: root}}", "viewer, operator or admin"),
        ('{name: x, role: viewer, token: ""}', "an empty text is not a secret"),
        (f"{{name: x, role: viewer, token: [{SECRET}]}}", "expected text"),
        (f"{{name: x, role: viewer, token_sha256: {SECRET}}}", "64 hexadecimal digits"),
        ("{name: x, role: viewer, token_env: NOT_SET}", "the environment has no NOT_SET"),
        ("{name: x, role: viewer, token_file: /does/not/exist}", "/does/not/exist cannot be read"),
        (
            "{name: x, role: viewer, token_file: /dev/null}",
            "/dev/null cannot be read: it is not a regular file",
        ),
        ("{name: x, role: viewer, token_file: /etc/passwd}", "does not hold one line with a token"),
    ],
)
def test_what_is_wrong_with_a_token_is_said_with_its_place_and_without_it(
    tmp_path: Path, entry: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_tokens(_config(tmp_path, f"auth:\n  tokens:\n    - {entry}\n"), {})
    assert said in str(caught.value)
    assert "config.yaml:3: auth.tokens.0" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        f"auth: {SECRET}",
        f"auth: {{tokens: {SECRET}}}",
        f"auth: {{tokens: [{SECRET}]}}",
        f"auth: {{tokens: [{{name: x, role: {SECRET}, token: abc}}]}}",
        f"auth: {{tokens: [{{name: x, role: viewer, actions: {{a: {SECRET}}}, token: abc}}]}}",
        f"auth: {{unix: {SECRET}}}",
        f"auth: {{unix: {{root: {SECRET}}}}}",
        f"auth: {{session_age: {SECRET}}}",
    ],
)
def test_no_value_below_auth_is_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _config(tmp_path, text)
    assert "auth" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_token_that_can_be_guessed_is_warned_of(tmp_path: Path) -> None:
    config = _config(tmp_path, "auth: {tokens: [{name: x, role: viewer, token: hunter2}]}")
    (warning,) = config.warnings
    assert "7 characters" in warning
    assert "hunter2" not in warning


def test_one_from_the_environment_or_a_file_as_well(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "token").write_text("short")
    (tmp_path / "token").chmod(0o644)
    entry = f"{{name: x, role: viewer, token_file: {tmp_path}/token}}"
    config = _config(tmp_path, f"auth: {{tokens: [{entry}]}}")
    load_tokens(config, variables_of(config, {"OVERSEER_TOKEN": "hunter2"})[0])
    assert "OVERSEER_TOKEN: a token of 7 characters can be guessed" in caplog.text
    assert f"{tmp_path}/token: a token of 5 characters can be guessed" in caplog.text
    assert f"{tmp_path}/token: every user of this machine can read" in caplog.text
    assert "hunter2" not in caplog.text


def test_two_tokens_of_one_name_are_refused(tmp_path: Path) -> None:
    entry = f"{{name: x, role: viewer, token: {SECRET}}}"
    with pytest.raises(ConfigError, match="two tokens have the name x"):
        _config(tmp_path, f"auth: {{tokens: [{entry}, {entry}]}}")


def test_a_certificate_only_entry_is_found_by_name_and_by_no_token() -> None:
    tokens = Tokens((Principal("cert", "viewer"), Principal("b", "admin", None, digest_of("b").value)))
    assert tokens.find("") is None
    assert tokens.find("\0" * 32) is None
    assert tokens.named(("other", "cert")) == Principal("cert", "viewer")
    assert tokens.named(()) is None


def test_the_time_that_a_comparison_takes_does_not_tell_how_much_of_a_guess_is_right() -> None:
    # So long that a comparison which stops at the first difference would be faster by orders of magnitude.
    secret = "x" * 500_000
    tokens = Tokens((Principal("t", "admin", None, digest_of(secret).value),))
    guesses = {"first": "y" + secret[1:], "last": secret[:-1] + "y", "none": secret}
    best = dict.fromkeys(guesses, math.inf)
    for _ in range(30):  # in turn, since others have the machine for a while, too
        for name, guess in guesses.items():
            best[name] = min(best[name], timeit.timeit(partial(tokens.find, guess), number=1))
    assert max(best.values()) < 2 * min(best.values()), best
