"""What is unsafe without being wrong, in plain words."""

from __future__ import annotations

import ipaddress

from overseer.config import Config, parse_listen
from overseer.errors import ConfigError


def security_advice(config: Config, *, asks: bool) -> list[str]:
    """Warnings about a configuration, each with its place.

    Args:
        asks: whether clients must say who they are: there are tokens.
    """
    listen = parse_listen(config.listen)
    advice = []
    if (
        listen.kind == "tcp"
        and not _is_loopback(listen.host)
        and not asks
        and config.trusted_cidrs is None
        and not config.tls.client_ca
    ):
        advice.append(
            config.placed(
                ConfigError(
                    f"{listen} can be reached from other machines, and whoever is in a network of this one "
                    "may start its actions: set OVERSEER_TOKEN or auth.tokens, or trusted_cidrs, or listen "
                    f"on 127.0.0.1:{listen.port}"
                ),
                "listen",
            )
        )
    if config.tls.cert and listen.kind != "tcp":
        advice.append(config.placed(ConfigError(f"not used: {listen} is no TCP address"), "tls"))
    return [str(each) for each in advice]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
