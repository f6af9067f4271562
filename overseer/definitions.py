"""What a server runs by: its configuration and the handlers made from it, replaced as a whole by a reload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from overseer.actions import ActionHandler
from overseer.config import ActionConfig, Config

__all__ = ["Current", "Definition", "Definitions"]


@dataclass(frozen=True, slots=True)
class Definition:
    """One action. A task keeps the one it was accepted with, through queue and restarts, until a reset."""

    config: ActionConfig
    handler: ActionHandler


@dataclass(frozen=True, slots=True)
class Definitions:
    """A configuration and the handler of each of its actions; immutable."""

    config: Config
    handlers: Mapping[str, ActionHandler]

    def of(self, action: str) -> Definition:
        """Raises KeyError: there is no such action."""
        return Definition(self.config.actions[action], self.handlers[action])


class Current:
    """The definitions that count now. ``value`` is replaced under the hub's lock, and may be read without it:
    who needs it to stay the same looks again under the lock."""

    def __init__(self, value: Definitions) -> None:
        self.value = value
