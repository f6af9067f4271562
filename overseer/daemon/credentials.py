"""The principals of a configuration: tokens from files and variables, and local users."""

from __future__ import annotations

import logging
import os
import pwd
from collections.abc import Mapping

from overseer.auth.digest import Digest, digest_of, doubtful
from overseer.auth.rights import Principal
from overseer.auth.tokens import Tokens
from overseer.config import Config, ConfigErrors, TokenConfig
from overseer.errors import ConfigError
from overseer.util.files import read_small

_log = logging.getLogger(__name__)

_ENV = "OVERSEER_TOKEN"
_MAX_FILE = 64 * 1024  # bytes; a longer file does not hold a token


def variables_of(config: Config, given: Mapping[str, str]) -> tuple[dict[str, Digest], dict[str, str]]:
    """The digests of tokens, and the secrets, in environment variables, by variable; empty ones are left out.

    Warns of weak tokens.
    """
    tokens = {name: _checked(given[name], name) for name in config.auth.variables if given.get(name)}
    return tokens, {name: given[name] for name in config.secret_variables if given.get(name)}


def load_tokens(config: Config, variables: Mapping[str, Digest]) -> Tokens:
    """The tokens of a configuration, with their files read, and the admin's in ``OVERSEER_TOKEN``.

    Args:
        variables: see :func:`variables_of`.

    Raises:
        ConfigErrors: tokens that cannot be read; the text reveals none of them.
    """
    principals: list[Principal] = []
    errors: list[ConfigError] = []
    if _ENV in variables:
        principals.append(Principal(_ENV, "admin", None, variables[_ENV].value))
    for number, each in enumerate(config.auth.tokens):
        try:
            digest = _digest(each, variables, optional=bool(config.tls.client_ca))
        except ConfigError as error:
            errors.append(config.placed(error, "auth", "tokens", number))
        else:
            credential = digest.value if digest is not None else b""
            principals.append(Principal(each.name, each.role, each.actions, credential))
    if errors:
        raise ConfigErrors(errors)
    return Tokens(tuple(principals))


def _digest(token: TokenConfig, variables: Mapping[str, Digest], *, optional: bool) -> Digest | None:
    if token.token_file:
        return _checked(_read(token.token_file), token.token_file)
    if token.token_env:
        if token.token_env not in variables:
            raise ConfigError(f"the environment has no {token.token_env}", path=("token_env",))
        return variables[token.token_env]
    digest = token.token or token.token_sha256
    if digest is None and not optional:
        raise ConfigError("token is missing: give token_file, token_env, token_sha256 or token")
    return digest


def _checked(secret: str, place: str) -> Digest:
    if warning := doubtful(secret):
        _log.warning("%s: %s", place, warning)
    return digest_of(secret)


def _read(path: str) -> str:
    try:
        file = read_small(path, _MAX_FILE)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", path=("token_file",)) from None
    text = file.data.decode("utf-8", "replace").rstrip("\r\n") if len(file.data) <= _MAX_FILE else ""
    if not text or "\n" in text:
        raise ConfigError(f"{path} does not hold one line with a token", path=("token_file",))
    if file.mode & 0o004:
        _log.warning("%s: every user of this machine can read the token in it: chmod 600 it", path)
    return text


def load_users(config: Config) -> Mapping[int, Principal]:
    """Principals by uid: those of ``auth.unix``, and the server's own user, an admin unless listed there.

    Raises:
        ConfigErrors: a user does not exist on this machine.
    """
    own = os.geteuid()
    users = {own: Principal(f"uid {own}", "admin")}
    errors: list[ConfigError] = []
    for name, role in config.auth.unix.items():
        try:
            uid = int(name) if name.isascii() and name.isdigit() else pwd.getpwnam(name).pw_uid
        except (KeyError, ValueError):
            errors.append(config.placed(ConfigError("no such user"), "auth", "unix", name))
        else:
            users[uid] = Principal(f"uid {uid}", role)
    if errors:
        raise ConfigErrors(errors)
    return users
