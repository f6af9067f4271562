"""Reads secrets by name, at each start of a run that needs them."""

from __future__ import annotations

import os
from collections.abc import Mapping

from overseer.config import Config, SecretSource
from overseer.config.secrets import problem_of
from overseer.errors import ConfigError, SpawnError
from overseer.secrets.command import MOST, output_of
from overseer.util.files import read_small
from overseer.util.masking import LEAST


class Vault:
    """Reads secrets. Those from environment variables are kept here, since they are removed from there.

    A reload replaces ``variables`` as a whole.
    """

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        self.variables = variables or {}

    def __repr__(self) -> str:
        return f"<Vault of {len(self.variables)} variables>"

    def read(self, sources: Mapping[str, SecretSource], name: str) -> str:
        """The current value of a secret; bytes that are not UTF-8 survive (surrogateescape).

        Raises:
            SpawnError: it cannot be read; the text reveals nothing of it.
        """
        try:
            return self._value(sources[name])
        except KeyError:
            raise SpawnError(f"the secret {name!r} has been removed from the configuration") from None
        except (_Unavailable, SpawnError) as error:
            raise SpawnError(f"the secret {name!r} cannot be read: {error}") from None

    def _value(self, source: SecretSource) -> str:
        if source.env:
            if source.env not in self.variables:
                raise _Unavailable(f"the environment had no {source.env}")
            return self.variables[source.env]
        data = output_of(source.command, source.name) if source.command else _content(source.file)
        value = os.fsdecode(data.removesuffix(b"\n"))
        if not value:
            raise _Unavailable("it is empty")
        return value


class _Unavailable(Exception):
    """Why a secret cannot be read."""


def _content(path: str) -> bytes:
    try:
        data = read_small(path, MOST).data
    except OSError as error:
        raise _Unavailable(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > MOST:
        raise _Unavailable(f"{path} is larger than {MOST >> 10} KiB")
    return data


def advice(config: Config, variables: Mapping[str, str]) -> list[str]:
    """Warnings about secrets that cannot be read now, and about those in variables that are too short to be
    masked, each with its location."""
    found = []
    for name, source in config.secrets.items():
        problem = problem_of(source, source.env in variables)
        value = variables.get(source.env, "")
        if not problem and source.env and len(value) < LEAST:
            problem = f"is shorter than {LEAST} characters, so it is not masked in output"
        if problem:
            found.append(str(config.placed(ConfigError(problem), "secrets", name)))
    return found
