"""From the configuration to what decides about clients; everything is read and checked here, once."""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from overseer.config import Config
from overseer.net.tls import Certificates
from overseer.security.gate import Gate
from overseer.security.origins import BrowserRules
from overseer.security.principal import Principal
from overseer.security.sessions import SignIns
from overseer.security.throttle import Failures
from overseer.security.tokens import Tokens, load_tokens
from overseer.security.users import load_users
from overseer.timers import Timers

__all__ = ["Access", "load_access"]


@dataclass(frozen=True, slots=True)
class Access:
    """Who there is, and how they connect.

    ``users`` is None where nobody is asked over a Unix socket: whoever may open its file may do everything.
    """

    config: Config
    tokens: Tokens
    users: Mapping[int, Principal] | None
    certificates: Certificates | None

    def gate(self, *, timers: Timers, open_paths: Collection[str]) -> Gate:
        """The gate in front of a server; see :class:`Gate` for the arguments."""
        return Gate(
            tokens=self.tokens,
            users=self.users,
            browsers=BrowserRules(
                origins=self.config.allowed_origins,
                hosts=self.config.allowed_hosts,
                own_names=_own_names(),
                check_host=not self.tokens,
                encrypted=self.certificates is not None,
            ),
            sign_ins=SignIns(self.config.auth.session_age, timers),
            failures=Failures(),
            open_paths=open_paths,
            encrypted=self.certificates is not None,
        )


def load_access(config: Config, env: Mapping[str, str]) -> Access:
    """Read tokens, users and certificates.

    Args:
        env: where variables with tokens are looked up.

    Raises:
        ConfigError: something cannot be read, or does not fit together.
    """
    tokens = load_tokens(config, env)
    return Access(
        config=config,
        tokens=tokens,
        users=load_users(config) if tokens or config.auth.unix else None,
        certificates=Certificates.load(config) if config.tls.cert else None,
    )


def _own_names() -> set[str]:
    name = socket.gethostname()
    return {name, name.partition(".")[0]}
