"""Who a client is, as far as rights go: a name, a role and the actions it is limited to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

ROLES = ("viewer", "operator", "admin")
"""From least to most: each may do what those before it may."""

NEEDS: Mapping[str, str] = {
    "list": "viewer",
    "subscribe": "viewer",
    "unsubscribe": "viewer",
    "replay": "viewer",
    "describe": "viewer",
    "pool_info": "viewer",
    "metrics": "viewer",
    "manifest": "viewer",
    "start": "operator",
    "stop": "operator",
    "reset": "operator",
    "set_pool": "admin",
    "purge": "admin",
    "reload": "admin",
}
"""The role that each request needs; one that is not here needs ``admin``."""

_ABOUT_POOLS = ("set_pool", "purge")


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody with rights; immutable.

    ``name`` is for people and the audit: a token's, ``uid N``, or ``""`` for who is not asked.
    ``actions`` are globs (``build-*``) of the actions it can see and use; None: all of them.
    ``credential`` is the SHA-256 of its token, if it has one: with another token it is somebody else.
    """

    name: str
    role: str
    actions: tuple[str, ...] | None = None
    credential: bytes = field(default=b"", repr=False)

    def sees(self, action: str) -> bool:
        """Whether it knows of this action at all; its tasks, queue and counters are as visible as it is."""
        return self.actions is None or any(fnmatchcase(action, glob) for glob in self.actions)

    @property
    def scope(self) -> Callable[[str], bool] | None:
        """:meth:`sees`, or None when it sees every action."""
        return None if self.actions is None else self.sees

    def missing(self, request: str, action: str = "") -> str:
        """The right that a request of this type lacks, as a sentence for its sender; ``""``: none.

        ``action`` matters for pools only: ``""`` stands for the global one there, which belongs to all.
        """
        needed = NEEDS.get(request, "admin")
        if ROLES.index(self.role) < ROLES.index(needed):
            return f"not permitted: {request} needs the role {needed}, and yours is {self.role}"
        if request in _ABOUT_POOLS and not action and self.actions is not None:
            return f"not permitted: {request} without an action concerns all actions, and yours are limited"
        if request == "reload" and self.actions is not None:
            return "not permitted: reload concerns all actions, and yours are limited"
        return ""


ANYONE = Principal("", "admin")
"""Where nobody is asked who they are: whoever is let in may do everything."""
