"""The configuration in force, and what a reload changes besides what the hub defines."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from overseer.config import Config, Digest, ErrorCollector
from overseer.daemon.access_rules import load_access
from overseer.daemon.advice import advice
from overseer.daemon.credentials import variables_of
from overseer.daemon.environment import withdraw_secrets
from overseer.daemon.gate import Gate
from overseer.daemon.preflight import check_settings
from overseer.daemon.reload import Prepared
from overseer.secrets.vault import Vault


class Settings:
    """The settings in force; changed by one reload at a time.

    Args:
        started: the configuration in which the settings that need a restart are in effect.
        variables: digests of the tokens that were in the environment, by variable.
        vault: holds the secrets that were there.
        followers: put a new configuration into effect in their parts of the server; by what these are, for
            people.
        enforce: closes the clients that are no longer admitted.
    """

    def __init__(
        self,
        config: Config,
        started: Config,
        variables: Mapping[str, Digest],
        vault: Vault,
        gate: Gate,
        followers: Mapping[str, Callable[[Config], None]],
        enforce: Callable[[], None],
    ) -> None:
        self.config = config
        self.started = started
        self.variables = variables
        self._vault = vault
        self._gate = gate
        self._followers = followers
        self._enforce = enforce

    def prepare(self, config: Config) -> Prepared:
        """Read and check everything that the hub does not; changes nothing. Raises ConfigError."""
        collector = ErrorCollector()
        with collector.step():
            check_settings(replace(config, data_dir=self.started.data_dir))
        fresh = {name: os.environ[name] for name in config.variables if name in os.environ}
        tokens, secrets = variables_of(config, fresh)
        variables, secrets = {**self.variables, **tokens}, {**self._vault.variables, **secrets}
        with collector.step():
            access = load_access(config, variables)
        collector.raise_errors()

        def provide() -> None:
            # Variables named since the start: too late to remove them from /proc/PID/environ, so this warns.
            withdraw_secrets(list(fresh), start_over=True)
            self.variables, self._vault.variables = variables, secrets

        def admit(config: Config) -> None:
            self.config = config
            self._gate.replace_access(access)

        return Prepared(
            access.differing(self._gate.access),
            partial(advice, config, secrets=secrets, asks=bool(access.tokens)),
            provide,
            {"access": admit, **self._followers},
            self._enforce,
        )
