"""What a task waits for, kept from clients who may not see that."""

from __future__ import annotations

import json
from collections.abc import Collection

from overseer.auth.rights import Principal
from overseer.protocol import dump

Waits = tuple[tuple[str, str], ...]
"""The tasks that one waits for, each with its action."""


def hidden_of(waits: Waits, principal: Principal) -> frozenset[str]:
    """Those of them that ``principal`` may not see."""
    if not waits or principal.scope is None:
        return frozenset()
    return frozenset(name for name, action in waits if not principal.sees(action))


def without_names(message: bytes, hidden: Collection[str]) -> bytes:
    """A message, or a row, without these names in its ``waiting_on``."""
    plain = json.loads(message)
    if left := [name for name in plain.pop("waiting_on", ()) if name not in hidden]:
        plain["waiting_on"] = left
    return dump(plain)
