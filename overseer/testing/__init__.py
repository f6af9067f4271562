"""Proves that a driver keeps its contract: for the tests of drivers' authors, with pytest.

::

    from overseer.testing import DriverContract, Script

    class TestCountdown(DriverContract):
        def driver(self):
            return CountdownFactory()

        def prints(self, lines):
            return Script({"start": "2"}, lines=["2", "1", "lift-off"])

Each of its tests checks some sentences of the contract in ``docs/DRIVERS.md``; one that fails names the
sentence, and what was seen. With ``pytest_plugins = ["overseer.testing"]`` there is a summary as well.
Nothing but tests imports this package, which has no ``assert`` to be explained (PYTEST_DONT_REWRITE).
"""

from __future__ import annotations

from overseer.testing.checks.asking import AskingChecks
from overseer.testing.checks.ends import EndChecks
from overseer.testing.checks.output import OutputChecks
from overseer.testing.checks.serving import ServerChecks
from overseer.testing.checks.starting import StartChecks
from overseer.testing.checks.stopping import StopChecks
from overseer.testing.contract import Broken
from overseer.testing.plugin import pytest_runtest_makereport, pytest_terminal_summary
from overseer.testing.script import Script
from overseer.testing.shell import ShellScripts

__all__ = [
    "Broken",
    "DriverContract",
    "Script",
    "ShellContract",
    "pytest_runtest_makereport",
    "pytest_terminal_summary",
]


class DriverContract(StartChecks, OutputChecks, EndChecks, StopChecks, AskingChecks, ServerChecks):
    """Override :class:`~overseer.testing.script.Behaviours`' methods in a subclass named ``Test...``."""


class ShellContract(ShellScripts, DriverContract):
    """For a driver that can run a shell's script: override ``driver``, ``script``, and what else it can."""
