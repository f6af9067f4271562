"""Users of this machine who connect over a Unix socket, by the number that the kernel vouches for."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping

from overseer.auth.principal import Principal
from overseer.config import Config, ConfigErrors
from overseer.errors import ConfigError

__all__ = ["load_users"]


def load_users(config: Config) -> Mapping[int, Principal]:
    """Who each uid is: those of ``auth.unix``, and the server's own user, an admin unless it is there.

    Raises:
        ConfigErrors: users that this machine does not know.
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
