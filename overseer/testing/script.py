"""What the author of a driver tells the kit: the driver, its settings, and runs that behave as asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from overseer.drivers.api import ActionHandlerFactory


@dataclass(frozen=True, slots=True)
class Script:
    """How to have the driver do something.

    Attributes:
        params: the start's parameters.
        config: the action's settings that differ from ``config()``.
        lines: what it prints on stdout, if that is not what was asked for.
        code: the exit code it ends with by itself, if that is not what was asked for.
    """

    params: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    lines: Sequence[str] | None = None
    code: int | None = None


class Behaviours:
    """What to override. A behaviour that is None is one that the driver does not have, and the checks that
    need it are skipped.

    Attributes:
        patience: seconds that the kit waits for what must come.
        held_up: seconds after which a stop gives up on an ``on_output`` that does not return.
    """

    patience = 30.0
    held_up = 11.0

    def driver(self) -> ActionHandlerFactory:
        """The factory."""
        raise NotImplementedError("override driver(), to return your factory")

    def config(self) -> Mapping[str, Any]:
        """The ``config`` of an action, as it would stand in the file: what JSON can hold."""
        return {}

    def prints(self, lines: Sequence[str]) -> Script | None:
        """Prints these lines on stdout and ends with exit code 0.

        A driver that cannot print just anything returns a Script that says what it prints in ``lines``.
        """
        return None

    def prints_bytes(self, data: bytes) -> Script | None:
        """Prints these bytes on stdout, as they are."""
        return None

    def counts(self, last: int, width: int) -> Script | None:
        """Prints the numbers from 1 to ``last``, each padded with zeros to ``width`` digits, on stdout."""
        return None

    def exits(self, code: int) -> Script | None:
        """Ends at once with this exit code, from 0 to 255."""
        return None

    def dies(self) -> Script | None:
        """Is ended by SIGKILL from elsewhere than a stop."""
        return None

    def runs_until_stopped(self) -> Script | None:
        """Prints its ``lines``, if it has any, and goes on until it is stopped, and then ends at once."""
        return None

    def ignores_stop(self) -> Script | None:
        """Prints its ``lines``, at least one, and goes on even after it was asked to stop."""
        return None

    def echoes(self) -> Script | None:
        """Prints each line of its input, and ends with exit code 0 when that ends."""
        return None

    def fails_to_start(self) -> Script | None:
        """Has valid parameters, and cannot be started all the same."""
        return None

    def refused(self) -> Sequence[Mapping[str, str]]:
        """Parameters that ``validate`` must refuse."""
        return ()

    def unusable(self) -> Sequence[tuple[Mapping[str, Any], tuple[str | int, ...]]]:
        """Settings that ``create`` must refuse, each with the path to the key that is wrong."""
        return ()
