"""Tokens: hashed as soon as they are read, compared in constant time."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from overseer.config import Config, ConfigErrors, Digest, TokenConfig, digest_of
from overseer.config.secrets import guessable
from overseer.errors import ConfigError
from overseer.security.principal import Principal

__all__ = ["Token", "Tokens", "load_tokens"]

_log = logging.getLogger(__name__)

_ENV = "OVERSEER_TOKEN"
_MOST = 64 * 1024  # bytes; a file this long holds no token


@dataclass(frozen=True, slots=True)
class Token:
    """Whose token it is; ``digest`` is None where only a certificate of that name will do."""

    principal: Principal
    digest: Digest | None


class Tokens:
    """All tokens of a server; immutable. False when there are none, and nobody need present one."""

    def __init__(self, tokens: Sequence[Token] = ()) -> None:
        self._tokens = tuple(tokens)

    def __len__(self) -> int:
        return len(self._tokens)

    def find(self, presented: str) -> Principal | None:
        """Whose token this is; None when it is nobody's.

        How long it takes depends on the length of ``presented`` and the number of tokens alone: hashes are
        compared, all of them, each in constant time.
        """
        digest = digest_of(presented).value
        found: Principal | None = None
        for token in self._tokens:
            known = token.digest.value if token.digest is not None else bytes(len(digest))
            if hmac.compare_digest(known, digest) and token.digest is not None and found is None:
                found = token.principal
        return found

    def named(self, names: Collection[str]) -> Principal | None:
        """Who presents a certificate with these names: the first token that has one of them as its name."""
        return next((token.principal for token in self._tokens if token.principal.name in names), None)


def load_tokens(config: Config, env: Mapping[str, str]) -> Tokens:
    """The tokens of a configuration, files and variables read, and ``OVERSEER_TOKEN``, an admin's.

    Raises:
        ConfigErrors: tokens that cannot be read; no text tells what they are.
    """
    tokens: list[Token] = []
    errors: list[ConfigError] = []
    if env.get(_ENV):
        tokens.append(Token(Principal(_ENV, "admin"), _checked(env[_ENV], _ENV)))
    for number, each in enumerate(config.auth.tokens):
        try:
            digest = _digest(each, env, optional=bool(config.tls.client_ca))
        except ConfigError as error:
            errors.append(config.placed(error, "auth", "tokens", number))
        else:
            tokens.append(Token(Principal(each.name, each.role, each.actions), digest))
    if errors:
        raise ConfigErrors(errors)
    return Tokens(tokens)


def _digest(token: TokenConfig, env: Mapping[str, str], *, optional: bool) -> Digest | None:
    if token.token_file:
        return _checked(_read(token.token_file), token.token_file)
    if token.token_env:
        if not env.get(token.token_env):
            raise ConfigError(f"the environment has no {token.token_env}", path=("token_env",))
        return _checked(env[token.token_env], token.token_env)
    digest = token.token or token.token_sha256
    if digest is None and not optional:
        raise ConfigError("token is missing: give token_file, token_env, token_sha256 or token")
    return digest


def _checked(secret: str, place: str) -> Digest:
    if warning := guessable(secret):
        _log.warning("%s: %s", place, warning)
    return digest_of(secret)


def _read(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MOST + 1)
        shared = Path(path).stat().st_mode & 0o004
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", path=("token_file",)) from None
    text = data.decode("utf-8", "replace").rstrip("\r\n") if len(data) <= _MOST else ""
    if not text or "\n" in text:
        raise ConfigError(f"{path} does not hold one line with a token", path=("token_file",))
    if shared:
        _log.warning("%s: every user of this machine can read the token in it: chmod 600 it", path)
    return text
