"""Taking the place of a server's program, and trying out whether that can be done."""

from __future__ import annotations

import os

from overseer.config import parse_config, read_config
from overseer.daemon.access_rules import load_access
from overseer.daemon.daemon import Daemon
from overseer.daemon.handover import Given
from overseer.drivers.api import build_action_handlers
from overseer.errors import OverseerError
from overseer.process.registry import registry
from overseer.secrets.vault import Vault
from overseer.upgrade.reexec import Succession, succession, use_findings
from overseer.upgrade.rehearsal import say
from overseer.util.handover_format import from_memory
from overseer.util.logs import Stderr
from overseer.util.standstill import standstill


def take_over(path: str, version: str, stderr: Stderr) -> Daemon | None:
    """The server that another program has handed over; nothing of it goes on before it runs. None: what is in
    the environment is meant for another process.

    Raises:
        OverseerError: it cannot be read.
    """
    passed = succession()
    if passed is None:
        return None
    standstill.close()
    stderr.start()
    use_findings(record=False)
    return _successor(path, Given.read(passed), version)


def rehearse(path: str, state: int, version: str) -> int:
    """Make everything of this state, a descriptor, and check the file as it is now.

    Raises:
        OverseerError: one of them cannot be used.
    """
    standstill.close()
    os.set_inheritable(state, False)
    given = Given.read(Succession(from_memory(state)), rehearsal=True)
    use_findings(record=True)
    if (now := _file_now(path)) not in (None, given.config):
        build_action_handlers(parse_config(path, now))
    _successor(path, given, version)
    say(version)
    return 0


def _file_now(path: str) -> bytes | None:
    """What the file has, if it can be read again."""
    try:
        return read_config(path, again=True)
    except OverseerError:
        return None


def _successor(path: str, given: Given, version: str) -> Daemon:
    registry.restore(given.values["registry"])
    config = parse_config(path, given.config)
    access = load_access(config, given.variables)
    handlers = build_action_handlers(config)
    return Daemon(path, config, handlers, access, given.variables, Vault(given.secrets), version, given)
